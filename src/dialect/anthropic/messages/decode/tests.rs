use serde_json::{Value as Json, json};

use super::*;
use crate::dialect::Dialect;
use crate::dialect::neutral::{
    Cache, Content, Effort, Format, Literal, Part, Raw, Reasoning, Signature, Source, Speaker, ToolChoice,
    Weight,
};

/// What a request with these members asks, and what is lost of it.
fn decoded<T>(body: &Json, check: impl FnOnce(Request<'_>, Vec<(String, Weight)>) -> T) -> T {
    let text = body.to_string();
    let (request, losses) = decode_request(text.as_bytes()).unwrap_or_else(|fault| panic!("{fault}"));
    let losses = losses.iter().map(|loss| (loss.field.to_string(), loss.weight)).collect();
    check(request, losses)
}

fn losses(body: &Json) -> Vec<(String, Weight)> {
    decoded(body, |_, losses| losses)
}

fn fault(body: &Json) -> String {
    let text = body.to_string();
    let Err(fault) = decode_request(text.as_bytes()) else { panic!("{body} was read") };
    fault.field.unwrap_or_default()
}

/// A request whose only turn is made of these blocks.
fn user(blocks: &Json) -> Json {
    json!({ "messages": [{ "role": "user", "content": blocks }] })
}

fn assistant(blocks: &Json) -> Json {
    json!({ "messages": [{ "role": "assistant", "content": blocks }] })
}

fn hint(name: &str) -> (String, Weight) {
    (name.to_owned(), Weight::Hint)
}

fn meaning(name: &str) -> (String, Weight) {
    (name.to_owned(), Weight::Meaning)
}

#[test]
fn instructions_stand_first_and_others_where_they_stand() {
    let body = json!({
        "system": "a",
        "messages": [{ "role": "user", "content": "b" }, { "role": "system", "content": [{ "type": "text", "text": "c" }] }],
    });
    decoded(&body, |request, losses| {
        let said: Vec<_> = request.turns.iter().map(|turn| (turn.speaker, turn.parts.clone())).collect();
        let text = |word| vec![Part::of(Content::Text(Literal::word(word)))];
        assert_eq!(
            said,
            [(Speaker::System, text("a")), (Speaker::User, text("b")), (Speaker::System, text("c"))]
        );
        assert!(losses.is_empty());
    });
}

#[test]
fn pictures_and_documents_are_read_wherever_they_are() {
    let blocks = json!([
        { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "eA==" } },
        { "type": "image", "source": { "type": "url", "url": "https://x" } },
        { "type": "image", "source": { "type": "file", "file_id": "f" } },
        { "type": "document", "title": "t", "source": { "type": "text", "media_type": "text/plain", "data": "d" } },
        { "type": "document", "source": { "type": "content", "content": "d" } },
    ]);
    decoded(&user(&blocks), |request, losses| {
        assert!(losses.is_empty());
        let word = Literal::word;
        let inline = Source::Inline { media_type: word("image/png"), data: word("eA==") };
        let image = |source| Content::Image { source, detail: None };
        let expected = [
            image(inline),
            image(Source::Url(word("https://x"))),
            image(Source::File(word("f"))),
            Content::Document { source: Source::Text(word("d")), name: Some(word("t")) },
            Content::Document { source: Source::Text(word("d")), name: None },
        ];
        assert_eq!(request.turns[0].parts, expected.map(Part::of));
    });
}

#[test]
fn a_result_knows_the_tool_of_its_call() {
    let body = json!({ "messages": [
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "a", "name": "t", "input": { "x": 1 } }] },
        { "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": "a", "content": [{ "type": "text", "text": "y" }], "is_error": true },
        ] },
    ] });
    decoded(&body, |request, _| {
        let Content::ToolResult(result) = &request.turns[1].parts[0].content else { panic!("{request:?}") };
        assert_eq!((result.name.text(), result.is_error), ("t".into(), true));
        assert_eq!(result.parts, [Part::of(Content::Text(Literal::word("y")))]);
    });
}

#[test]
fn signatures_are_whose_they_were() {
    let thinking = |signature| json!({ "type": "thinking", "thinking": "x", "signature": signature });
    let blocks = json!([
        thinking("c2ln"), thinking("openai.c2ln"), thinking(""), { "type": "redacted_thinking", "data": "gemini.ZGF0" },
    ]);
    decoded(&assistant(&blocks), |request, _| {
        let signed = |signature| Content::Reasoning { text: Literal::word("x"), signature };
        let signature = |by, text| Signature { by, text: Literal::word(text) };
        let expected = [
            signed(Some(signature(Dialect::Anthropic, "c2ln"))),
            signed(Some(signature(Dialect::OpenAi, "c2ln"))),
            signed(None),
            Content::Redacted(signature(Dialect::Gemini, "ZGF0")),
        ];
        assert_eq!(request.turns[0].parts, expected.map(Part::of));
    });
}

