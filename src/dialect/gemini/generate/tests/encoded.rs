//! What a provider of Gemini's is asked.

mod options;

use serde_json::{Value, json};

use super::*;
use crate::dialect::gemini::generate::encode_request;
use crate::dialect::neutral::{
    Cache, Effort, Format, Raw, Reasoning, Request, Signature, Source, Speaker, Tool, ToolChoice, ToolResult,
    Turn,
};
use crate::dialect::translate::ReasoningForm;
use crate::dialect::{Dialect, samples};
use crate::units::Tokens;

fn said(speaker: Speaker, contents: Vec<Content<'static>>) -> Turn<'static> {
    Turn { speaker, name: None, parts: contents.into_iter().map(Part::of).collect() }
}

fn asking() -> Request<'static> {
    Request { turns: vec![said(Speaker::User, vec![words("hi")])], ..Request::default() }
}

fn words(words: &str) -> Content<'static> {
    Content::Text(text(words))
}

fn call(id: &str, name: &str, arguments: &'static str) -> Content<'static> {
    let (id, name) = (text(id), text(name));
    Content::ToolCall(ToolCall { id, name, arguments: Raw::word(arguments), signature: None })
}

fn result(id: &str, name: &str, words: &str, is_error: bool) -> Content<'static> {
    let parts = vec![Part::of(Content::Text(text(words)))];
    Content::ToolResult(ToolResult { id: text(id), name: text(name), parts, is_error })
}

fn tool(name: &str) -> Tool<'static> {
    Tool { name: text(name), description: None, parameters: None, strict: None, cache: None }
}

/// `samples/map/request.openai.json`, by hand.
fn golden() -> Request<'static> {
    let source = Source::Inline { media_type: text("image/png"), data: text("iVBORw0KGgo=") };
    let schema = &json(&samples::map("request.openai.json"))["tools"][0]["function"]["parameters"];
    let tide_level = Tool {
        description: Some(text("Water level at a harbour.")),
        parameters: Some(Raw::written(schema.to_string().into_bytes())),
        ..tool("tide_level")
    };
    Request {
        turns: vec![
            said(Speaker::System, vec![words("Answer in one line.")]),
            said(Speaker::Developer, vec![words("Use metres.")]),
            said(Speaker::User, vec![words("Levels?"), Content::Image { source, detail: None }]),
            said(
                Speaker::Model,
                vec![
                    words("Looking."),
                    call("call_a", "tide_level", r#"{"harbour":"Brael"}"#),
                    call("call_b", "now", "{}"),
                ],
            ),
            said(Speaker::User, vec![result("call_a", "tide_level", r#"{"metres":2.4}"#, false)]),
            said(Speaker::User, vec![result("call_b", "now", "noon", false)]),
            said(Speaker::User, vec![words("So?")]),
        ],
        tools: vec![tide_level, tool("now")],
        tool_choice: Some(ToolChoice::Required),
        parallel_tool_calls: Some(false),
        max_output: Some(256),
        stop: vec![text("END")],
        user: Some(text("u-17")),
        stream: true,
        ..Request::default()
    }
}

fn encoded(request: &Request<'_>, accepts: Accepts) -> (Value, Vec<String>) {
    let mut lost = Losses::default();
    let prepared = encode_request(request, &recipient(accepts), &mut lost);
    (written(&prepared), names(&lost))
}

fn of_turns(turns: Vec<Turn<'static>>) -> (Value, Vec<String>) {
    encoded(&Request { turns, ..Request::default() }, Accepts::default())
}

#[test]
fn the_golden_requests_are_written_for_both_generations() {
    for (call_ids, name) in [(true, "request.gemini-3.json"), (false, "request.gemini-2.5.json")] {
        let (body, lost) = encoded(&golden(), Accepts { call_ids, ..Accepts::default() });
        assert_eq!(body, json(&samples::map(name)), "{name}");
        assert_eq!(lost, ["user", "parallel_tool_calls"]);
    }
}

#[test]
fn the_bound_stands_first_and_may_be_lowered() {
    let prepared = |request: &Request<'_>| {
        encode_request(request, &recipient(Accepts::default()), &mut Losses::default())
    };
    let bound = |request: &Request<'_>, cap| {
        json(&prepared(request).body(cap))["generationConfig"]["maxOutputTokens"].clone()
    };
    assert_eq!(bound(&golden(), Some(Tokens(100))), 100);
    assert_eq!(bound(&golden(), Some(Tokens(1000))), 256);
    assert_eq!(bound(&Request::default(), Some(Tokens(100))), 100);
    assert_eq!(bound(&Request::default(), None), Value::Null);
}

#[test]
fn instructions_go_to_the_top_and_neighbours_are_merged() {
    let (body, lost) = of_turns(vec![
        said(Speaker::User, vec![words("a"), words("")]),
        said(Speaker::User, vec![words("b")]),
        said(Speaker::Model, vec![Content::Reasoning { text: text("x"), signature: None }]),
        said(Speaker::Developer, vec![words("s")]),
        said(Speaker::User, vec![words("c")]),
        said(Speaker::Model, vec![Content::Refusal(text("no"))]),
    ]);
    let expected = json!({
        "generationConfig": {}, "systemInstruction": { "parts": [{ "text": "s" }] },
        "contents": [
            { "role": "user", "parts": [{ "text": "a" }, { "text": "b" }, { "text": "c" }] },
            { "role": "model", "parts": [{ "text": "no" }] },
        ],
    });
    assert_eq!(body, expected);
    assert_eq!(lost, ["messages.reasoning", "messages.order"]);
}

#[test]
fn instructions_alone_are_asked() {
    let (body, lost) = of_turns(vec![said(Speaker::System, vec![words("s")])]);
    assert_eq!(
        body,
        json!({ "generationConfig": {}, "contents": [{ "role": "user", "parts": [{ "text": "s" }] }] })
    );
    assert_eq!(lost, ["messages.order"]);
}

#[test]
fn the_first_call_of_a_turn_is_signed_with_what_is_there() {
    let own = |text: &'static str| Signature { by: Dialect::Gemini, text: super::text(text) };
    let foreign = Signature { by: Dialect::Anthropic, text: text("x") };
    let signatures = |contents: Vec<Content<'static>>, call_ids| {
        let request = Request { turns: vec![said(Speaker::Model, contents)], ..Request::default() };
        let (body, lost) = encoded(&request, Accepts { call_ids, ..Accepts::default() });
        let parts = body["contents"][0]["parts"].as_array().unwrap().clone();
        (
            parts.iter().map(|part| part["thoughtSignature"].as_str().map(str::to_owned)).collect::<Vec<_>>(),
            lost,
        )
    };
    let signed = |by: Signature<'static>| {
        let (id, name) = (text("c"), text("f"));
        Content::ToolCall(ToolCall { id, name, arguments: Raw::word("{}"), signature: Some(by) })
    };
    let skip = Some("c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=".to_owned());
    let two = || vec![call("a", "f", "{}"), call("b", "g", "{}")];
    assert_eq!(signatures(two(), true).0, [skip.clone(), None]);
    assert_eq!(signatures(two(), false).0, [None, None]);
    assert_eq!(signatures(vec![signed(own("c2ln"))], false).0, [Some("c2ln".to_owned())]);
    // A caller may bring it back only beside the call.
    let beside = || [vec![Content::Redacted(own("c2ln"))], two()].concat();
    assert_eq!(signatures(beside(), true).0, [Some("c2ln".to_owned()), None]);
    let lost = vec!["messages.reasoning".to_owned()];
    assert_eq!(signatures(vec![signed(foreign.clone())], true), (vec![skip], lost.clone()));
    assert_eq!(signatures(vec![Content::Redacted(foreign), words("x")], true), (vec![None], lost));
}

