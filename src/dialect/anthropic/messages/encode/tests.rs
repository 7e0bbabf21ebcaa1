use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::samples::{any_request, call, literal, result, signature, text, turn};
use super::*;
use crate::dialect::neutral::Raw;
use crate::dialect::neutral::{
    Cache, Content, Literal, Part, Source, Speaker, Tool, ToolChoice, Turn, Weight,
};
use crate::dialect::provider::MaxTokensField;
use crate::dialect::translate::Accepts;
use crate::dialect::{Dialect, samples as files};
use crate::units::Tokens;

mod settings;

fn recipient(accepts: Accepts, max_output: Option<u64>) -> Recipient<'static> {
    let max_output = max_output.map(Tokens);
    let max_tokens_field = MaxTokensField::MaxTokens;
    Recipient {
        model: "claude-sonnet-4-5",
        accepts,
        max_tokens_field,
        max_output,
        ask_usage: false,
        wants_reasoning: false,
    }
}

/// The body, and what was lost.
fn encoded(request: &Request<'_>, to: &Recipient<'_>) -> (Value, Vec<(String, Weight)>) {
    let mut lost = Losses::default();
    let body = encode_request(request, to, &mut lost).body(None);
    let lost = lost.iter().map(|loss| (loss.field.to_string(), loss.weight)).collect();
    (serde_json::from_slice(&body).unwrap(), lost)
}

fn plainly(request: &Request<'_>) -> (Value, Vec<(String, Weight)>) {
    encoded(request, &recipient(Accepts::default(), None))
}

fn hint(name: &str) -> (String, Weight) {
    (name.to_owned(), Weight::Hint)
}

fn meaning(name: &str) -> (String, Weight) {
    (name.to_owned(), Weight::Meaning)
}

fn asking(turns: Vec<Turn<'static>>) -> Request<'static> {
    Request { turns, ..Request::default() }
}

fn hello() -> Request<'static> {
    asking(vec![turn(Speaker::User, vec![text("hi")])])
}

fn tool(name: &str) -> Tool<'static> {
    Tool { name: literal(name), description: None, parameters: None, strict: None, cache: None }
}

#[test]
fn the_sample_is_written_as_the_map_has_it() {
    let png = Source::Inline { media_type: literal("image/png"), data: literal("iVBORw0KGgo=") };
    let schema = r#"{"type":"object","properties":{"harbour":{"type":"string"},"hours":{"type":"integer"}},"required":["harbour"],"additionalProperties":false}"#;
    let level = Tool {
        description: Some(literal("Water level at a harbour.")),
        parameters: Some(Raw::word(schema)),
        ..tool("tide_level")
    };
    let said = vec![
        text("Looking."),
        Part::of(call("call_a", "tide_level", r#"{"harbour":"Brael"}"#)),
        Part::of(call("call_b", "now", "{}")),
    ];
    let request = Request {
        tools: vec![level, tool("now")],
        tool_choice: Some(ToolChoice::Required),
        parallel_tool_calls: Some(false),
        max_output: Some(256),
        stop: vec![literal("END")],
        user: Some(literal("u-17")),
        stream: true,
        ..asking(vec![
            turn(Speaker::System, vec![text("Answer in one line.")]),
            turn(Speaker::Developer, vec![text("Use metres.")]),
            turn(
                Speaker::User,
                vec![text("Levels?"), Part::of(Content::Image { source: png, detail: None })],
            ),
            turn(Speaker::Model, said),
            turn(Speaker::User, vec![result("call_a", "tide_level", "{\"metres\":2.4}")]),
            turn(Speaker::User, vec![result("call_b", "now", "noon")]),
            turn(Speaker::User, vec![text("So?")]),
        ])
    };
    let (body, lost) = plainly(&request);
    assert_eq!(lost, []);
    assert_eq!(body, serde_json::from_slice::<Value>(&files::map("request.anthropic.json")).unwrap());
}

#[test]
fn results_stand_first_and_empty_texts_nowhere() {
    let request = asking(vec![
        turn(Speaker::Model, vec![text(" \n"), Part::of(call("a", "t", "{}"))]),
        turn(Speaker::User, vec![text("x"), text("")]),
        turn(Speaker::Model, vec![text("")]),
        turn(Speaker::User, vec![result("a", "t", "")]),
    ]);
    let (body, lost) = plainly(&request);
    assert_eq!(lost, []);
    let expected = json!([
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "a", "name": "t", "input": {} }] },
        { "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": "a" }, { "type": "text", "text": "x" },
        ] },
    ]);
    assert_eq!(body["messages"], expected);
}

#[test]
fn instructions_in_the_midst_come_first_which_is_told() {
    let request = asking(vec![
        turn(Speaker::User, vec![text("a")]),
        turn(Speaker::System, vec![text("b")]),
        turn(Speaker::User, vec![text("c")]),
    ]);
    let (body, lost) = plainly(&request);
    assert_eq!(lost, [hint("messages.order")]);
    assert_eq!(body["system"], json!([{ "type": "text", "text": "b" }]));
    assert_eq!(body["messages"].as_array().unwrap().len(), 1);
    let alone = asking(vec![turn(Speaker::System, vec![text("b")])]);
    assert_eq!(plainly(&alone).1, [meaning("messages")]);
}