#[test]
fn cache_marks_are_kept_and_one_of_the_whole_is_at_its_end() {
    let long = json!({ "type": "ephemeral", "ttl": "1h" });
    let body = json!({
        "cache_control": { "type": "ephemeral" },
        "tools": [{ "name": "t", "input_schema": {}, "cache_control": long }],
        "messages": [{ "role": "user", "content": [
            { "type": "text", "text": "a", "cache_control": long }, { "type": "text", "text": "b" },
        ] }],
    });
    decoded(&body, |request, losses| {
        let caches: Vec<_> = request.turns[0].parts.iter().map(|part| part.cache).collect();
        assert_eq!(caches, [Some(Cache::Long), Some(Cache::Short)]);
        assert_eq!(request.tools[0].cache, Some(Cache::Long));
        assert!(losses.is_empty());
    });
}

#[test]
fn the_choice_of_tools_and_their_number_are_read() {
    let choice = |choice: Json| {
        decoded(&json!({ "tool_choice": choice }), |request, losses| {
            assert!(losses.is_empty());
            let one = matches!(&request.tool_choice, Some(ToolChoice::OneOf(names)) if names == &[Literal::word("t")]);
            (request.tool_choice == Some(ToolChoice::Required), one, request.parallel_tool_calls)
        })
    };
    assert_eq!(
        choice(json!({ "type": "any", "disable_parallel_tool_use": true })),
        (true, false, Some(false))
    );
    assert_eq!(choice(json!({ "type": "tool", "name": "t" })), (false, true, None));
    assert_eq!(choice(json!({ "type": "auto", "disable_parallel_tool_use": false })), (false, false, None));
}

#[test]
fn thinking_and_effort_come_to_one_wish() {
    let wish = |body: &Json| decoded(body, |request, losses| (request.reasoning, losses));
    let effort = json!({ "effort": "high" });
    let with = |thinking: Json| json!({ "thinking": thinking, "output_config": effort });
    let high = Some(Reasoning::Effort(Effort::High));
    assert_eq!(wish(&json!({ "output_config": effort })), (high, vec![]));
    assert_eq!(wish(&with(json!({ "type": "adaptive" }))), (high, vec![]));
    let lost = vec![hint("output_config.effort")];
    let budget = json!({ "type": "enabled", "budget_tokens": 2048 });
    assert_eq!(wish(&with(budget)), (Some(Reasoning::Budget(2048)), lost.clone()));
    assert_eq!(wish(&with(json!({ "type": "disabled" }))), (Some(Reasoning::Off), lost));
    assert_eq!(wish(&json!({ "thinking": { "type": "adaptive" } })), (Some(Reasoning::Auto), vec![]));
    let newer = json!({ "thinking": { "type": "between_tools", "display": "omitted" } });
    assert_eq!(wish(&newer), (Some(Reasoning::Auto), vec![hint("thinking"), hint("thinking.display")]));
}