#[test]
fn a_response_is_an_object_that_says_whether_it_is_an_error() {
    for (words, is_error, expected) in [
        ("noon", false, json!({ "output": "noon" })),
        ("[1]", false, json!({ "output": "[1]" })),
        (r#" {"a":1} "#, false, json!({ "a": 1 })),
        ("no", true, json!({ "error": "no" })),
        (r#"{"a":1}"#, true, json!({ "error": { "a": 1 } })),
        (r#"{"error":"x"}"#, true, json!({ "error": "x" })),
        ("", false, json!({ "output": "" })),
    ] {
        let turn = said(Speaker::User, vec![result("i", "f", words, is_error)]);
        let (body, _) = of_turns(vec![turn]);
        assert_eq!(body["contents"][0]["parts"][0]["functionResponse"]["response"], expected, "{words}");
    }
}

#[test]
fn pictures_of_a_result_stand_behind_it() {
    let source = Source::Inline { media_type: text("image/png"), data: text("AA==") };
    let parts =
        vec![Part::of(words("a")), Part::of(Content::Image { source, detail: None }), Part::of(words("b"))];
    let result = Content::ToolResult(ToolResult { id: text("i"), name: text("f"), parts, is_error: false });
    let (body, lost) = of_turns(vec![said(Speaker::User, vec![result])]);
    let expected = json!([
        { "functionResponse": { "name": "f", "response": { "output": "a\nb" } } },
        { "inlineData": { "mimeType": "image/png", "data": "AA==" } },
    ]);
    assert_eq!(body["contents"][0]["parts"], expected);
    assert!(lost.is_empty());
}

#[test]
fn nothing_is_fetched_and_only_what_stands_in_the_request_is_carried() {
    let image = |source| Content::Image { source, detail: Some(text("high")) };
    let document = |source| Content::Document { source, name: Some(text("a.pdf")) };
    for (content, expected) in [
        (image(Source::Url(text("https://a.example/x.png"))), vec!["image.detail", "messages.image!"]),
        (image(Source::File(text("file-1"))), vec!["image.detail", "messages.image!"]),
        (
            document(Source::Url(text("https://a.example/x.pdf"))),
            vec!["messages.document.name", "messages.document!"],
        ),
        (document(Source::Text(text("plain"))), vec!["messages.document.name"]),
    ] {
        assert_eq!(of_turns(vec![said(Speaker::User, vec![words("So?"), content])]).1, expected);
    }
    let plain = document(Source::Text(text("plain")));
    let (body, _) = of_turns(vec![said(Speaker::User, vec![plain])]);
    let expected = json!({ "inlineData": { "mimeType": "text/plain", "data": "cGxhaW4=" } });
    assert_eq!(body["contents"][0]["parts"][0], expected);
}
