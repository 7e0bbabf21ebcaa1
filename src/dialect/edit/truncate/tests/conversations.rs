//! Conversations of any shape, in the words of every operation that holds one.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::dialect::Api;
use crate::dialect::translate::Form;

/// What happens in a conversation.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Instruction,
    User,
    Says,
    Reasons,
    /// Calls so many tools, the results of which come so many steps later each.
    Calls(Vec<usize>),
}

/// A message of the conversation, and what a cut has to know of it.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) kind: Kind,
    /// The calls that it makes, or answers.
    pub(super) calls: Vec<usize>,
}

/// A call. One without an id is answered at once.
#[derive(Clone, Copy)]
struct Call {
    number: usize,
    named: bool,
}

impl Call {
    fn id(&self) -> String {
        format!("c{}", self.number)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Instruction,
    User,
    Reasoning,
    Call,
    Result,
    Other,
}

pub(super) fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => Just(Step::Instruction),
        3 => Just(Step::User),
        2 => Just(Step::Says),
        1 => Just(Step::Reasons),
        2 => prop::collection::vec(prop_oneof![4 => Just(0_usize), 1 => 1..4_usize], 1..3).prop_map(Step::Calls),
    ];
    prop::collection::vec(step, 0..16)
}

/// The messages of these steps, each result where it is due; what is due after the last step comes at the end.
pub(super) fn conversation(api: Api, steps: &[Step], texts: &[String]) -> Vec<Said> {
    let mut said = Vec::new();
    let mut due: Vec<(usize, Call)> = Vec::new();
    let mut made = 0;
    for (at, step) in steps.iter().enumerate() {
        let text = &texts[at % texts.len()];
        match step {
            // Gemini has its instructions elsewhere.
            Step::Instruction if api == Api::Generate => {}
            Step::Instruction => said.push(message(api, "system", text, Kind::Instruction)),
            Step::User => said.push(message(api, "user", text, Kind::User)),
            Step::Says => said.push(message(api, "assistant", text, Kind::Other)),
            Step::Reasons if api == Api::Responses => {
                let item = json!({ "type": "reasoning", "summary": [text] });
                said.push(Said { text: item.to_string(), kind: Kind::Reasoning, calls: vec![] });
            }
            Step::Reasons => {}
            Step::Calls(delays) => {
                let calls = (made..)
                    .zip(delays)
                    .map(|(number, delay)| Call { number, named: *delay > 0 || number % 2 == 0 });
                let calls: Vec<_> = calls.collect();
                said.extend(call_messages(api, &calls, text));
                due.extend(calls.iter().zip(delays).map(|(call, delay)| (at + delay, *call)));
                made += delays.len();
            }
        }
        let now: Vec<_> = due.extract_if(.., |(when, _)| *when <= at).map(|(_, call)| call).collect();
        said.extend(result_messages(api, &now, text));
    }
    let late: Vec<_> = due.into_iter().map(|(_, call)| call).collect();
    said.extend(result_messages(api, &late, "late"));
    said
}

/// Whose message it is, in the word of the operation.
fn role_of(api: Api, role: &str) -> &str {
    if api == Api::Generate && role == "assistant" { "model" } else { role }
}

/// A message of these parts, or of this text.
fn content(api: Api, role: &str, content: &Json) -> Json {
    let role = role_of(api, role);
    match (api, content) {
        (Api::Generate, Json::String(text)) => json!({ "role": role, "parts": [{ "text": text }] }),
        (Api::Generate, parts) => json!({ "role": role, "parts": parts }),
        (_, content) => json!({ "role": role, "content": content }),
    }
}

fn message(api: Api, role: &str, text: &str, kind: Kind) -> Said {
    Said { text: content(api, role, &json!(text)).to_string(), kind, calls: vec![] }
}

fn call_messages(api: Api, calls: &[Call], text: &str) -> Vec<Said> {
    let said = |json: Json, calls: &[Call]| {
        let calls = calls.iter().map(|call| call.number).collect();
        Said { text: json.to_string(), kind: Kind::Call, calls }
    };
    if api == Api::Responses {
        return calls.iter().map(|call| said(call_of(api, call, text), &[*call])).collect();
    }
    let list: Vec<_> = calls.iter().map(|call| call_of(api, call, text)).collect();
    let message = match Form::of(api) {
        Some(Form::Chat) | None => json!({ "role": "assistant", "content": null, "tool_calls": list }),
        Some(Form::Responses | Form::Messages | Form::Generate) => content(api, "assistant", &json!(list)),
    };
    vec![said(message, calls)]
}

fn call_of(api: Api, call: &Call, text: &str) -> Json {
    let (number, id) = (call.number, call.id());
    match Form::of(api) {
        Some(Form::Responses) => {
            json!({ "type": "function_call", "id": format!("fc_{number}"), "call_id": id, "arguments": text })
        }
        Some(Form::Messages) => json!({ "type": "tool_use", "id": id, "name": "f", "input": { "x": text } }),
        Some(Form::Generate) if call.named => json!({ "functionCall": { "id": id, "args": { "x": text } } }),
        Some(Form::Generate) => json!({ "functionCall": { "name": "f", "args": { "x": text } } }),
        Some(Form::Chat) | None => json!({ "id": id, "function": { "arguments": text } }),
    }
}

/// The results of these calls: of some dialects all in one message.
fn result_messages(api: Api, calls: &[Call], text: &str) -> Vec<Said> {
    let said = |json: Json, calls: &[Call]| {
        let calls = calls.iter().map(|call| call.number).collect();
        Said { text: json.to_string(), kind: Kind::Result, calls }
    };
    let list: Vec<_> = calls.iter().map(|call| result_of(api, call, text)).collect();
    match Form::of(api) {
        Some(Form::Messages | Form::Generate) if calls.is_empty() => vec![],
        Some(Form::Messages | Form::Generate) => vec![said(content(api, "user", &json!(list)), calls)],
        Some(Form::Chat | Form::Responses) | None => {
            list.into_iter().zip(calls).map(|(json, call)| said(json, &[*call])).collect()
        }
    }
}

fn result_of(api: Api, call: &Call, text: &str) -> Json {
    let id = call.id();
    match Form::of(api) {
        Some(Form::Responses) => json!({ "type": "function_call_output", "call_id": id, "output": text }),
        Some(Form::Messages) => json!({ "type": "tool_result", "tool_use_id": id, "content": text }),
        Some(Form::Generate) if call.named => {
            json!({ "functionResponse": { "id": id, "response": { "x": text } } })
        }
        Some(Form::Generate) => json!({ "functionResponse": { "name": "f", "response": { "x": text } } }),
        Some(Form::Chat) | None => json!({ "role": "tool", "tool_call_id": id, "content": text }),
    }
}
