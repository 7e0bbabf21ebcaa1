//! What a message is to the conversation around it.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::MOST;
use crate::dialect::Api;
use crate::dialect::json::{self, Kind, Value};
use crate::dialect::translate::Form;

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
    /// Answers the calls of these ids; what names none answers the last one.
    Result(SmallVec<[Option<Cow<'a, str>>; 2]>),
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
            "content" => &mut members.content,
            "parts" => &mut members.parts,
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
    match Form::of(api) {
        Some(Form::Responses) => members.of_response(),
        Some(Form::Messages) => members.of_messages(),
        Some(Form::Generate) => members.of_contents(),
        Some(Form::Chat) | None => members.of_chat(),
    }
}

/// The members that tell.
#[derive(Default)]
struct Members<'a> {
    role: Option<Value<'a>>,
    content: Option<Value<'a>>,
    parts: Option<Value<'a>>,
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
            Some("tool") => result(id(&self.tool_call_id)),
            Some(_) => result(None),
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
            Some("mcp_approval_response") => result(id(&self.approval_request_id)),
            Some(kind) if kind.ends_with("_output") => result(id(&self.call_id).or_else(|| id(&self.id))),
            // The output of a local shell call names it by `id`.
            Some(kind) if kind.ends_with("_call") => {
                Part::Call(id(&self.call_id).into_iter().chain(id(&self.id)).collect())
            }
            Some(_) => Part::Other,
        }
    }

    /// Of Anthropic: the user brings the results of tools. What it says beside them belongs to them.
    fn of_messages(&self) -> Part<'a> {
        let blocks = |kind: &'static str, name| {
            let of_kind =
                move |block: &Value<'_>| block.member("type").is_some_and(|is| is.one_of(&[kind]).is_some());
            let blocks = self.content.iter().flat_map(Value::elements).filter(of_kind);
            blocks.map(move |block| id(&block.member(name)))
        };
        match self.role(&["system", "user", "assistant"]) {
            Some("system") => Part::Instruction,
            Some("user") => results(blocks("tool_result", "tool_use_id")).unwrap_or(Part::Prompt),
            Some(_) => calls(blocks("tool_use", "id")).unwrap_or(Part::Other),
            None => Part::Other,
        }
    }

    /// Of Gemini, where calls have ids or not. Without a role it is the user's.
    fn of_contents(&self) -> Part<'a> {
        let parts = |names: [&'static str; 2]| {
            let parts = self.parts.iter().flat_map(Value::elements);
            let of_name = move |part: Value<'a>| names.iter().find_map(|name| part.member(name));
            let said = |value: &Value<'_>| value.kind == Kind::Object;
            parts.filter_map(of_name).filter(said).map(|part| id(&part.member("id")))
        };
        let answers = || results(parts(["functionResponse", "function_response"]));
        match self.role(&["user", "model"]) {
            Some("model") => calls(parts(["functionCall", "function_call"])).unwrap_or(Part::Other),
            Some(_) => answers().unwrap_or(Part::Prompt),
            None if self.role.as_ref().is_none_or(Value::is_blank) => answers().unwrap_or(Part::Prompt),
            // `function`, which was the role of what tools answer.
            None => answers().unwrap_or(Part::Other),
        }
    }

    fn role(&self, known: &[&'static str]) -> Option<&'static str> {
        self.role.as_ref()?.one_of(known)
    }
}

fn result(id: Option<Cow<'_, str>>) -> Part<'_> {
    Part::Result(SmallVec::from_iter([id]))
}

/// None where there is no result.
fn results<'a>(ids: impl Iterator<Item = Option<Cow<'a, str>>>) -> Option<Part<'a>> {
    let ids: SmallVec<_> = ids.collect();
    (!ids.is_empty()).then_some(Part::Result(ids))
}

/// None where there is no call. Those beyond what is told apart are not looked at.
fn calls<'a>(ids: impl Iterator<Item = Option<Cow<'a, str>>>) -> Option<Part<'a>> {
    let mut ids = ids.peekable();
    ids.peek()?;
    Some(Part::Call(ids.flatten().take(MOST + 1).collect()))
}

fn id<'a>(value: &Option<Value<'a>>) -> Option<Cow<'a, str>> {
    let value = value.as_ref().filter(|value| value.kind == Kind::String)?;
    Some(json::unquoted(value.raw()))
}
