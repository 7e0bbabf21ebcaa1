//! What a message is to the conversation around it.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::MOST;
use crate::dialect::Api;
use crate::dialect::json::{self, Kind, Value};

/// No type of an item is longer.
const LONGEST_TYPE: usize = 64;

/// What a message, or an item of a response's input, is.
pub(super) enum Part<'a> {
    /// Of the system or the developer.
    Instruction,
    /// Of the user: a turn begins.
    Prompt,
    /// Calls tools, by these ids.
    Call(SmallVec<[Cow<'a, str>; 2]>),
    /// Answers the call of this id, or the last one where it names none.
    Result(Option<Cow<'a, str>>),
    /// Belongs to the item behind it.
    Reasoning,
    /// Text of the model, and what is not known.
    Other,
}

/// Reads a message in one pass; of keys that stand there twice the last counts.
pub(super) fn part<'a>(api: Api, message: &Value<'a>) -> Part<'a> {
    let mut members = Members::default();
    for member in message.members() {
        let place = match &*member.name() {
            "role" => &mut members.role,
            "type" => &mut members.kind,
            "tool_calls" => &mut members.tool_calls,
            "function_call" => &mut members.function_call,
            "tool_call_id" => &mut members.tool_call_id,
            "call_id" => &mut members.call_id,
            "approval_request_id" => &mut members.approval_request_id,
            "id" => &mut members.id,
            _ => continue,
        };
        *place = Some(member.value);
    }
    match api {
        Api::Responses => members.of_response(),
        _ => members.of_chat(),
    }
}

/// The members that tell.
#[derive(Default)]
struct Members<'a> {
    role: Option<Value<'a>>,
    kind: Option<Value<'a>>,
    tool_calls: Option<Value<'a>>,
    function_call: Option<Value<'a>>,
    tool_call_id: Option<Value<'a>>,
    call_id: Option<Value<'a>>,
    approval_request_id: Option<Value<'a>>,
    id: Option<Value<'a>>,
}

impl<'a> Members<'a> {
    fn of_chat(&self) -> Part<'a> {
        let said = |value: &Option<Value<'_>>| value.as_ref().is_some_and(|value| !value.is_blank());
        match self.role(&["system", "developer", "user", "tool", "function"]) {
            Some("system" | "developer") => Part::Instruction,
            Some("user") => Part::Prompt,
            Some("tool") => Part::Result(id(&self.tool_call_id)),
            Some(_) => Part::Result(None),
            None if said(&self.tool_calls) || said(&self.function_call) => {
                let calls = self.tool_calls.iter().flat_map(Value::elements).take(MOST + 1);
                Part::Call(calls.filter_map(|call| id(&call.member("id"))).collect())
            }
            None => Part::Other,
        }
    }

    /// An item without a type is a message. Calls and their outputs are told by how their types end: new tools bring
    /// new ones.
    fn of_response(&self) -> Part<'a> {
        let kind = self.kind.as_ref().and_then(|kind| kind.short_text(LONGEST_TYPE));
        match kind.as_deref() {
            None | Some("message") => match self.role(&["system", "developer", "user"]) {
                Some("user") => Part::Prompt,
                Some(_) => Part::Instruction,
                None => Part::Other,
            },
            Some("reasoning") => Part::Reasoning,
            Some("mcp_approval_request") => Part::Call(id(&self.id).into_iter().collect()),
            Some("mcp_approval_response") => Part::Result(id(&self.approval_request_id)),
            Some(kind) if kind.ends_with("_output") => {
                Part::Result(id(&self.call_id).or_else(|| id(&self.id)))
            }
            // The output of a local shell call names it by `id`.
            Some(kind) if kind.ends_with("_call") => {
                Part::Call(id(&self.call_id).into_iter().chain(id(&self.id)).collect())
            }
            Some(_) => Part::Other,
        }
    }

    fn role(&self, known: &[&'static str]) -> Option<&'static str> {
        self.role.as_ref()?.one_of(known)
    }
}

fn id<'a>(value: &Option<Value<'a>>) -> Option<Cow<'a, str>> {
    let value = value.as_ref().filter(|value| value.kind == Kind::String)?;
    Some(json::unquoted(value.raw()))
}
