//! Requests, read.

use serde_json::{Value, json};

use super::*;
use crate::dialect::neutral::{
    Content, Effort, Format, Literal, Raw, Reasoning, Source, Speaker, Tool, ToolChoice,
};

/// A question and what is said beside it.
fn with(extra: &Value) -> Vec<u8> {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body.to_string().into_bytes()
}

fn messages(messages: &Value) -> Vec<u8> {
    json!({ "model": "m", "messages": messages }).to_string().into_bytes()
}

fn lost(body: &[u8]) -> Vec<(String, Weight)> {
    let (_, lost) = decode_request(body).unwrap();
    lost.iter().map(|loss| (loss.field.to_string(), loss.weight)).collect()
}

/// The field at fault.
fn fault(body: &[u8]) -> String {
    decode_request(body).unwrap_err().field.unwrap()
}

fn text(text: &str) -> Literal<'static> {
    Literal::from_text(text)
}

#[test]
fn the_sample_is_read_whole() {
    let body = sample("chat.request.json");
    let (request, lost) = decode_request(&body).unwrap();
    assert_eq!(pairs(&lost), []);
    let speakers: Vec<_> = request.turns.iter().map(|turn| turn.speaker).collect();
    assert_eq!(speakers, [Speaker::Developer, Speaker::User, Speaker::Model, Speaker::User]);
    let Content::Image { source: Source::Inline { media_type, data }, detail } =
        &request.turns[1].parts[1].content
    else {
        panic!("{request:?}")
    };
    assert_eq!((media_type, data), (&text("image/png"), &text("iVBORw0KGgo=")));
    assert_eq!(detail, &Some(text("low")));
    let Content::ToolResult(result) = &request.turns[3].parts[0].content else { panic!("{request:?}") };
    assert_eq!((&result.id, &result.name, result.is_error), (&text("call_t1"), &text("tide_level"), false));
    assert_eq!(request.tool_choice, Some(ToolChoice::Auto));
    assert_eq!(request.parallel_tool_calls, Some(false));
    assert_eq!(request.max_output, Some(256));
    assert_eq!(request.temperature, Some(Raw::word("0.2")));
    assert_eq!(request.stop, [text("END")]);
    assert_eq!(request.user, Some(text("u-17")));
    assert_eq!(request.metadata, Some(Raw::word(r#"{"job":"tide-demo"}"#)));
    assert!(request.stream);
}

#[test]
fn every_field_is_read_or_named_as_lost() {
    let hint = |name: &str| vec![(name.to_owned(), Weight::Hint)];
    let meaning = |name: &str| vec![(name.to_owned(), Weight::Meaning)];
    for (extra, expected) in [
        (json!({ "stream_options": { "include_usage": true }, "stream": true }), vec![]),
        (json!({ "logit_bias": {} }), vec![]),
        (json!({ "logit_bias": { "7": 1 } }), meaning("logit_bias")),
        (json!({ "store": true }), hint("store")),
        (json!({ "store": false, "service_tier": "auto", "modalities": ["text"] }), vec![]),
        (json!({ "service_tier": "flex" }), hint("service_tier")),
        (json!({ "modalities": ["text", "audio"] }), meaning("modalities")),
        (json!({ "audio": { "voice": "x", "format": "wav" } }), meaning("audio")),
        (json!({ "web_search_options": {} }), meaning("web_search_options")),
        (json!({ "prediction": { "type": "content", "content": "x" } }), hint("prediction")),
        (json!({ "verbosity": "low" }), hint("verbosity")),
        (json!({ "prompt_cache_key": "k" }), hint("prompt_cache_key")),
        (json!({ "prompt_cache_retention": "24h" }), hint("prompt_cache_retention")),
        (json!({ "moderation": { "model": "m" } }), hint("moderation")),
        (json!({ "response_format": { "type": "text" } }), vec![]),
        (json!({ "response_format": { "type": "grammar" } }), meaning("response_format")),
        (json!({ "reasoning_effort": "default" }), hint("reasoning_effort")),
        (json!({ "min_p": 0.1 }), hint("min_p")),
        (json!({ "something": null, "other": [] }), vec![]),
        (json!({ "tools": [{ "type": "custom", "custom": { "name": "x" } }] }), meaning("tools.custom")),
        (json!({ "tool_choice": { "type": "custom", "custom": { "name": "x" } } }), meaning("tool_choice")),
        (json!({ "user": "a", "safety_identifier": "b" }), hint("user")),
        (json!({ "user": "a", "safety_identifier": "a" }), vec![]),
    ] {
        assert_eq!(lost(&with(&extra)), expected, "{extra}");
    }
}

#[test]
fn numbers_stay_as_they_are_written() {
    let body =
        br#"{"messages":[],"temperature":1.50,"top_p":1e-1,"top_k":40,"seed":-7,"frequency_penalty":0.10}"#;
    let (request, _) = decode_request(body).unwrap();
    let raw = |value: &Option<Raw<'_>>| String::from_utf8(value.as_ref().unwrap().raw().to_vec()).unwrap();
    assert_eq!(raw(&request.temperature), "1.50");
    assert_eq!(raw(&request.top_p), "1e-1");
    assert_eq!(raw(&request.top_k), "40");
    assert_eq!(raw(&request.seed), "-7");
    assert_eq!(raw(&request.frequency_penalty), "0.10");
}

#[test]
fn the_newer_limit_counts_before_the_older_one() {
    for (extra, expected) in [
        (json!({ "max_tokens": 7 }), Some(7)),
        (json!({ "max_tokens": 7, "max_completion_tokens": 9 }), Some(9)),
        (json!({ "max_tokens": 7, "max_completion_tokens": null }), Some(7)),
        (json!({}), None),
    ] {
        assert_eq!(decode_request(&with(&extra)).unwrap().0.max_output, expected);
    }
}

#[test]
fn one_answer_is_the_usual_and_several_are_counted() {
    for (count, expected) in [(1, None), (2, Some(2))] {
        assert_eq!(decode_request(&with(&json!({ "n": count }))).unwrap().0.choices, expected);
    }
}

#[test]
fn efforts_and_thinking_say_how_much_is_thought() {
    for (extra, expected) in [
        (json!({ "reasoning_effort": "none" }), Some(Reasoning::Off)),
        (json!({ "reasoning_effort": "minimal" }), Some(Reasoning::Effort(Effort::Minimal))),
        (json!({ "reasoning_effort": "max" }), Some(Reasoning::Effort(Effort::Max))),
        (json!({ "thinking": { "type": "disabled" } }), Some(Reasoning::Off)),
        (json!({ "thinking": { "type": "enabled" } }), Some(Reasoning::Auto)),
        (json!({ "thinking": { "type": "enabled", "budget_tokens": 2000 } }), Some(Reasoning::Budget(2000))),
        (
            json!({ "thinking": { "type": "enabled" }, "reasoning_effort": "low" }),
            Some(Reasoning::Effort(Effort::Low)),
        ),
        (json!({}), None),
    ] {
        assert_eq!(decode_request(&with(&extra)).unwrap().0.reasoning, expected, "{extra}");
    }
}

#[test]
fn the_form_of_the_answer_is_read() {
    let json_object = with(&json!({ "response_format": { "type": "json_object" } }));
    assert_eq!(decode_request(&json_object).unwrap().0.format, Some(Format::Json));
    let schema = with(&json!({ "response_format": { "type": "json_schema", "json_schema": {
        "name": "tide", "schema": { "type": "object" }, "strict": true } } }));
    let expected = Format::Schema {
        name: Some(text("tide")),
        description: None,
        schema: Raw::word(r#"{"type":"object"}"#),
        strict: Some(true),
    };
    assert_eq!(decode_request(&schema).unwrap().0.format, Some(expected));
}

#[test]
fn logprobs_are_counted() {
    for (extra, expected) in [
        (json!({ "logprobs": true }), Some(0)),
        (json!({ "logprobs": true, "top_logprobs": 5 }), Some(5)),
        (json!({ "logprobs": false }), None),
    ] {
        assert_eq!(decode_request(&with(&extra)).unwrap().0.logprobs, expected);
    }
}

#[test]
fn tools_are_read_in_both_forms() {
    let function = json!({ "name": "tide", "description": "Level.", "parameters": { "type": "object" } });
    let newer = with(&json!({ "tools": [{ "type": "function", "function": function }] }));
    let older = with(&json!({ "functions": [function] }));
    let tool = Tool {
        name: text("tide"),
        description: Some(text("Level.")),
        parameters: Some(Raw::word(r#"{"type":"object"}"#)),
        strict: None,
        cache: None,
    };
    for body in [newer, older] {
        assert_eq!(decode_request(&body).unwrap().0.tools, std::slice::from_ref(&tool));
    }
}

#[test]
fn every_choice_of_tools_is_read() {
    let function = |name: &str| json!({ "type": "function", "function": { "name": name } });
    let allowed = |mode: &str| json!({ "type": "allowed_tools", "allowed_tools": { "mode": mode, "tools": [function("a"), function("b")] } });
    for (name, choice, expected) in [
        ("tool_choice", json!("none"), ToolChoice::None),
        ("tool_choice", json!("auto"), ToolChoice::Auto),
        ("tool_choice", json!("required"), ToolChoice::Required),
        ("tool_choice", json!("any"), ToolChoice::Required),
        ("tool_choice", function("a"), ToolChoice::OneOf(vec![text("a")])),
        ("tool_choice", allowed("auto"), ToolChoice::Allowed(vec![text("a"), text("b")])),
        ("tool_choice", allowed("required"), ToolChoice::OneOf(vec![text("a"), text("b")])),
        ("function_call", json!("none"), ToolChoice::None),
        ("function_call", json!({ "name": "a" }), ToolChoice::OneOf(vec![text("a")])),
    ] {
        let body = with(&json!({ name: choice }));
        assert_eq!(decode_request(&body).unwrap().0.tool_choice, Some(expected), "{choice}");
    }
}

#[test]
fn what_is_malformed_is_named_by_its_place() {
    let call = |arguments: Value| {
        json!([{ "role": "assistant", "tool_calls": [
            { "id": "x", "type": "function", "function": { "name": "tide", "arguments": arguments } }] }])
    };
    for (found, expected) in [
        (json!([{ "role": "critic", "content": "x" }]), "messages[0].role"),
        (json!([{ "content": "x" }]), "messages[0].role"),
        (json!(["x"]), "messages[0]"),
        (json!([{ "role": "user" }]), "messages[0].content"),
        (json!([{ "role": "user", "content": 7 }]), "messages[0].content"),
        (json!([{ "role": "user", "content": ["x"] }]), "messages[0].content[0].type"),
        (json!([{ "role": "user", "content": [{ "type": "text" }] }]), "messages[0].content[0].text"),
        (
            json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": {} }] }]),
            "messages[0].content[0].image_url.url",
        ),
        (
            json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "data:,x" } }] }]),
            "messages[0].content[0].image_url.url",
        ),
        (
            json!([{ "role": "user", "content": [{ "type": "file", "file": { "file_data": "QUJD" } }] }]),
            "messages[0].content[0].file.file_data",
        ),
        (json!([{ "role": "tool", "content": "x" }]), "messages[0].tool_call_id"),
        (json!([{ "role": "tool", "tool_call_id": "x", "content": "x" }]), "messages[0].tool_call_id"),
        (json!([{ "role": "function", "name": "x", "content": "x" }]), "messages[0].name"),
        (call(json!("[1]")), "messages[0].tool_calls[0].function.arguments"),
        (call(json!("{\"a\":")), "messages[0].tool_calls[0].function.arguments"),
        (call(json!(7)), "messages[0].tool_calls[0].function.arguments"),
    ] {
        assert_eq!(fault(&messages(&found)), expected, "{found}");
    }
    for (extra, expected) in [
        (json!({ "messages": "hi" }), "messages"),
        (json!({ "temperature": "hot" }), "temperature"),
        (json!({ "seed": 1.5 }), "seed"),
        (json!({ "max_tokens": 0 }), "max_tokens"),
        (json!({ "n": 0 }), "n"),
        (json!({ "stop": [7] }), "stop[0]"),
        (json!({ "top_logprobs": 2 }), "top_logprobs"),
        (json!({ "tools": [{ "type": "function", "function": {} }] }), "tools[0].function.name"),
        (json!({ "tool_choice": "maybe" }), "tool_choice"),
        (json!({ "tool_choice": { "type": "function" } }), "tool_choice.function.name"),
        (json!({ "response_format": { "type": "json_schema" } }), "response_format.json_schema"),
    ] {
        assert_eq!(fault(&with(&extra)), expected, "{extra}");
    }
    assert_eq!(fault(br#"{"model":"m"}"#), "messages");
    assert_eq!(decode_request(b"[]").unwrap_err().field, None);
}

#[test]
fn no_sentence_repeats_what_the_caller_wrote_as_a_value() {
    let body = messages(&json!([{ "role": "secret", "content": "x" }]));
    assert!(!decode_request(&body).unwrap_err().message.contains("secret"));
}