#[test]
fn ids_that_are_refused_get_new_ones_at_both_ends() {
    let said = vec![
        Part::of(call("a.1", "t", "{}")),
        Part::of(call("call_0", "t", "{}")),
        Part::of(call("", "t", "{}")),
    ];
    let results = vec![result("a.1", "t", "x"), result("call_0", "t", "y"), result("", "t", "z")];
    let (body, _) = plainly(&asking(vec![turn(Speaker::Model, said), turn(Speaker::User, results)]));
    let ids = |turn: usize, name: &str| -> Vec<String> {
        let blocks = body["messages"][turn]["content"].as_array().unwrap();
        blocks.iter().map(|block| block[name].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(0, "id"), ["call_1", "call_0", "call_2"]);
    assert_eq!(ids(1, "tool_use_id"), ids(0, "id"));
}

#[test]
fn reasoning_of_others_stays_behind() {
    let thought = |signature| Part::of(Content::Reasoning { text: literal("x"), signature });
    let said = vec![
        thought(Some(signature(Dialect::Anthropic, "s"))),
        thought(Some(signature(Dialect::Gemini, "s"))),
        thought(None),
        Part::of(Content::Redacted(signature(Dialect::OpenAi, "d"))),
        Part::of(Content::Redacted(signature(Dialect::Anthropic, "d"))),
        Part::of(Content::Refusal(literal("no"))),
    ];
    let (body, lost) = plainly(&asking(vec![turn(Speaker::Model, said)]));
    assert_eq!(lost, [hint("messages.reasoning")]);
    let expected = json!([
        { "type": "thinking", "thinking": "x", "signature": "s" },
        { "type": "redacted_thinking", "data": "d" },
        { "type": "text", "text": "no" },
    ]);
    assert_eq!(body["messages"][0]["content"], expected);
}

#[test]
fn media_that_anthropic_does_not_take_are_named() {
    let inline = |kind: &str| Source::Inline { media_type: literal(kind), data: literal("eA==") };
    let image = |source| Content::Image { source, detail: None };
    let document = |source| Content::Document { source, name: None };
    let detailed = |detail| Content::Image { source: inline("image/gif"), detail: Some(literal(detail)) };
    for (content, expected) in [
        (image(inline("image/jpg")), vec![]),
        (image(inline("image/bmp")), vec![meaning("messages.image")]),
        (image(Source::Url(literal("data:x"))), vec![meaning("messages.image")]),
        (image(Source::File(literal("f"))), vec![meaning("messages.image")]),
        (detailed("auto"), vec![]),
        (detailed("low"), vec![hint("image.detail")]),
        (document(inline("application/pdf")), vec![]),
        (document(inline("text/csv")), vec![meaning("messages.document")]),
        (document(Source::File(literal("f"))), vec![meaning("messages.document")]),
        (Content::Audio { data: literal("eA=="), format: literal("wav") }, vec![meaning("messages.audio")]),
    ] {
        let request = asking(vec![turn(Speaker::User, vec![text("x"), Part::of(content)])]);
        assert_eq!(plainly(&request).1, expected, "{request:?}");
    }
}

#[test]
fn no_more_cache_marks_are_written_than_are_taken() {
    let marked = |words| Part { cache: Some(Cache::Short), ..text(words) };
    let parts = ["a", "b", "c", "d", "e"].map(marked).to_vec();
    let (body, lost) = plainly(&asking(vec![turn(Speaker::User, parts)]));
    assert_eq!(lost, [hint("messages.cache_hint")]);
    let blocks = body["messages"][0]["content"].as_array().unwrap();
    let marks: Vec<_> = blocks.iter().map(|block| block["cache_control"].is_object()).collect();
    assert_eq!(marks, [false, true, true, true, true]);
}

proptest! {
    #[test]
    fn whatever_is_asked_turns_alternate_and_say_something(
        request in any_request(), order in prop::collection::vec((0..4_usize, any::<prop::sample::Index>()), 0..9),
    ) {
        // The same turns in any order, by any speaker.
        let speakers = [Speaker::System, Speaker::Developer, Speaker::User, Speaker::Model];
        let turns = order.into_iter().map(|(speaker, turn)| {
            let turn = turn.get(&request.turns);
            Turn { speaker: speakers[speaker], name: None, parts: turn.parts.clone() }
        });
        let request = Request { turns: turns.collect(), ..request.clone() };
        let (body, _) = plainly(&request);
        let messages = body["messages"].as_array().unwrap();
        for pair in messages.windows(2) {
            prop_assert_ne!(&pair[0]["role"], &pair[1]["role"]);
        }
        for message in messages {
            let blocks = message["content"].as_array().unwrap();
            prop_assert!(!blocks.is_empty());
            let results = blocks.iter().map(|block| block["type"] != "tool_result");
            prop_assert!(results.is_sorted());
            for text in blocks.iter().filter_map(|block| block["text"].as_str()) {
                prop_assert!(!text.trim().is_empty());
            }
        }
        prop_assert!(body["max_tokens"].as_u64().unwrap() > 0);
        let marks = body.to_string().matches(r#""cache_control":{"#).count();
        prop_assert!(marks <= 4);
    }
}

#[test]
fn a_literal_goes_over_as_it_was_written() {
    let value = crate::dialect::json::document(br#""\u0041\/""#).unwrap();
    let said = Part::of(Content::Text(Literal::of(&value).unwrap()));
    let request = Request {
        turns: vec![Turn { speaker: Speaker::User, name: None, parts: vec![said] }],
        ..Request::default()
    };
    let mut lost = Losses::default();
    let body = encode_request(&request, &recipient(Accepts::default(), None), &mut lost).body(None);
    assert!(String::from_utf8_lossy(&body).contains(r#""text":"\u0041\/""#));
}
