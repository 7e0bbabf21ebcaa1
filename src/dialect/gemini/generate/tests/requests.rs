//! What a caller's request says.

mod config;
mod refused;

use serde_json::{Value, json};

use super::*;
use crate::dialect::gemini::generate::decode_request;
use crate::dialect::neutral::{
    Effort, Format, Raw, Reasoning, Request, Signature, Source, Speaker, Tool, ToolChoice, ToolResult, Turn,
};
use crate::dialect::{Dialect, samples};

fn reads(body: &Value, check: impl FnOnce(Request<'_>, Vec<String>)) {
    let text = body.to_string();
    let (request, lost) = decode_request(text.as_bytes()).unwrap();
    check(request, names(&lost));
}

fn refused(body: &Value) -> Option<String> {
    decode_request(body.to_string().as_bytes()).map(drop).unwrap_err().field
}

fn lost(body: &Value) -> Vec<String> {
    names(&decode_request(body.to_string().as_bytes()).unwrap().1)
}

/// The parts of the only turn, which the model or the user has.
fn parts(role: &str, parts: &Value, check: impl FnOnce(Vec<Content<'_>>)) {
    reads(&json!({ "contents": [{ "role": role, "parts": parts }] }), |request, _| {
        let turn = request.turns.into_iter().next().unwrap();
        check(turn.parts.into_iter().map(|part| part.content).collect());
    });
}

fn config(config: &Value, check: impl FnOnce(Request<'_>, Vec<String>)) {
    reads(&json!({ "generationConfig": config }), check);
}

/// Renames every key of the request itself to the other spelling.
fn snake(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let name = |key: &String| {
                key.chars().fold(String::new(), |name, letter| match letter {
                    'A'..='Z' => name + "_" + &letter.to_lowercase().to_string(),
                    other => name + &other.to_string(),
                })
            };
            Value::Object(members.iter().map(|(key, value)| (name(key), snake(value))).collect())
        }
        Value::Array(elements) => Value::Array(elements.iter().map(snake).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[test]
fn a_single_content_or_part_may_stand_without_a_list() {
    let body = json!({
        "systemInstruction": { "parts": { "text": "One line." } },
        "contents": { "role": "user", "parts": { "text": "So?" } },
    });
    let listed = json!({
        "systemInstruction": { "parts": [{ "text": "One line." }] },
        "contents": [{ "role": "user", "parts": [{ "text": "So?" }] }],
    });
    reads(&body, |single, lost| {
        assert!(lost.is_empty());
        reads(&listed, |several, _| assert_eq!(single, several));
    });
}

#[test]
fn the_sample_says_what_it_says_under_either_spelling() {
    let body = json(&samples::gemini("generate.request.json"));
    let tide = || ToolCall {
        id: text("call_t1"),
        name: text("tide_level"),
        arguments: Raw::word(r#"{"harbour":"Brael"}"#),
        signature: Some(Signature { by: Dialect::Gemini, text: text("c2ln") }),
    };
    let said = |speaker, contents: Vec<Content<'static>>| Turn {
        speaker,
        name: None,
        parts: contents.into_iter().map(Part::of).collect(),
    };
    let image = Source::Inline { media_type: text("image/png"), data: text("iVBORw0KGgo=") };
    let result = ToolResult {
        id: text("call_t1"),
        name: text("tide_level"),
        parts: vec![Part::of(Content::Text(text(r#"{"metres":2.4}"#)))],
        is_error: false,
    };
    let schema = &body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"];
    let expected = Request {
        turns: vec![
            said(Speaker::System, vec![Content::Text(text("Answer in one line."))]),
            said(
                Speaker::User,
                vec![
                    Content::Text(text("Is the tide high at Brael harbour?")),
                    Content::Image { source: image, detail: None },
                ],
            ),
            said(Speaker::Model, vec![Content::ToolCall(tide())]),
            said(Speaker::User, vec![Content::ToolResult(result)]),
        ],
        tools: vec![Tool {
            name: text("tide_level"),
            description: Some(text("Water level at a harbour.")),
            parameters: Some(Raw::written(schema.to_string().into_bytes())),
            strict: None,
            cache: None,
        }],
        tool_choice: Some(ToolChoice::Auto),
        max_output: Some(256),
        temperature: Some(Raw::word("0.2")),
        stop: vec![text("END")],
        ..Request::default()
    };
    reads(&body, |request, lost| {
        assert_eq!(request, expected);
        assert!(lost.is_empty());
    });
    let mut snake = snake(&body);
    // What is the caller's own is no field.
    snake["tools"][0]["function_declarations"][0]["parameters_json_schema"] = schema.clone();
    reads(&snake, |request, lost| {
        assert_eq!(request, expected);
        assert!(lost.is_empty());
    });
}

#[test]
fn calls_without_ids_get_them_by_their_place_and_responses_find_them_by_name_and_order() {
    let call = |name: &str| json!({ "functionCall": { "name": name } });
    let response = |name: &str, output: &str| json!({ "functionResponse": { "name": name, "response": { "output": output } } });
    let body = json!({ "contents": [
        { "role": "user", "parts": [{ "text": "?" }] },
        { "role": "model", "parts": [call("a")] },
        { "role": "user", "parts": [{ "text": "never mind" }] },
        // Google's clients keep a content of each event.
        { "role": "model", "parts": [call("a"), call("b")] },
        { "role": "model", "parts": [call("a")] },
        { "role": "function", "parts": [response("a", "1"), response("b", "2")] },
        { "role": "user", "parts": [response("a", "3")] },
    ]});
    reads(&body, |request, lost| {
        assert!(lost.is_empty());
        assert_eq!(request.turns.len(), 5);
        let ids = |turn: usize| -> Vec<(String, String)> {
            let of = |part: &Part<'_>| {
                if let Content::ToolCall(call) = &part.content {
                    return (call.id.text().into_owned(), call.name.text().into_owned());
                }
                let Content::ToolResult(result) = &part.content else { panic!("{part:?}") };
                let Content::Text(text) = &result.parts[0].content else { panic!("{result:?}") };
                (result.id.text().into_owned(), text.text().into_owned())
            };
            request.turns[turn].parts.iter().map(of).collect()
        };
        let pair = |(a, b): (&str, &str)| (a.to_owned(), b.to_owned());
        assert_eq!(ids(3), [("call_1", "a"), ("call_2", "b"), ("call_3", "a")].map(pair));
        assert_eq!(ids(4), [("call_1", "1"), ("call_2", "2"), ("call_3", "3")].map(pair));
    });
}

#[test]
fn a_response_that_no_call_waits_for_is_refused() {
    let call =
        json!({ "role": "model", "parts": [{ "functionCall": { "id": "x", "name": "a", "args": {} } }] });
    let answered = |responses: &Value| json!({ "contents": [call, { "role": "user", "parts": responses }] });
    let response =
        |id: &str, name: &str| json!({ "functionResponse": { "id": id, "name": name, "response": {} } });
    assert!(decode_request(answered(&json!([response("x", "other")])).to_string().as_bytes()).is_ok());
    assert!(decode_request(answered(&json!([response("unknown", "a")])).to_string().as_bytes()).is_ok());
    for (responses, field) in [
        (json!([response("unknown", "other")]), "contents[1].parts[0].functionResponse.id"),
        (json!([response("x", "a"), response("x", "a")]), "contents[1].parts[1].functionResponse.id"),
        (json!([response("", "b")]), "contents[1].parts[0].functionResponse.name"),
        (json!([{ "functionResponse": {} }]), "contents[1].parts[0].functionResponse.name"),
    ] {
        assert_eq!(refused(&answered(&responses)).as_deref(), Some(field));
    }
}

#[test]
fn the_outcome_of_a_response_is_unwrapped_from_googles_names() {
    for (response, expected, failed) in [
        (json!({ "output": "noon" }), "noon", false),
        (json!({ "output": { "a": 1 } }), r#"{"a":1}"#, false),
        (json!({ "error": "no such harbour" }), "no such harbour", true),
        (json!({ "error": { "code": 7 } }), r#"{"code":7}"#, true),
        (json!({ "error": "", "output": 1 }), r#"{"error":"","output":1}"#, false),
        (json!({ "error": "x", "output": 1 }), r#"{"error":"x","output":1}"#, true),
        (json!({ "metres": 2 }), r#"{"metres":2}"#, false),
        (json!({}), "{}", false),
    ] {
        let body = json!({ "contents": [
            { "role": "model", "parts": [{ "functionCall": { "name": "a" } }] },
            { "role": "user", "parts": [{ "functionResponse": { "name": "a", "response": response } }] },
        ]});
        reads(&body, |request, _| {
            let Content::ToolResult(result) = &request.turns[1].parts[0].content else { panic!() };
            assert_eq!(result.parts, [Part::of(Content::Text(text(expected)))]);
            assert_eq!(result.is_error, failed);
        });
    }
}

#[test]
fn thoughts_are_joined_up_to_their_signature() {
    let own = |text: &'static str| Signature { by: Dialect::Gemini, text: super::text(text) };
    let body = json!([
        { "text": "a", "thought": true }, { "text": "b", "thought": true },
        { "text": "", "thought": true, "thoughtSignature": "c2ln" }, { "text": "c", "thought": true },
        { "text": "said", "thoughtSignature": "c2ln" }, { "text": "" }, { "text": "", "thoughtSignature": "YQ==" },
    ]);
    parts("model", &body, |contents| {
        let expected = [
            Content::Reasoning { text: text("ab"), signature: Some(own("c2ln")) },
            Content::Reasoning { text: text("c"), signature: None },
            Content::Text(text("said")),
            Content::Redacted(own("c2ln")),
            Content::Redacted(own("YQ==")),
        ];
        assert_eq!(contents, expected);
    });
}

#[test]
fn media_are_told_apart_by_their_type() {
    let inline = |media: &str, data: &str| json!([{ "inlineData": { "mimeType": media, "data": data } }]);
    let source = |media: &str, data: &str| Source::Inline { media_type: text(media), data: text(data) };
    for (part, expected) in [
        (inline("image/webp", "-_8="), Content::Image { source: source("image/webp", "+/8="), detail: None }),
        (
            inline("application/pdf", "JVBE"),
            Content::Document { source: source("application/pdf", "JVBE"), name: None },
        ),
        (inline("audio/mpeg", "AA=="), Content::Audio { data: text("AA=="), format: text("mp3") }),
        (inline("audio/x-wav", "AA=="), Content::Audio { data: text("AA=="), format: text("wav") }),
        (inline("audio/L16;rate=24000", "AA=="), Content::Audio { data: text("AA=="), format: text("l16") }),
        (inline("text/csv", "YSxi"), Content::Document { source: Source::Text(text("a,b")), name: None }),
        (
            json!([{ "fileData": { "mimeType": "image/png", "fileUri": "https://a.example/x" } }]),
            Content::Image { source: Source::Url(text("https://a.example/x")), detail: None },
        ),
        (
            json!([{ "file_data": { "file_uri": "https://a.example/x.pdf?y=z" } }]),
            Content::Document { source: Source::Url(text("https://a.example/x.pdf?y=z")), name: None },
        ),
        (
            json!([{ "fileData": { "mimeType": "image/png", "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x" } }]),
            Content::Image {
                source: Source::File(text("https://generativelanguage.googleapis.com/v1beta/files/x")),
                detail: None,
            },
        ),
        (
            json!([{ "fileData": { "mimeType": "application/pdf", "fileUri": "gs://bucket/x" } }]),
            Content::Document { source: Source::File(text("gs://bucket/x")), name: None },
        ),
    ] {
        parts("user", &part, |contents| assert_eq!(contents, [expected]));
    }
    let lost_of = |part: &Value| lost(&json!({ "contents": [{ "parts": part }] }));
    assert_eq!(lost_of(&inline("video/mp4", "AA==")), ["contents.inlineData!"]);
    assert_eq!(
        lost_of(&json!([{ "fileData": { "fileUri": "https://youtu.be/x" } }])),
        ["contents.fileData!"]
    );
    assert_eq!(lost_of(&json!([{ "executableCode": { "code": "1" } }])), ["contents.executableCode!"]);
    assert_eq!(lost_of(&json!([{ "newKind": {} }])), ["contents.newKind", "contents.parts!"]);
}
