//! What a message of an answer, or a delta of one, says: the same members, in the words of many servers.

use super::messages::signature;
use crate::dialect::json::{Kind, Value};
use crate::dialect::neutral::{Finish, Literal, Signature};
use crate::dialect::translate::Stamp;

/// A text that is said, never an empty one.
pub(super) enum Text<'a> {
    Reasoning(Literal<'a>),
    Said(Literal<'a>),
    Refusal(Literal<'a>),
}

/// A message or delta.
#[derive(Default)]
pub(super) struct Spoken<'a> {
    reasoning: Option<Literal<'a>>,
    content: Option<Value<'a>>,
    refusal: Option<Literal<'a>>,
    calls: Option<Value<'a>>,
    /// The older form of the only call.
    function_call: Option<Value<'a>>,
}

/// A call, or a piece of one.
pub(super) struct Calling<'a> {
    /// Where the server counts it.
    pub(super) place: Option<u32>,
    pub(super) id: Option<Literal<'a>>,
    pub(super) name: Option<Literal<'a>>,
    pub(super) arguments: Option<Value<'a>>,
    pub(super) signature: Option<Signature<'a>>,
}

impl<'a> Spoken<'a> {
    pub(super) fn of(message: &Value<'a>) -> Self {
        let mut spoken = Self::default();
        for member in message.members() {
            let (name, value) = (member.name(), member.value);
            match &*name {
                // Groq, OpenRouter and vLLM say `reasoning`; some servers say both, and the same by both.
                "reasoning_content" | "reasoning" => spoken.reasoning = text(&value).or(spoken.reasoning),
                "content" => spoken.content = Some(value),
                "refusal" => spoken.refusal = text(&value),
                "tool_calls" => spoken.calls = Some(value),
                "function_call" if value.kind == Kind::Object => spoken.function_call = Some(value),
                _ => {}
            }
        }
        spoken
    }

    /// Its texts, reasoning first.
    pub(super) fn texts(&self, say: &mut dyn FnMut(Text<'a>)) {
        if let Some(reasoning) = &self.reasoning {
            say(Text::Reasoning(reasoning.clone()));
        }
        if let Some(content) = &self.content {
            if let Some(text) = text(content) {
                say(Text::Said(text));
            }
            // Mistral's reasoning models answer in parts.
            content.elements().for_each(|part| part_texts(&part, say));
        }
        if let Some(refusal) = &self.refusal {
            say(Text::Refusal(refusal.clone()));
        }
    }

    pub(super) fn calls(&self) -> impl Iterator<Item = Calling<'a>> {
        let calls = self.calls.iter().flat_map(Value::elements).filter_map(|call| Calling::of(&call));
        calls.chain(self.function_call.as_ref().map(Calling::of_older))
    }
}

/// The text of a part, or the texts of one that thinks.
pub(super) fn part_texts<'a>(part: &Value<'a>, say: &mut dyn FnMut(Text<'a>)) {
    if let Some(text) = part.member("text").as_ref().and_then(text) {
        say(Text::Said(text));
    }
    if let Some(thinking) = part.member("thinking") {
        let thoughts = thinking.elements().filter_map(|thought| text(&thought.member("text")?));
        thoughts.for_each(|thought| say(Text::Reasoning(thought)));
    }
}

fn text<'a>(value: &Value<'a>) -> Option<Literal<'a>> {
    Literal::of(value).filter(|text| !text.is_empty())
}

impl<'a> Calling<'a> {
    /// A call of a function; others are asked for by nobody.
    fn of(call: &Value<'a>) -> Option<Self> {
        let function = call.member("function")?;
        Some(Self {
            place: call.member("index").and_then(|index| index.number()),
            id: call.member("id").as_ref().and_then(text),
            name: function.member("name").as_ref().and_then(text),
            arguments: function.member("arguments"),
            signature: signature(call),
        })
    }

    fn of_older(function: &Value<'a>) -> Self {
        Self {
            place: Some(0),
            id: None,
            name: function.member("name").as_ref().and_then(text),
            arguments: function.member("arguments"),
            signature: None,
        }
    }
}

/// The id of a call that has none: the `count`th of its answer.
pub(super) fn made_up_id(answer: &str, count: usize) -> Literal<'static> {
    Literal::from_text(&format!("call_{}_{count}", answer.get(..16).unwrap_or(answer)))
}

/// The id of an answer that has none.
pub(super) fn answer_id(stamp: &Stamp<'_>) -> Literal<'static> {
    Literal::from_text(&format!("chatcmpl-{}", stamp.id))
}

/// What a finish reason means, given what was said.
pub(super) fn finish(reason: Option<&Value<'_>>, calls: bool, refuses: bool) -> Finish {
    const KNOWN: [&str; 7] = [
        "length",
        "max_tokens",
        "insufficient_system_resource",
        "model_length",
        "content_filter",
        "tool_calls",
        "function_call",
    ];
    match reason.and_then(|reason| reason.one_of(&KNOWN)) {
        // DeepSeek breaks off where it has no more room for the call.
        Some("length" | "max_tokens" | "insufficient_system_resource") => Finish::Length,
        Some("model_length") => Finish::Window,
        Some("content_filter") => Finish::Filtered,
        Some(_) => Finish::ToolCalls,
        // OpenAI says `stop` where the call was forced, other servers for any call.
        None if calls => Finish::ToolCalls,
        None if refuses => Finish::Refused,
        None => Finish::Stop,
    }
}

/// The reason that says it.
pub(super) fn reason(finish: Finish, refuses: bool) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence | Finish::Paused => "stop",
        Finish::Length | Finish::Window => "length",
        Finish::ToolCalls => "tool_calls",
        // OpenAI's own refusals are told by their text.
        Finish::Refused if refuses => "stop",
        Finish::Filtered | Finish::Refused => "content_filter",
    }
}
