//! What one event of a stream says. Each is a whole answer with the new parts and the usage so far, so each is read, in
//! one pass.

use crate::dialect::facts::AnswerFacts;
use crate::dialect::gemini::error::unlisted;
use crate::dialect::gemini::generate::{is_blocked, reason};
use crate::dialect::gemini::usage;
use crate::dialect::json::{self, Kind, Member, Value};
use crate::dialect::stream::{Noted, Seen};

/// An event. `seen` says what need not be looked for again, `looks` whether content has to be. An answer goes on after
/// the end of a candidate; only the close of the stream ends it.
pub(crate) fn of(data: &[u8], (_seen, looks): (Seen, bool), facts: Option<&mut AnswerFacts>) -> Noted {
    let mut noted = Noted::default();
    let Some(event) = json::document(data).ok().and_then(unlisted) else {
        return noted;
    };
    for member in event.members() {
        let value = &member.value;
        if member.is("candidates") {
            noted.content |= looks && value.elements().any(|candidate| says_something(&candidate));
            noted.finished |= value.elements().any(|candidate| has_ended(&candidate));
        } else if member.is("usageMetadata") {
            noted.usage = usage::of(value).or(noted.usage);
        } else if member.is("error") {
            noted.error |= !value.is_blank();
        }
    }
    noted.finished |= is_blocked(&event);
    if let Some(facts) = facts {
        facts.read_generated(&event);
    }
    noted
}

fn has_ended(candidate: &Value<'_>) -> bool {
    candidate.member("finishReason").is_some_and(|value| reason(&value).is_some())
}

fn says_something(candidate: &Value<'_>) -> bool {
    let parts = candidate.member("content").and_then(|content| content.member("parts"));
    parts.iter().flat_map(Value::elements).any(|part| part.members().any(|member| is_content(&member)))
}

/// Text, a thought, a call, a picture: whatever says something is content, but for what only describes a part.
fn is_content(member: &Member<'_>) -> bool {
    if member.is("thoughtSignature") || member.is("thought") || member.is("partMetadata") {
        return false;
    }
    match member.value.kind {
        Kind::String | Kind::Array | Kind::Object => !member.value.is_blank(),
        Kind::Null | Kind::True | Kind::False | Kind::Number => false,
    }
}

#[cfg(test)]
mod tests;
