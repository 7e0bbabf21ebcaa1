//! Requests, written.

use serde_json::json;

use super::*;
use crate::dialect::Dialect;
use crate::dialect::neutral::{
    Content, Effort, Format, Literal, Part, Raw, Reasoning, Signature, Source, Speaker, Tool, ToolCall,
    ToolChoice, ToolResult, Turn,
};
use crate::dialect::translate::ReasoningForm;
use crate::units::Tokens;

fn text(text: &str) -> Literal<'static> {
    Literal::from_text(text)
}

fn said(text: &str) -> Content<'static> {
    Content::Text(Literal::from_text(text))
}

fn turn(speaker: Speaker, contents: Vec<Content<'static>>) -> Turn<'static> {
    Turn { speaker, name: None, parts: contents.into_iter().map(Part::of).collect() }
}

fn inline(media_type: &str) -> Source<'static> {
    Source::Inline { media_type: text(media_type), data: text("QUJD") }
}

fn call(id: &str) -> Content<'static> {
    Content::ToolCall(ToolCall {
        id: text(id),
        name: text("tide"),
        arguments: Raw::word(r#"{"at": "Brael"}"#),
        signature: None,
    })
}

fn result(id: &str, contents: Vec<Content<'static>>, is_error: bool) -> Content<'static> {
    let parts = contents.into_iter().map(Part::of).collect();
    Content::ToolResult(ToolResult { id: text(id), name: text("tide"), parts, is_error })
}

fn tool(name: &str) -> Tool<'static> {
    Tool { name: text(name), description: None, parameters: None, strict: None, cache: None }
}

fn asking() -> Request<'static> {
    Request { turns: vec![turn(Speaker::User, vec![said("hi")])], ..Request::default() }
}

/// What is lost of a question with something beside it.
fn lost(request: &Request<'_>, to: &Recipient<'_>) -> Vec<(String, Weight)> {
    let (_, lost) = written(request, to);
    lost.iter().map(|loss| (loss.field.to_string(), loss.weight)).collect()
}

#[test]
fn instructions_come_first_and_under_the_name_that_all_servers_know() {
    let request = Request {
        turns: vec![
            turn(Speaker::System, vec![said("One line."), said("Metres.")]),
            turn(Speaker::Developer, vec![said("Short.")]),
            turn(Speaker::User, vec![said("hi")]),
        ],
        ..Request::default()
    };
    let (body, lost) = written(&request, &RECIPIENT);
    let parts = json!([{ "type": "text", "text": "One line." }, { "type": "text", "text": "Metres." }]);
    assert_eq!(
        body["messages"],
        json!([
            { "role": "system", "content": parts },
            { "role": "system", "content": "Short." },
            { "role": "user", "content": "hi" },
        ])
    );
    assert!(lost.is_empty());
}

#[test]
fn results_stand_behind_their_calls_and_before_all_else() {
    let picture = Content::Image { source: inline("image/png"), detail: None };
    let request = Request {
        turns: vec![
            turn(Speaker::Model, vec![said("Looking."), call("a"), call("b"), call("c")]),
            turn(Speaker::User, vec![said("So?"), result("a", vec![said("2.4")], false)]),
            turn(
                Speaker::User,
                vec![result("b", vec![said("none")], true), result("c", vec![picture], false)],
            ),
        ],
        ..Request::default()
    };
    let (body, lost) = written(&request, &RECIPIENT);
    let call = |id: &str| json!({ "id": id, "type": "function", "function": { "name": "tide", "arguments": r#"{"at": "Brael"}"# } });
    let picture = json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,QUJD" } });
    assert_eq!(
        body["messages"],
        json!([
            { "role": "assistant", "content": "Looking.", "tool_calls": [call("a"), call("b"), call("c")] },
            { "role": "tool", "tool_call_id": "a", "content": "2.4" },
            { "role": "tool", "tool_call_id": "b", "content": "Error: none" },
            { "role": "tool", "tool_call_id": "c", "content": "See the next message." },
            { "role": "user", "content": [picture] },
            { "role": "user", "content": "So?" },
        ])
    );
    assert!(lost.is_empty());
}

#[test]
fn pictures_documents_and_sound_are_parts() {
    let request = Request {
        turns: vec![turn(
            Speaker::User,
            vec![
                said("See."),
                Content::Image {
                    source: Source::Url(text("https://example.com/a.png")),
                    detail: Some(text("low")),
                },
                Content::Document { source: inline("application/pdf"), name: Some(text("a.pdf")) },
                Content::Document { source: Source::Text(text("plain")), name: None },
                Content::Audio { data: text("QUJD"), format: text("mp3") },
            ],
        )],
        ..Request::default()
    };
    let (body, lost) = written(&request, &RECIPIENT);
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            { "type": "text", "text": "See." },
            { "type": "image_url", "image_url": { "url": "https://example.com/a.png", "detail": "low" } },
            { "type": "file", "file": { "filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD" } },
            { "type": "text", "text": "plain" },
            { "type": "input_audio", "input_audio": { "data": "QUJD", "format": "mp3" } },
        ])
    );
    assert!(lost.is_empty());
}

