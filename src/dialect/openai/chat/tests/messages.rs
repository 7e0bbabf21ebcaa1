//! Messages of requests, read.

use serde_json::{Value, json};

use super::*;
use crate::dialect::Dialect;
use crate::dialect::neutral::{Cache, Content, Literal, Signature, Source};

fn messages(messages: &Value) -> Vec<u8> {
    json!({ "model": "m", "messages": messages }).to_string().into_bytes()
}

fn lost(body: &[u8]) -> Vec<(String, Weight)> {
    let (_, lost) = decode_request(body).unwrap();
    lost.iter().map(|loss| (loss.field.to_string(), loss.weight)).collect()
}

/// The contents of a turn.
fn contents(body: &[u8], turn: usize) -> Vec<Content<'_>> {
    let (request, _) = decode_request(body).unwrap();
    request.turns[turn].parts.iter().map(|part| part.content.clone()).collect()
}

fn text(text: &str) -> Literal<'static> {
    Literal::from_text(text)
}

#[test]
fn a_user_speaks_in_texts_pictures_sound_and_files() {
    let body = messages(&json!([{ "role": "user", "name": "ann", "content": [
        { "type": "text", "text": "" },
        { "type": "image_url", "image_url": { "url": "https://example.com/a.png", "detail": "auto" } },
        { "type": "image_url", "image_url": "data:image/webp;base64,QUJD" },
        { "type": "input_audio", "input_audio": { "data": "QUJD", "format": "wav" } },
        { "type": "file", "file": { "filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD" } },
        { "type": "file", "file": { "file_id": "file-1" } },
    ] }]));
    let inline =
        |media_type: &'static str| Source::Inline { media_type: text(media_type), data: text("QUJD") };
    assert_eq!(
        contents(&body, 0),
        [
            Content::Image { source: Source::Url(text("https://example.com/a.png")), detail: None },
            Content::Image { source: inline("image/webp"), detail: None },
            Content::Audio { data: text("QUJD"), format: text("wav") },
            Content::Document { source: inline("application/pdf"), name: Some(text("a.pdf")) },
            Content::Document { source: Source::File(text("file-1")), name: None },
        ]
    );
    assert_eq!(decode_request(&body).unwrap().0.turns[0].name, Some(text("ann")));
}

#[test]
fn a_data_url_may_be_escaped_and_have_parameters() {
    let url = r#"data:text\/plain;charset=utf-8;base64,QU\/D"#;
    let body = format!(
        r#"{{"messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}]}}"#
    );
    let inline = Source::Inline { media_type: text("text/plain"), data: text("QU/D") };
    assert_eq!(contents(body.as_bytes(), 0), [Content::Image { source: inline, detail: None }]);
}

#[test]
fn marks_of_the_cache_are_read_in_both_dialects_words() {
    let part = |mark: Value| {
        let mut part = json!({ "type": "text", "text": "x" });
        part.as_object_mut().unwrap().extend(mark.as_object().unwrap().clone());
        messages(&json!([{ "role": "user", "content": [part] }]))
    };
    for (mark, expected) in [
        (json!({ "prompt_cache_breakpoint": { "mode": "explicit", "ttl": "30m" } }), Some(Cache::Short)),
        (json!({ "prompt_cache_breakpoint": { "mode": "explicit", "ttl": "12h" } }), Some(Cache::Long)),
        (json!({ "cache_control": { "type": "ephemeral" } }), Some(Cache::Short)),
        (json!({}), None),
    ] {
        assert_eq!(decode_request(&part(mark)).unwrap().0.turns[0].parts[0].cache, expected);
    }
}

