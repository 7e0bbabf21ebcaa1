//! An answer of our own as a response: one message of one part.

use serde_json::{Value, json};

use super::push;
use crate::dialect::answer::Fixed;

/// The response when it is complete.
pub(super) fn response(says: &Fixed<'_>) -> Value {
    let mut response = begun(says);
    response["status"] = json!("completed");
    response["output"] = json!([item(says, "completed", &[part(says.text)])]);
    response["usage"] = json!({
        "input_tokens": 0,
        "input_tokens_details": { "cached_tokens": 0, "cache_write_tokens": 0 },
        "output_tokens": 0,
        "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": 0,
    });
    response
}

/// All events, in the order in which the SDKs build the response from them: whatever is spoken of was added before.
pub(super) fn events(says: &Fixed<'_>) -> Vec<u8> {
    let text = says.text;
    let steps = [
        ("response.created", json!({ "response": begun(says) })),
        ("response.in_progress", json!({ "response": begun(says) })),
        ("response.output_item.added", at_item(&item(says, "in_progress", &[]))),
        ("response.content_part.added", at_part(says, "part", &part(""))),
        ("response.output_text.delta", spoken(says, "delta")),
        ("response.output_text.done", spoken(says, "text")),
        ("response.content_part.done", at_part(says, "part", &part(text))),
        ("response.output_item.done", at_item(&item(says, "completed", &[part(text)]))),
        ("response.completed", json!({ "response": response(says) })),
    ];
    let mut events = Vec::new();
    for (number, (kind, mut event)) in steps.into_iter().enumerate() {
        event["type"] = json!(kind);
        event["sequence_number"] = json!(number);
        push(&mut events, Some(kind), &event);
    }
    events
}

fn at_item(item: &Value) -> Value {
    json!({ "output_index": 0, "item": item })
}

fn at_part(says: &Fixed<'_>, name: &str, value: &Value) -> Value {
    json!({ "item_id": item_id(says), "output_index": 0, "content_index": 0, name: value })
}

fn spoken(says: &Fixed<'_>, name: &str) -> Value {
    let mut event = at_part(says, name, &json!(says.text));
    event["logprobs"] = json!([]);
    event
}

/// The response while it is in progress.
fn begun(says: &Fixed<'_>) -> Value {
    json!({
        "id": says.id,
        "object": "response",
        "created_at": says.created,
        "status": "in_progress",
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "model": says.model,
        "output": [],
        "parallel_tool_calls": true,
        "tool_choice": "auto",
        "tools": [],
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "usage": null,
    })
}

fn item(says: &Fixed<'_>, status: &str, content: &[Value]) -> Value {
    json!({
        "id": item_id(says), "type": "message", "role": "assistant", "status": status, "content": content,
    })
}

fn item_id(says: &Fixed<'_>) -> String {
    format!("msg_{}", says.id)
}

fn part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}