#[test]
fn a_result_says_no_more_than_it_has_to() {
    let request = Request {
        turns: vec![
            turn(Speaker::Model, vec![call("a"), call("b"), call("c")]),
            turn(
                Speaker::User,
                vec![
                    result("a", vec![said("")], false),
                    result("b", vec![], true),
                    result("c", vec![said(r#"{"error":"none"}"#)], true),
                ],
            ),
        ],
        ..Request::default()
    };
    let (body, _) = written(&request, &RECIPIENT);
    assert_eq!(
        body["messages"].as_array().unwrap()[1..],
        [
            json!({ "role": "tool", "tool_call_id": "a", "content": "" }),
            json!({ "role": "tool", "tool_call_id": "b", "content": "Error: " }),
            json!({ "role": "tool", "tool_call_id": "c", "content": r#"{"error":"none"}"# }),
        ]
    );
}

#[test]
fn what_a_chat_cannot_carry_is_named() {
    let contents = |contents: Vec<Content<'static>>| Request {
        turns: vec![turn(Speaker::User, [vec![said("So?")], contents].concat())],
        ..Request::default()
    };
    let model = |content: Content<'static>| Request {
        turns: vec![turn(Speaker::Model, vec![said("x"), content])],
        ..Request::default()
    };
    let reasoning = Content::Reasoning { text: text("Hm."), signature: None };
    let signature = Some(Signature { by: Dialect::Gemini, text: text("c2ln") });
    let (id, name) = (text("a"), text("tide"));
    let signed = Content::ToolCall(ToolCall { id, name, arguments: Raw::word("{}"), signature });
    let cases = [
        (
            contents(vec![Content::Image { source: Source::File(text("f")), detail: None }]),
            "messages.image",
            Weight::Meaning,
        ),
        (
            contents(vec![Content::Document { source: Source::Url(text("u")), name: None }]),
            "messages.document",
            Weight::Meaning,
        ),
        (
            contents(vec![Content::Audio { data: text("QUJD"), format: text("ogg") }]),
            "messages.audio",
            Weight::Meaning,
        ),
        (
            model(Content::Image { source: inline("image/png"), detail: None }),
            "messages.image",
            Weight::Meaning,
        ),
        (model(reasoning), "messages.reasoning", Weight::Hint),
        (model(signed), "messages.reasoning", Weight::Hint),
        (
            Request { turns: vec![turn(Speaker::User, vec![said("")])], ..asking() },
            "messages",
            Weight::Meaning,
        ),
        (
            Request {
                turns: vec![turn(
                    Speaker::System,
                    vec![said("x"), Content::Image { source: inline("image/png"), detail: None }],
                )],
                ..Request::default()
            },
            "messages.image",
            Weight::Meaning,
        ),
        (
            contents(vec![Content::Document { source: Source::Text(text("x")), name: Some(text("a.txt")) }]),
            "messages.document.name",
            Weight::Hint,
        ),
        (Request { top_k: Some(Raw::word("40")), ..asking() }, "top_k", Weight::Hint),
        (
            Request { stop: (0..5).map(|n| text(&format!("{n}"))).collect(), ..asking() },
            "stop",
            Weight::Meaning,
        ),
        (Request { logprobs: Some(2), ..asking() }, "logprobs", Weight::Meaning),
        (Request { tool_choice: Some(ToolChoice::Required), ..asking() }, "tool_choice", Weight::Meaning),
    ];
    for (request, field, weight) in cases {
        assert_eq!(lost(&request, &RECIPIENT), [(field.to_owned(), weight)], "{request:?}");
    }
}

#[test]
fn a_model_that_takes_no_sampling_gets_only_defaults_left_out() {
    let to = Recipient { accepts: Accepts { sampling: false, ..RECIPIENT.accepts }, ..RECIPIENT };
    let usual = Request { temperature: Some(Raw::word("1.0")), top_p: Some(Raw::word("1")), ..asking() };
    let (body, nothing) = written(&usual, &to);
    assert!(nothing.is_empty() && body.get("temperature").is_none() && body.get("top_p").is_none(), "{body}");
    let other = Request {
        temperature: Some(Raw::word("0")),
        top_p: Some(Raw::word("0.9")),
        top_k: Some(Raw::word("1")),
        ..asking()
    };
    let all = ["temperature", "top_p", "top_k"].map(|name| (name.to_owned(), Weight::Meaning));
    assert_eq!(lost(&other, &to), all);
}

#[test]
fn what_a_model_does_not_take_is_named() {
    let schema = Format::Schema { name: None, description: None, schema: Raw::word("{}"), strict: None };
    let forced = |choice| Request { tools: vec![tool("a")], tool_choice: Some(choice), ..asking() };
    let nothing =
        Accepts { forced_tool_choice: false, prefill: false, json_schema: false, ..RECIPIENT.accepts };
    let to = Recipient { accepts: nothing, ..RECIPIENT };
    let ending = Request { turns: vec![turn(Speaker::Model, vec![said("{")])], ..Request::default() };
    for (request, field) in [
        (Request { format: Some(schema), ..asking() }, "response_format"),
        (forced(ToolChoice::Required), "tool_choice"),
        (forced(ToolChoice::OneOf(vec![text("a")])), "tool_choice"),
        (ending, "messages"),
    ] {
        assert_eq!(lost(&request, &to), [(field.to_owned(), Weight::Meaning)], "{request:?}");
        assert_eq!(lost(&request, &RECIPIENT), [], "{request:?}");
    }
    for choice in [ToolChoice::Auto, ToolChoice::None, ToolChoice::Allowed(vec![text("a")])] {
        assert_eq!(lost(&forced(choice), &to), []);
    }
}

#[test]
fn tools_that_may_not_be_called_are_left_out() {
    let names = |choice| {
        let tools = vec![tool("a"), tool("b"), tool("c")];
        let (body, _) = written(&Request { tools, tool_choice: Some(choice), ..asking() }, &RECIPIENT);
        let names = body["tools"].as_array().unwrap().iter().map(|tool| tool["function"]["name"].to_string());
        (names.collect::<String>(), body["tool_choice"].clone())
    };
    let two = || vec![text("a"), text("c")];
    assert_eq!(names(ToolChoice::Allowed(two())), (r#""a""c""#.to_owned(), json!("auto")));
    assert_eq!(names(ToolChoice::OneOf(two())), (r#""a""c""#.to_owned(), json!("required")));
    let one = json!({ "type": "function", "function": { "name": "b" } });
    assert_eq!(names(ToolChoice::OneOf(vec![text("b")])), (r#""a""b""c""#.to_owned(), one));
}

#[test]
fn without_tools_nothing_is_said_of_them() {
    let request =
        Request { tool_choice: Some(ToolChoice::Auto), parallel_tool_calls: Some(false), ..asking() };
    let (body, lost) = written(&request, &RECIPIENT);
    assert_eq!(body, json!({ "model": "some-model", "messages": [{ "role": "user", "content": "hi" }] }));
    assert!(lost.is_empty());
}

#[test]
fn how_much_is_thought_is_said_in_words() {
    let effort = |reasoning, form| {
        let to = Recipient { accepts: Accepts { reasoning: form, ..RECIPIENT.accepts }, ..RECIPIENT };
        let (body, lost) = written(&Request { reasoning: Some(reasoning), ..asking() }, &to);
        (body.get("reasoning_effort").cloned(), !lost.is_empty())
    };
    let word = |word: &str| (Some(json!(word)), false);
    assert_eq!(effort(Reasoning::Off, ReasoningForm::Effort), word("none"));
    assert_eq!(effort(Reasoning::Auto, ReasoningForm::Effort), (None, false));
    assert_eq!(effort(Reasoning::Effort(Effort::XHigh), ReasoningForm::Effort), word("xhigh"));
    for (tokens, expected) in [(1024, "low"), (2048, "medium"), (8191, "medium"), (8192, "high")] {
        assert_eq!(effort(Reasoning::Budget(tokens), ReasoningForm::Effort), word(expected));
    }
    assert_eq!(effort(Reasoning::Off, ReasoningForm::Nothing), (None, false));
    assert_eq!(effort(Reasoning::Effort(Effort::Low), ReasoningForm::Nothing), (None, true));
    assert_eq!(effort(Reasoning::Budget(9), ReasoningForm::Budget), (None, true));
}

#[test]
fn the_bound_stands_in_the_field_that_the_server_knows() {
    let request = Request { max_output: Some(900), ..asking() };
    let body = |to: &Recipient<'_>| written(&request, to).0;
    assert_eq!(body(&RECIPIENT)["max_completion_tokens"], 900);
    assert_eq!(
        body(&Recipient { max_tokens_field: MaxTokensField::MaxTokens, ..RECIPIENT })["max_tokens"],
        900
    );
    assert_eq!(body(&Recipient { max_output: Some(Tokens(500)), ..RECIPIENT })["max_completion_tokens"], 500);
}

#[test]
fn a_stream_is_asked_for_its_usage_where_the_server_has_to_be() {
    let request = Request { stream: true, ..asking() };
    let (asked, _) = written(&request, &RECIPIENT);
    assert_eq!(
        (&asked["stream"], &asked["stream_options"]),
        (&json!(true), &json!({ "include_usage": true }))
    );
    let (other, _) = written(&request, &Recipient { ask_usage: false, ..RECIPIENT });
    assert!(other["stream"] == true && other.get("stream_options").is_none());
}

#[test]
fn a_schema_has_a_name() {
    let format =
        Format::Schema { name: None, description: None, schema: Raw::word(r#"{"a":1}"#), strict: None };
    let (body, _) = written(&Request { format: Some(format), ..asking() }, &RECIPIENT);
    let expected =
        json!({ "type": "json_schema", "json_schema": { "name": "answer", "schema": { "a": 1 } } });
    assert_eq!(body["response_format"], expected);
}

#[test]
fn what_a_model_has_thought_goes_back_only_where_it_is_wanted() {
    let thought = Content::Reasoning { text: Literal::word("hm"), signature: None };
    let said = Turn {
        speaker: Speaker::Model,
        name: None,
        parts: vec![Part::of(thought), Part::of(Content::Text(Literal::word("yes")))],
    };
    let request = Request { turns: vec![said], ..Request::default() };
    let (plain, lost) = written(&request, &RECIPIENT);
    assert_eq!(plain["messages"][0]["reasoning_content"], Value::Null);
    assert!(lost.iter().any(|loss| loss.field == "messages.reasoning"));
    let (wanted, lost) = written(&request, &Recipient { wants_reasoning: true, ..RECIPIENT });
    assert_eq!(wanted["messages"][0]["reasoning_content"], "hm");
    assert!(lost.is_empty());
}
