//! Requests: what is read of them, what is lost, and where one is at fault.

use super::*;
use crate::dialect::neutral::{
    Content, Effort, Format, Loss, Losses, Part, Raw, Reasoning, Request, Speaker, Tool, ToolChoice, Turn,
    Weight,
};
use crate::dialect::samples;

/// What a call with these members, and a text to answer, asks for.
fn read(members: &Json, check: impl FnOnce(&Request<'_>, &Losses)) {
    let mut body = json!({ "model": "m", "input": "hi" });
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let body = body.to_string();
    let (request, losses) = decode_request(body.as_bytes()).unwrap();
    check(&request, &losses);
}

/// The names of what is lost, those without which the answer would be another one first.
fn lost(members: &Json) -> (Vec<String>, Vec<String>) {
    let mut names = (vec![], vec![]);
    read(members, |_, losses| {
        for Loss { field, weight } in losses.iter() {
            let of = if *weight == Weight::Meaning { &mut names.0 } else { &mut names.1 };
            of.push(field.to_string());
        }
    });
    names
}

fn fault(body: &str) -> (String, Option<String>) {
    let fault = decode_request(body.as_bytes()).unwrap_err();
    (fault.message, fault.field)
}

#[test]
fn the_sample_is_read_whole() {
    let body = samples::openai("responses.request.json");
    let (request, losses) = decode_request(&body).unwrap();
    let says = |speaker, what| Turn { speaker, name: None, parts: vec![Part::of(Content::Text(text(what)))] };
    let expected = Request {
        turns: vec![
            says(Speaker::System, "Answer in one line."),
            says(Speaker::User, "Is the tide high at Brael?"),
        ],
        max_output: Some(64),
        stream: true,
        ..Request::default()
    };
    assert_eq!(request, expected);
    assert!(losses.is_empty());
}

#[test]
fn every_member_that_has_a_place_is_read() {
    let members = json!({
        "temperature": 0.5, "top_p": 0.9, "max_output_tokens": 7, "parallel_tool_calls": false, "user": "u",
        "metadata": { "a": "b" }, "reasoning": { "effort": "high", "summary": "auto" },
        "text": { "format": { "type": "json_object" } },
        "tools": [
            { "type": "function", "name": "f", "description": "d", "parameters": { "type": "object" }, "strict": true },
            { "type": "function", "name": "g", "description": null, "parameters": null, "strict": null },
        ],
        "tool_choice": { "type": "function", "name": "f" }, "include": ["reasoning.encrypted_content"],
        "store": false, "stream_options": { "include_obfuscation": false }, "truncation": "disabled",
        "service_tier": "auto", "top_logprobs": 0, "background": null, "previous_response_id": null,
    });
    read(&members, |request, losses| {
        let tool =
            |name| Tool { name: text(name), description: None, parameters: None, strict: None, cache: None };
        let f = Tool {
            description: Some(text("d")),
            parameters: Some(Raw::word(r#"{"type":"object"}"#)),
            strict: Some(true),
            ..tool("f")
        };
        let expected = Request {
            turns: request.turns.clone(),
            tools: vec![f, tool("g")],
            tool_choice: Some(ToolChoice::OneOf(vec![text("f")])),
            parallel_tool_calls: Some(false),
            max_output: Some(7),
            temperature: Some(Raw::word("0.5")),
            top_p: Some(Raw::word("0.9")),
            format: Some(Format::Json),
            reasoning: Some(Reasoning::Effort(Effort::High)),
            user: Some(text("u")),
            metadata: Some(Raw::word(r#"{"a":"b"}"#)),
            ..Request::default()
        };
        assert_eq!(*request, expected);
        assert!(losses.is_empty(), "{losses:?}");
    });
}

#[test]
fn a_schema_is_flat() {
    let format = json!({
        "type": "json_schema", "name": "n", "description": "d", "schema": { "type": "object" }, "strict": false,
    });
    read(&json!({ "text": { "format": format } }), |request, _| {
        let schema = Raw::word(r#"{"type":"object"}"#);
        let (name, description) = (Some(text("n")), Some(text("d")));
        assert_eq!(request.format, Some(Format::Schema { name, description, schema, strict: Some(false) }));
    });
}

#[test]
fn tools_may_be_chosen_in_every_way() {
    let f = json!({ "type": "function", "name": "f" });
    for (choice, expected) in [
        (json!("auto"), Some(ToolChoice::Auto)),
        (json!("none"), Some(ToolChoice::None)),
        (json!("required"), Some(ToolChoice::Required)),
        (f.clone(), Some(ToolChoice::OneOf(vec![text("f")]))),
        (
            json!({ "type": "allowed_tools", "mode": "auto", "tools": [f] }),
            Some(ToolChoice::Allowed(vec![text("f")])),
        ),
        (
            json!({ "type": "allowed_tools", "mode": "required", "tools": [f] }),
            Some(ToolChoice::OneOf(vec![text("f")])),
        ),
        (json!(null), None),
    ] {
        read(&json!({ "tool_choice": choice }), |request, losses| {
            assert_eq!(request.tool_choice, expected);
            assert!(losses.is_empty());
        });
    }
}

#[test]
fn every_effort_is_known() {
    for effort in [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High, Effort::XHigh, Effort::Max] {
        read(&json!({ "reasoning": { "effort": effort.word() } }), |request, _| {
            assert_eq!(request.reasoning, Some(Reasoning::Effort(effort)));
        });
    }
    read(&json!({ "reasoning": { "effort": "none" } }), |request, _| {
        assert_eq!(request.reasoning, Some(Reasoning::Off));
    });
}

#[test]
fn what_is_kept_at_a_provider_changes_the_meaning() {
    for (members, name) in [
        (json!({ "previous_response_id": "resp_1" }), "previous_response_id"),
        (json!({ "conversation": { "id": "conv_1" } }), "conversation"),
        (json!({ "prompt": { "id": "pmpt_1" } }), "prompt"),
        (json!({ "background": true }), "background"),
        (json!({ "store": true }), "store"),
        (json!({ "top_logprobs": 2 }), "top_logprobs"),
        (json!({ "include": ["message.output_text.logprobs"] }), "include"),
        (json!({ "tools": [{ "type": "web_search" }] }), "tools"),
        (json!({ "tools": [{ "type": "custom", "name": "x" }] }), "tools"),
        (json!({ "tool_choice": { "type": "file_search" } }), "tool_choice"),
        (json!({ "tool_choice": { "type": "custom", "name": "x" } }), "tool_choice"),
        (json!({ "text": { "format": { "type": "grammar" } } }), "text.format"),
        (json!({ "input": [{ "type": "item_reference", "id": "msg_1" }] }), "input.item_reference"),
        (json!({ "input": [{ "type": "web_search_call", "id": "ws_1" }] }), "input.web_search_call"),
        (json!({ "input": [{ "type": "custom_tool_call", "call_id": "c" }] }), "input.custom_tool_call"),
        (json!({ "input": [{ "type": "news of tomorrow" }] }), "input.type"),
        (json!({ "input": [{ "role": "user", "content": [{ "type": "smell" }] }] }), "input.content"),
        (
            json!({ "input": [{ "role": "system", "content": [{ "type": "input_image", "file_id": "f" }] }] }),
            "input.input_image",
        ),
    ] {
        assert_eq!(lost(&members), (vec![name.to_owned()], vec![]), "{members}");
    }
}

#[test]
fn hints_are_named_and_do_not_change_the_meaning() {
    for (members, name) in [
        (json!({ "truncation": "auto" }), "truncation"),
        (json!({ "service_tier": "flex" }), "service_tier"),
        (json!({ "prompt_cache_key": "k" }), "prompt_cache_key"),
        (json!({ "prompt_cache_options": {} }), "prompt_cache_options"),
        (json!({ "max_tool_calls": 3 }), "max_tool_calls"),
        (json!({ "context_management": [] }), "context_management"),
        (json!({ "include": ["file_search_call.results"] }), "include"),
        (json!({ "text": { "verbosity": "low" } }), "text.verbosity"),
        (json!({ "reasoning": { "summary": "detailed" } }), "reasoning.summary"),
        (json!({ "user": "u", "safety_identifier": "s" }), "user"),
        (json!({ "image": { "context_compression": "auto" } }), "image"),
        (json!({ "seed": 7 }), "seed"),
        (json!({ "a secret of mine": 7 }), "(unknown)"),
        (json!({ "input": [{ "role": "user", "content": "x", "phase": "y" }] }), "input.phase"),
        (
            json!({ "tools": [{ "type": "function", "name": "f", "defer_loading": true }] }),
            "tools.defer_loading",
        ),
        (
            json!({ "input": [{ "type": "reasoning", "summary": [], "encrypted_content": "gAAA" }] }),
            "input.encrypted_content",
        ),
        (
            json!({ "input": [{ "role": "assistant", "content": [{ "type": "output_text", "text": "x", "annotations": [1] }] }] }),
            "input.annotations",
        ),
    ] {
        assert_eq!(lost(&members), (vec![], vec![name.to_owned()]), "{members}");
    }
}

#[test]
fn a_conversation_kept_at_a_provider_needs_no_input_and_no_call() {
    let nothing = br#"{"model":"m","previous_response_id":"resp_1"}"#;
    assert!(decode_request(nothing).unwrap().0.turns.is_empty());
    let result = r#"{"previous_response_id":"r","input":[{"type":"function_call_output","call_id":"c","output":"x"}]}"#;
    assert_eq!(decode_request(result.as_bytes()).unwrap().0.turns.len(), 1);
}

#[test]
fn what_is_malformed_is_named_by_its_path() {
    let item = |item: &str| format!(r#"{{"model":"m","input":[{item}]}}"#);
    let part = |role: &str, part: &str| item(&format!(r#"{{"role":"{role}","content":[{part}]}}"#));
    let with = |member: &str| format!(r#"{{"model":"m","input":"x",{member}}}"#);
    for (body, field) in [
        (r#"{"model":"m"}"#.to_owned(), "input"),
        (r#"{"model":"m","input":null}"#.to_owned(), "input"),
        (r#"{"model":"m","input":7}"#.to_owned(), "input"),
        (item("7"), "input[0]"),
        (item("{}"), "input[0].role"),
        (item(r#"{"type":7}"#), "input[0].type"),
        (item(r#"{"role":"tool","content":"x"}"#), "input[0].role"),
        (item(r#"{"role":"user"}"#), "input[0].content"),
        (item(r#"{"role":"user","content":7}"#), "input[0].content"),
        (part("user", "7"), "input[0].content[0]"),
        (part("user", "{}"), "input[0].content[0].type"),
        (part("user", r#"{"type":"input_text"}"#), "input[0].content[0].text"),
        (part("user", r#"{"type":"refusal","refusal":"x"}"#), "input[0].content[0].type"),
        (part("assistant", r#"{"type":"input_image"}"#), "input[0].content[0].type"),
        (part("user", r#"{"type":"input_image"}"#), "input[0].content[0].image_url"),
        (part("user", r#"{"type":"input_image","image_url":"data:x"}"#), "input[0].content[0].image_url"),
        (
            part("user", r#"{"type":"input_image","image_url":"data:text/plain,x"}"#),
            "input[0].content[0].image_url",
        ),
        (
            part("user", r#"{"type":"input_image","image_url":"data:a/b;c,x"}"#),
            "input[0].content[0].image_url",
        ),
        (part("user", r#"{"type":"input_file"}"#), "input[0].content[0].file_id"),
        (
            part("user", r#"{"type":"input_file","file_data":"x","filename":"a.doc"}"#),
            "input[0].content[0].file_data",
        ),
        (
            part("user", r#"{"type":"input_audio","input_audio":{"data":"x"}}"#),
            "input[0].content[0].input_audio.format",
        ),
        (
            part("user", r#"{"type":"input_text","text":"x","prompt_cache_breakpoint":1}"#),
            "input[0].content[0].prompt_cache_breakpoint",
        ),
        (item(r#"{"type":"function_call","name":"f","arguments":"{}"}"#), "input[0].call_id"),
        (item(r#"{"type":"function_call","call_id":"c","arguments":"{}"}"#), "input[0].name"),
        (item(r#"{"type":"function_call","call_id":"c","name":"f","arguments":{}}"#), "input[0].arguments"),
        (item(r#"{"type":"function_call","call_id":"c","name":"f","arguments":"[]"}"#), "input[0].arguments"),
        (item(r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{"}"#), "input[0].arguments"),
        (item(r#"{"type":"function_call_output","call_id":"c","output":"x"}"#), "input[0].call_id"),
        (item(r#"{"type":"reasoning","summary":"x"}"#), "input[0].summary"),
        (item(r#"{"type":"reasoning","summary":[{}]}"#), "input[0].summary[0].text"),
        (item(r#"{"type":"reasoning","encrypted_content":7}"#), "input[0].encrypted_content"),
        (with(r#""instructions":[]"#), "instructions"),
        (with(r#""max_output_tokens":-1"#), "max_output_tokens"),
        (with(r#""temperature":"x""#), "temperature"),
        (with(r#""parallel_tool_calls":1"#), "parallel_tool_calls"),
        (with(r#""store":"true""#), "store"),
        (with(r#""include":"x""#), "include"),
        (with(r#""metadata":[]"#), "metadata"),
        (with(r#""reasoning":{"effort":"furious"}"#), "reasoning.effort"),
        (with(r#""text":{"format":{"type":"json_schema"}}"#), "text.format.schema"),
        (with(r#""text":{"format":{}}"#), "text.format.type"),
        (with(r#""tools":{}"#), "tools"),
        (with(r#""tools":[{"name":"f"}]"#), "tools[0].type"),
        (with(r#""tools":[{"type":"function"}]"#), "tools[0].name"),
        (with(r#""tools":[{"type":"function","name":"f","parameters":[]}]"#), "tools[0].parameters"),
        (with(r#""tool_choice":"often""#), "tool_choice"),
        (with(r#""tool_choice":{"type":"function"}"#), "tool_choice.name"),
        (with(r#""tool_choice":{"type":"allowed_tools","mode":"auto","tools":[]}"#), "tool_choice.tools"),
        (
            with(
                r#""tool_choice":{"type":"allowed_tools","mode":"x","tools":[{"type":"function","name":"f"}]}"#,
            ),
            "tool_choice.mode",
        ),
    ] {
        let (message, named) = fault(&body);
        assert_eq!(named.as_deref(), Some(field), "{body}");
        assert!(message.starts_with(&format!("`{field}` ")), "{message}");
    }
    for body in ["", "[]", "{", "7", "{} x"] {
        assert_eq!(fault(body).1, None, "{body}");
    }
}
