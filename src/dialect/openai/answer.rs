//! An answer of our own, in the form that each operation gives to a model's.

mod responses;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::dialect::Api;
use crate::dialect::answer::Fixed;

const DONE: &[u8] = b"data: [DONE]\n\n";

/// The answer as a body, or as all the events of a stream; none for embeddings.
pub(crate) fn fixed(api: Api, stream: bool, says: &Fixed<'_>) -> Option<Bytes> {
    let whole = match (api, stream) {
        (_, _) if !api.has_output() => return None,
        (Api::Chat, false) => body(&chat(says)),
        (Api::Completions, false) => body(&completion(says)),
        (Api::Responses, false) => responses::response(says),
        (Api::Chat, true) => events(says, "chat.completion.chunk", &chat_choices(says)),
        (Api::Completions, true) => events(says, "text_completion", &completion_choices(says)),
        (Api::Responses, true) => responses::events(says),
        (_, _) => return None,
    };
    Some(whole.into())
}

fn body(answer: &Value) -> Vec<u8> {
    answer.to_string().into_bytes()
}

fn chat(says: &Fixed<'_>) -> Value {
    let message = json!({ "role": "assistant", "content": says.text, "refusal": null, "annotations": [] });
    let choice = json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": "stop" });
    let mut chat = envelope(says, "chat.completion", &choice);
    chat["usage"] = usage();
    chat
}

fn completion(says: &Fixed<'_>) -> Value {
    let mut completion = envelope(says, "text_completion", &text_choice(says.text, Some("stop")));
    completion["usage"] = usage();
    completion
}

/// The choice of each chunk: role, text, finish.
fn chat_choices(says: &Fixed<'_>) -> [Value; 3] {
    [
        delta_choice(&json!({ "role": "assistant", "content": "", "refusal": null }), None),
        delta_choice(&json!({ "content": says.text }), None),
        delta_choice(&json!({}), Some("stop")),
    ]
}

fn delta_choice(delta: &Value, finish_reason: Option<&str>) -> Value {
    json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason })
}

/// Completions have no role to begin with.
fn completion_choices(says: &Fixed<'_>) -> [Value; 2] {
    [text_choice(says.text, None), text_choice("", Some("stop"))]
}

fn text_choice(text: &str, finish_reason: Option<&str>) -> Value {
    json!({ "index": 0, "text": text, "logprobs": null, "finish_reason": finish_reason })
}

/// A chunk for each choice, and for the usage if it was asked for: then it is null in all chunks before.
fn events(says: &Fixed<'_>, object: &str, choices: &[Value]) -> Vec<u8> {
    let mut events = Vec::new();
    for choice in choices {
        let mut chunk = envelope(says, object, choice);
        if says.include_usage {
            chunk["usage"] = Value::Null;
        }
        push(&mut events, &chunk);
    }
    if says.include_usage {
        let mut last = envelope(says, object, &Value::Null);
        last["choices"] = json!([]);
        last["usage"] = usage();
        push(&mut events, &last);
    }
    events.extend_from_slice(DONE);
    events
}

fn envelope(says: &Fixed<'_>, object: &str, choice: &Value) -> Value {
    json!({
        "id": says.id, "object": object, "created": says.created, "model": says.model, "choices": [choice],
    })
}

fn usage() -> Value {
    json!({ "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0 })
}

/// JSON is written in one line, so it is one `data:` line whatever the text holds.
fn push(events: &mut Vec<u8>, data: &Value) {
    events.extend_from_slice(format!("data: {data}\n\n").as_bytes());
}

#[cfg(test)]
mod tests;