#[test]
fn a_schema_is_read_from_its_old_place_too() {
    let format = json!({ "type": "json_schema", "schema": { "type": "object" } });
    for body in [json!({ "output_config": { "format": format } }), json!({ "output_format": format })] {
        decoded(&body, |request, losses| {
            let schema = Raw::word(r#"{"type":"object"}"#);
            let expected = Format::Schema { name: None, description: None, schema, strict: None };
            assert_eq!(request.format, Some(expected));
            assert!(losses.is_empty());
        });
    }
}

#[test]
fn what_others_have_not_got_is_named() {
    let server_tool = json!({ "type": "web_search_20250305", "name": "web_search" });
    let nested = json!({ "type": "content", "content": [{ "type": "text", "text": "x" }] });
    for (body, expected) in [
        (json!({ "max_tokens": 0 }), vec![meaning("max_tokens")]),
        (json!({ "tools": [server_tool] }), vec![meaning("tools")]),
        (
            json!({ "mcp_servers": [{}], "container": "c" }),
            vec![meaning("container"), meaning("mcp_servers")],
        ),
        (json!({ "mcp_servers": [], "container": null }), vec![]),
        (json!({ "service_tier": "auto", "speed": "fast" }), vec![hint("service_tier"), hint("speed")]),
        (json!({ "output_config": { "format": { "type": "x" } } }), vec![meaning("output_config.format")]),
        (json!({ "metadata": { "user_id": "u", "more": 1 } }), vec![hint("metadata.more")]),
        (json!({ "newer": 1, "not plain": 1 }), vec![hint("newer"), hint("(unknown)")]),
        (user(&json!([{ "type": "search_result", "x": 1 }])), vec![meaning("messages.content")]),
        (
            user(&json!([{ "type": "text", "text": "x", "citations": [{}] }])),
            vec![hint("messages.citations")],
        ),
        (user(&json!([{ "type": "document", "source": nested }])), vec![meaning("messages.document")]),
        (user(&json!([{ "type": "image", "source": { "type": "x" } }])), vec![meaning("messages.image")]),
        (
            json!({ "tools": [{ "name": "t", "input_schema": {}, "defer_loading": true }] }),
            vec![hint("tools.defer_loading")],
        ),
    ] {
        let mut found = losses(&body);
        let mut expected = expected;
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{body}");
    }
}

#[test]
fn what_cannot_be_understood_is_told_by_its_place() {
    let call = json!({ "type": "tool_use", "id": "a", "name": "t", "input": "{}" });
    let result = json!({ "type": "tool_result", "tool_use_id": "gone", "content": "x" });
    let mut flood = json!({ "role": "user", "content": "x" });
    (0..300).for_each(|n| flood[format!("newer_{n}")] = json!(1));
    for (body, field) in [
        (json!([]), ""),
        (json!({ "messages": {} }), "messages"),
        (json!({ "messages": ["x"] }), "messages[0]"),
        (json!({ "messages": [{ "role": "tool", "content": "x" }] }), "messages[0].role"),
        (json!({ "messages": [{ "role": "user" }] }), "messages[0].content"),
        (json!({ "messages": [flood] }), "messages[0]"),
        (user(&json!([{ "type": "text" }])), "messages[0].content[0].text"),
        (user(&json!([{ "text": "x" }])), "messages[0].content[0].type"),
        (user(&json!([call])), "messages[0].content[0].type"),
        (assistant(&json!([call])), "messages[0].content[0].input"),
        (user(&json!(["x", result])), "messages[0].content[0]"),
        (user(&json!([result])), "messages[0].content[0].tool_use_id"),
        (user(&json!([{ "type": "image" }])), "messages[0].content[0].source"),
        (
            user(&json!([{ "type": "image", "source": { "type": "url" } }])),
            "messages[0].content[0].source.url",
        ),
        (json!({ "system": [{ "type": "image" }] }), "system[0].type"),
        (json!({ "system": 7 }), "system"),
        (json!({ "tools": [{ "input_schema": {} }] }), "tools[0].name"),
        (json!({ "tool_choice": { "type": "some" } }), "tool_choice.type"),
        (json!({ "tool_choice": { "type": "tool" } }), "tool_choice.name"),
        (json!({ "thinking": { "type": "enabled" } }), "thinking.budget_tokens"),
        (json!({ "output_config": { "format": { "type": "json_schema" } } }), "output_config.format.schema"),
        (json!({ "output_config": { "format": 7 } }), "output_config.format"),
        (json!({ "max_tokens": "many" }), "max_tokens"),
        (json!({ "temperature": "hot" }), "temperature"),
        (json!({ "stop_sequences": [7] }), "stop_sequences[0]"),
        (json!({ "metadata": { "user_id": 7 } }), "metadata.user_id"),
        (json!({ "stream": "yes" }), "stream"),
    ] {
        assert_eq!(fault(&body), field, "{body}");
    }
}

#[test]
fn of_a_member_that_stands_there_twice_the_last_counts() {
    let body = br#"{"messages":[{"role":"user","content":"a"}],"max_tokens":1,"messages":[],"max_tokens":2}"#;
    let (request, losses) = decode_request(body).unwrap();
    assert_eq!((request.turns.len(), request.max_output), (0, Some(2)));
    assert!(losses.is_empty());
}

#[test]
fn a_flood_of_unknown_members_is_named_in_part() {
    let messages = (0..500).map(|i| {
        let mut message = json!({ "role": "user", "content": "x" });
        message[format!("newer_{i}")] = json!(1);
        message
    });
    let found = losses(&json!({ "messages": messages.collect::<Vec<_>>() }));
    assert_eq!(found.len(), 65);
    assert_eq!(found.last(), Some(&hint("(unknown)")));
}
