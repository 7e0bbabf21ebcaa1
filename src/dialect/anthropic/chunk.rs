//! What one event of a stream says: its type first, more only where that is not enough.

use std::borrow::Cow;

use crate::dialect::anthropic::{facts, usage};
use crate::dialect::facts::AnswerFacts;
use crate::dialect::json::{self, Kind, Value};
use crate::dialect::stream::{Noted, Seen};
use crate::usage::Usage;

/// An event. `seen` says what need not be looked for again, `looks` whether content has to be; `usage` is what was
/// reported so far, of which a later event may repeat only a part. Its type is the event's name, which not every server
/// writes.
pub(crate) fn of(
    name: Option<&[u8]>,
    data: &[u8],
    (_seen, looks): (Seen, bool),
    usage: Option<Usage>,
    facts: Option<&mut AnswerFacts>,
) -> Noted {
    let kind = name.map(Cow::Borrowed).or_else(|| type_of(data));
    match kind.as_deref() {
        Some(b"content_block_delta") => {
            Noted { content: looks && says(data, "delta", delta_says_something), ..Noted::default() }
        }
        Some(b"content_block_start") => {
            Noted { content: looks && says(data, "content_block", block_says_something), ..Noted::default() }
        }
        Some(b"message_start") => {
            let message = member(data, "message");
            if let (Some(facts), Some(message)) = (facts, &message) {
                facts::read_members(facts, message);
            }
            let reported = message.and_then(|message| message.member("usage"));
            Noted { usage: reported.and_then(|reported| usage::of(&reported, usage)), ..Noted::default() }
        }
        Some(b"message_delta") => {
            if let (Some(facts), Some(delta)) = (facts, member(data, "delta")) {
                facts::read_members(facts, &delta);
            }
            let reported = member(data, "usage");
            Noted { usage: reported.and_then(|reported| usage::of(&reported, usage)), ..Noted::default() }
        }
        // The answer is not whole before it: usage may come more than once.
        Some(b"message_stop") => Noted { finished: true, ..Noted::default() },
        Some(b"error") => Noted { error: true, ..Noted::default() },
        Some(b"ping" | b"content_block_stop") => Noted::default(),
        // Servers of this shape may tell their errors in the shape of others.
        Some(_) | None => Noted { error: says(data, "error", |error| !error.is_blank()), ..Noted::default() },
    }
}

fn member<'a>(data: &'a [u8], name: &str) -> Option<Value<'a>> {
    json::document(data).ok()?.member(name)
}

fn says(data: &[u8], name: &str, something: impl Fn(&Value<'_>) -> bool) -> bool {
    member(data, name).is_some_and(|value| something(&value))
}

/// Whatever has something in it is content, of whatever type.
fn delta_says_something(delta: &Value<'_>) -> bool {
    delta.members().any(|member| !member.is("type") && is_content(&member.value))
}

/// A call says something by being there, text and thinking by what they begin with.
fn block_says_something(block: &Value<'_>) -> bool {
    let kind = block.member("type");
    match kind.and_then(|kind| kind.one_of(&["text", "thinking"])) {
        Some(_) => delta_says_something(block),
        None => block.kind == Kind::Object,
    }
}

/// Texts, lists and objects with something in them; numbers and flags say nothing.
fn is_content(value: &Value<'_>) -> bool {
    match value.kind {
        Kind::String | Kind::Array | Kind::Object => !value.is_blank(),
        Kind::Null | Kind::True | Kind::False | Kind::Number => false,
    }
}

/// The `type` of an event, mostly its first member.
fn type_of(data: &[u8]) -> Option<Cow<'_, [u8]>> {
    if let Some(value) = data.strip_prefix(b"{\"type\":\"") {
        return Some(Cow::Borrowed(value.get(..memchr::memchr(b'"', value)?)?));
    }
    let kind = member(data, "type")?;
    Some(Cow::Owned(json::unquoted(kind.raw()).into_owned().into_bytes()))
}

#[cfg(test)]
mod tests;
