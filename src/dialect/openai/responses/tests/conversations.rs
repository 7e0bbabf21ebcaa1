//! Items of `input` as turns.

use super::*;
use crate::dialect::Dialect;
use crate::dialect::neutral::{
    Cache, Content, Part, Raw, Signature, Source, Speaker, ToolCall, ToolResult, Turn,
};

fn turns(input: &Json) -> Vec<Turn<'static>> {
    let body: &'static str = json!({ "input": input }).to_string().leak();
    decode_request(body.as_bytes()).unwrap().0.turns
}

fn turn(speaker: Speaker, parts: Vec<Content<'static>>) -> Turn<'static> {
    Turn { speaker, name: None, parts: parts.into_iter().map(Part::of).collect() }
}

fn says(what: &str) -> Content<'static> {
    Content::Text(text(what))
}

fn thinks(what: &str, signature: Option<(Dialect, &str)>) -> Content<'static> {
    let signature = signature.map(|(by, sealed)| Signature { by, text: text(sealed) });
    Content::Reasoning { text: text(what), signature }
}

fn call(id: &str, arguments: &'static str, signature: Option<&str>) -> Content<'static> {
    let signature = signature.map(|sealed| Signature { by: Dialect::Gemini, text: text(sealed) });
    Content::ToolCall(ToolCall { id: text(id), name: text("f"), arguments: Raw::word(arguments), signature })
}

fn result(id: &str, parts: Vec<Content<'static>>) -> Content<'static> {
    let parts = parts.into_iter().map(Part::of).collect();
    Content::ToolResult(ToolResult { id: text(id), name: text("f"), parts, is_error: false })
}

fn calls(id: &str, arguments: &str) -> Json {
    json!({ "type": "function_call", "id": "fc_1", "status": "completed", "call_id": id, "name": "f", "arguments": arguments })
}

fn sealed(content: &str) -> Json {
    json!({ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": content })
}

#[test]
fn a_result_that_names_an_error_is_one() {
    let output = |output: &str| json!({ "type": "function_call_output", "call_id": "a", "output": output });
    for (said, names) in [(r#"{"error":"none"}"#, true), (r#"{"error":null}"#, false), ("error", false)] {
        let turns = turns(&json!([calls("a", "{}"), output(said)]));
        let Content::ToolResult(result) = &turns[1].parts[0].content else { panic!("no result") };
        assert_eq!(result.is_error, names, "{said}");
    }
}

#[test]
fn a_text_is_what_the_user_says() {
    assert_eq!(turns(&json!("a \"b\"\n")), [turn(Speaker::User, vec![says("a \"b\"\n")])]);
}

#[test]
fn messages_are_turns_of_their_speakers() {
    let input = json!([
        { "role": "developer", "content": "a" },
        { "type": "message", "role": "system", "content": [{ "type": "input_text", "text": "b" }] },
        { "type": null, "role": "user", "content": "c" },
        { "role": "user", "content": [{ "type": "input_text", "text": "d" }, { "type": "input_text", "text": "e" }] },
        {
            "id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
            "content": [
                { "type": "output_text", "text": "f", "annotations": [], "logprobs": [] },
                { "type": "refusal", "refusal": "g" },
            ],
        },
        { "role": "user", "content": [] },
    ]);
    let expected = [
        turn(Speaker::Developer, vec![says("a")]),
        turn(Speaker::System, vec![says("b")]),
        turn(Speaker::User, vec![says("c")]),
        turn(Speaker::User, vec![says("d"), says("e")]),
        turn(Speaker::Model, vec![says("f"), Content::Refusal(text("g"))]),
    ];
    assert_eq!(turns(&input), expected);
}

#[test]
fn pictures_files_and_sounds_are_read_in_every_form() {
    let content = json!([
        { "type": "input_image", "image_url": "https://a/b.png", "detail": "low" },
        { "type": "input_image", "image_url": "data:image/png;base64,QUJD", "file_id": null, "detail": null },
        { "type": "input_image", "file_id": "file_1" },
        { "type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;name=a;base64,QUJD" },
        { "type": "input_file", "filename": "A.PDF", "file_data": "QUJD" },
        { "type": "input_file", "file_id": "file_2" },
        { "type": "input_file", "file_url": "https://a/b.pdf" },
        { "type": "input_audio", "input_audio": { "data": "QUJD", "format": "wav" } },
    ]);
    let inline = |media_type, data| Source::Inline { media_type: text(media_type), data: text(data) };
    let image = |source, detail: Option<&str>| Content::Image { source, detail: detail.map(text) };
    let file = |source, name: Option<&str>| Content::Document { source, name: name.map(text) };
    let expected = vec![
        image(Source::Url(text("https://a/b.png")), Some("low")),
        image(inline("image/png", "QUJD"), None),
        image(Source::File(text("file_1")), None),
        file(inline("application/pdf", "QUJD"), Some("a.pdf")),
        file(inline("application/pdf", "QUJD"), Some("A.PDF")),
        file(Source::File(text("file_2")), None),
        file(Source::Url(text("https://a/b.pdf")), None),
        Content::Audio { data: text("QUJD"), format: text("wav") },
    ];
    assert_eq!(turns(&json!([{ "role": "user", "content": content }])), [turn(Speaker::User, expected)]);
}

#[test]
fn a_data_url_may_be_escaped() {
    let body = br#"{"input":[{"role":"user","content":[{"type":"input_image","image_url":"\u0064ata:image\/png;base64,QU\/D"}]}]}"#;
    let (request, _) = decode_request(body).unwrap();
    let source = Source::Inline { media_type: text("image/png"), data: text("QU/D") };
    assert_eq!(request.turns, [turn(Speaker::User, vec![Content::Image { source, detail: None }])]);
}

#[test]
fn a_breakpoint_of_the_cache_is_kept() {
    let part = |ttl: Json| json!({ "type": "input_text", "text": "x", "prompt_cache_breakpoint": { "mode": "explicit", "ttl": ttl } });
    let input =
        json!([{ "role": "user", "content": [part(json!("30m")), part(json!("12h")), part(json!(null))] }]);
    let kept: Vec<_> = turns(&input)[0].parts.iter().map(|part| part.cache).collect();
    assert_eq!(kept, [Some(Cache::Short), Some(Cache::Long), Some(Cache::Short)]);
}

#[test]
fn what_the_model_says_in_a_row_is_one_turn_and_so_are_the_results() {
    let output = |id: &str| json!({ "type": "function_call_output", "call_id": id, "output": "x" });
    let input = json!([
        { "role": "user", "content": "a" },
        { "type": "reasoning", "summary": [{ "type": "summary_text", "text": "b" }, { "type": "summary_text", "text": "c" }] },
        { "role": "assistant", "content": "d" },
        calls("1", "{}"),
        calls("2", ""),
        output("2"),
        output("1"),
        { "role": "user", "content": "e" },
        calls("3", r#" {"a":"\"é"} "#),
        output("3"),
    ]);
    let expected = [
        turn(Speaker::User, vec![says("a")]),
        turn(
            Speaker::Model,
            vec![thinks("b\n\nc", None), says("d"), call("1", "{}", None), call("2", "{}", None)],
        ),
        turn(Speaker::User, vec![result("2", vec![says("x")]), result("1", vec![says("x")])]),
        turn(Speaker::User, vec![says("e")]),
        turn(Speaker::Model, vec![call("3", r#"{"a":"\"é"}"#, None)]),
        turn(Speaker::User, vec![result("3", vec![says("x")])]),
    ];
    assert_eq!(turns(&input), expected);
}

#[test]
fn a_result_may_have_parts() {
    let output = json!([
        { "type": "input_text", "text": "x" },
        { "type": "input_image", "image_url": "https://a/b" },
    ]);
    let input =
        json!([calls("1", "{}"), { "type": "function_call_output", "call_id": "1", "output": output }]);
    let image = Content::Image { source: Source::Url(text("https://a/b")), detail: None };
    assert_eq!(turns(&input)[1], turn(Speaker::User, vec![result("1", vec![says("x"), image])]));
}

#[test]
fn reasoning_itself_counts_before_its_summary() {
    let input = json!([{
        "type": "reasoning", "summary": [{ "type": "summary_text", "text": "a" }],
        "content": [{ "type": "reasoning_text", "text": "b" }],
    }]);
    assert_eq!(turns(&input), [turn(Speaker::Model, vec![thinks("b", None)])]);
    assert_eq!(turns(&json!([{ "type": "reasoning", "summary": [], "content": null }])), []);
}

#[test]
fn signatures_come_back_where_they_were() {
    let signed = json!({
        "type": "reasoning", "summary": [{ "type": "summary_text", "text": "a" }],
        "encrypted_content": "anthropic.s.1==",
    });
    let input = json!([
        signed,
        sealed("anthropic-redacted.d"),
        sealed("anthropic.t"),
        sealed("gemini.g"),
        calls("1", "{}"),
        calls("2", "{}"),
        sealed("gemini.h"),
        { "role": "assistant", "content": "b" },
        sealed("somebody.else"),
        sealed("openai-redacted.x"),
    ]);
    let redacted = |by, sealed| Content::Redacted(Signature { by, text: text(sealed) });
    let expected = vec![
        thinks("a", Some((Dialect::Anthropic, "s.1=="))),
        redacted(Dialect::Anthropic, "d"),
        thinks("", Some((Dialect::Anthropic, "t"))),
        call("1", "{}", Some("g")),
        call("2", "{}", None),
        thinks("", Some((Dialect::Gemini, "h"))),
        says("b"),
        redacted(Dialect::OpenAi, "x"),
    ];
    assert_eq!(turns(&input), [turn(Speaker::Model, expected)]);
}
