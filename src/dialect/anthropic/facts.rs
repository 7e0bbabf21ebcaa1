//! What an answer of this dialect says of itself.

use smallvec::SmallVec;

use crate::dialect::facts::{AnswerFacts, keep};
use crate::dialect::json::{Key, Kind, Scanner, Value};

/// Reads a plain answer. A body that is no JSON object says nothing.
pub(crate) fn in_answer(body: &[u8]) -> AnswerFacts {
    let mut facts = AnswerFacts::default();
    let mut is_answer = false;
    let mut scanner = Scanner::at(body, 0);
    let read = scanner.members(|key, scanner| {
        let value = scanner.value()?;
        is_answer |= key.is("content") && value.kind == Kind::Array;
        read_member(&mut facts, key, &value);
        Ok(())
    });
    if read.and_then(|()| scanner.end()).is_err() {
        return AnswerFacts::default();
    }
    if is_answer && facts.finish_reasons.is_empty() {
        facts.finish_reasons.push("error");
    }
    facts
}

/// Reads the message that a stream begins with, or the end of it: an event's `message`, or its `delta`.
pub(super) fn read_members(facts: &mut AnswerFacts, message: &Value<'_>) {
    message.members().for_each(|member| read_member(facts, &member.key, &member.value));
}

fn read_member(facts: &mut AnswerFacts, key: &Key<'_>, value: &Value<'_>) {
    if key.is("id") {
        keep(&mut facts.id, value);
    } else if key.is("model") {
        keep(&mut facts.model, value);
    } else if key.is("usage") {
        if let Some(tier) = value.member("service_tier") {
            keep(&mut facts.service_tier, &tier);
        }
    } else if key.is("stop_reason")
        && let Some(reason) = reason(value)
    {
        facts.finish_reasons = SmallVec::from([reason]);
    }
}

/// Why an answer ended, by the word that chats use for it; none where it has not.
fn reason(stop_reason: &Value<'_>) -> Option<&'static str> {
    const KNOWN: [(&str, &str); 7] = [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
    ];
    if stop_reason.is_blank() {
        return None;
    }
    let known = stop_reason.one_of(&KNOWN.map(|(word, _)| word));
    Some(KNOWN.iter().find(|(word, _)| Some(*word) == known).map_or("other", |(_, reason)| *reason))
}

#[cfg(test)]
mod tests;