#[test]
fn a_model_has_reasoned_spoken_refused_and_called() {
    let body = messages(&json!([{
        "role": "assistant", "content": "Looking.", "refusal": "No.", "reasoning_content": "Hm.", "annotations": [],
        "audio": null, "tool_calls": [
            { "id": "a", "type": "function", "function": { "name": "tide", "arguments": " {\"at\": \"Brael\"} " },
              "extra_content": { "google": { "thought_signature": "c2ln" } } },
            { "id": "b", "type": "function", "function": { "name": "now", "arguments": "" } },
        ],
    }]));
    let said = contents(&body, 0);
    assert_eq!(
        said[..3],
        [
            Content::Reasoning { text: text("Hm."), signature: None },
            Content::Text(text("Looking.")),
            Content::Refusal(text("No.")),
        ]
    );
    let [Content::ToolCall(first), Content::ToolCall(second)] = &said[3..] else { panic!("{said:?}") };
    assert_eq!(first.arguments.raw(), br#"{"at": "Brael"}"#);
    assert_eq!(first.signature, Some(Signature { by: Dialect::Gemini, text: text("c2ln") }));
    assert_eq!(second.arguments.raw(), b"{}");
    assert_eq!(lost(&body), []);
}

#[test]
fn the_parts_of_a_server_that_thinks_in_them_are_read() {
    let thought = json!({ "type": "thinking", "thinking": [{ "type": "text", "text": "Hm." }] });
    let body =
        messages(&json!([{ "role": "assistant", "content": [thought, { "type": "text", "text": "Yes." }] }]));
    let expected = [Content::Reasoning { text: text("Hm."), signature: None }, Content::Text(text("Yes."))];
    assert_eq!(contents(&body, 0), expected);
}

#[test]
fn a_result_has_the_name_of_its_call_in_both_forms() {
    let newer = messages(&json!([
        { "role": "assistant", "tool_calls": [
            { "id": "x", "type": "function", "function": { "name": "tide", "arguments": "{}" } }] },
        { "role": "tool", "tool_call_id": "x", "content": "2.4" },
    ]));
    let older = messages(&json!([
        { "role": "assistant", "content": null, "function_call": { "name": "tide", "arguments": "{}" } },
        { "role": "function", "name": "tide", "content": "2.4" },
    ]));
    for body in [newer, older] {
        let (called, answered) = (contents(&body, 0), contents(&body, 1));
        let [Content::ToolCall(call)] = &called[..] else { panic!("{called:?}") };
        let [Content::ToolResult(result)] = &answered[..] else { panic!("{answered:?}") };
        assert_eq!((&result.id, &result.name), (&call.id, &call.name));
    }
}

#[test]
fn a_result_that_names_an_error_is_one() {
    for (content, expected) in [
        (r#"{"error":"no such harbour"}"#, true),
        (r#" {"error":{"code":7}}"#, true),
        (r#"{"error":null}"#, false),
        (r#"{"error":false}"#, false),
        (r#"["error"]"#, false),
        ("error", false),
    ] {
        let body = messages(&json!([
            { "role": "assistant", "tool_calls": [
                { "id": "x", "type": "function", "function": { "name": "tide", "arguments": "{}" } }] },
            { "role": "tool", "tool_call_id": "x", "content": content },
        ]));
        let answered = contents(&body, 1);
        let [Content::ToolResult(result)] = &answered[..] else { panic!("{answered:?}") };
        assert_eq!(result.is_error, expected, "{content}");
    }
}

#[test]
fn what_of_a_message_is_not_carried_is_named() {
    let hint = |name: &str| vec![(name.to_owned(), Weight::Hint)];
    let meaning = |name: &str| vec![(name.to_owned(), Weight::Meaning)];
    for (message, expected) in [
        (json!({ "role": "user", "content": "x", "mood": "good" }), hint("messages.mood")),
        (
            json!({ "role": "user", "content": [{ "type": "video_url", "video_url": {} }] }),
            meaning("messages.content"),
        ),
        (json!({ "role": "assistant", "audio": { "id": "a" } }), meaning("messages.audio")),
        (
            json!({ "role": "assistant", "tool_calls": [
                { "id": "a", "type": "custom", "custom": { "name": "x", "input": "y" } }] }),
            meaning("tools.custom"),
        ),
    ] {
        assert_eq!(lost(&messages(&json!([message]))), expected, "{message}");
    }
}
