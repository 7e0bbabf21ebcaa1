//! Calls of a size that no app has: they take time as their bytes do, and not as the square of them.

use serde_json::{Value, json};

use super::super::{Accepts, Form, Recipient, decode_request, encode_request};
use crate::dialect::neutral::Losses;
use crate::dialect::provider::MaxTokensField;

/// So many that each looked for among all of them would take minutes.
const MANY: usize = 20_000;

const FORMS: [Form; 4] = [Form::Chat, Form::Responses, Form::Messages, Form::Generate];

fn translated(from: Form, body: &Value) {
    let body = body.to_string();
    let (request, _) = decode_request(from, body.as_bytes()).unwrap();
    let recipient = Recipient {
        model: "m",
        accepts: Accepts::default(),
        max_tokens_field: MaxTokensField::MaxTokens,
        max_output: None,
        ask_usage: false,
        wants_reasoning: false,
    };
    for to in FORMS {
        let sent = encode_request(to, &request, &recipient, &mut Losses::default());
        assert!(to == Form::Responses || sent.is_some_and(|sent| sent.body(None).len() > MANY));
    }
}

fn list(of: impl Fn(usize) -> Value) -> Vec<Value> {
    (0..MANY).map(of).collect()
}

#[test]
fn many_tools_of_which_many_are_allowed() {
    let name = |n: usize| format!("t{}", MANY - n);
    translated(
        Form::Chat,
        &json!({
            "messages": [{ "role": "user", "content": "hi" }],
            "tools": list(|n| json!({ "type": "function", "function": { "name": name(n) } })),
            "tool_choice": { "type": "allowed_tools", "allowed_tools": {
                "mode": "auto", "tools": list(|n| json!({ "type": "function", "function": { "name": name(n) } })),
            } },
        }),
    );
    translated(
        Form::Generate,
        &json!({
            "contents": [{ "parts": [{ "text": "hi" }] }],
            "tools": [{ "functionDeclarations": list(|n| json!({ "name": name(n) })) }],
            "toolConfig": { "functionCallingConfig": {
                "mode": "ANY", "allowedFunctionNames": list(|n| json!(name(n))),
            } },
        }),
    );
}

#[test]
fn many_calls_and_their_results() {
    let id = |n: usize| format!("call {n}");
    let calls =
        list(|n| json!({ "id": id(n), "type": "function", "function": { "name": "f", "arguments": "{}" } }));
    let mut messages = vec![json!({ "role": "user", "content": "hi" })];
    messages.push(json!({ "role": "assistant", "tool_calls": calls }));
    messages.extend(list(|n| json!({ "role": "tool", "tool_call_id": id(n), "content": "x" })));
    translated(Form::Chat, &json!({ "messages": messages }));
    translated(
        Form::Messages,
        &json!({ "max_tokens": 5, "messages": [
            { "role": "user", "content": "hi" },
            { "role": "assistant", "content":
                list(|n| json!({ "type": "tool_use", "id": id(n), "name": "f", "input": {} })) },
            { "role": "user", "content":
                list(|n| json!({ "type": "tool_result", "tool_use_id": id(n), "content": "x" })) },
        ] }),
    );
    for named in [true, false] {
        let call =
            |n: usize| if named { json!({ "id": id(n), "name": "f" }) } else { json!({ "name": "f" }) };
        translated(
            Form::Generate,
            &json!({ "contents": [
                { "role": "user", "parts": [{ "text": "hi" }] },
                { "role": "model", "parts": list(|n| json!({ "functionCall": call(n) })) },
                { "role": "user", "parts": list(|n| json!({ "functionResponse": call(n) })) },
            ] }),
        );
    }
    let item = |kind: &str, n: usize| json!({ "type": kind, "call_id": id(n), "name": "f", "arguments": "{}", "output": "x" });
    let input =
        list(|n| item("function_call", n)).into_iter().chain(list(|n| item("function_call_output", n)));
    translated(Form::Responses, &json!({ "input": input.collect::<Vec<_>>() }));
}

#[test]
fn many_turns_parts_and_members() {
    let turns =
        list(|n| json!({ "role": if n % 2 == 0 { "user" } else { "assistant" }, "content": "hello" }));
    translated(Form::Chat, &json!({ "messages": turns }));
    translated(Form::Messages, &json!({ "max_tokens": 5, "messages": turns }));
    let parts = list(|_| json!({ "type": "text", "text": "hello" }));
    translated(
        Form::Messages,
        &json!({ "max_tokens": 5, "messages": [{ "role": "user", "content": parts }] }),
    );
    let mut unknown = json!({ "messages": [{ "role": "user", "content": "x".repeat(MANY) }] });
    (0..MANY).for_each(|n| unknown[format!("x{n}")] = json!(n));
    translated(Form::Chat, &unknown);
}

#[test]
fn a_deep_schema_with_much_in_it() {
    let mut schema = json!({ "type": "STRING", "enum": list(|n| json!(n.to_string())), "nullable": true });
    for _ in 0..100 {
        schema = json!({ "type": "ARRAY", "items": schema, "nullable": true });
    }
    translated(
        Form::Generate,
        &json!({
            "contents": [{ "parts": [{ "text": "x".repeat(MANY) }] }],
            "generationConfig": { "responseSchema": schema },
        }),
    );
}
