//! What one event says: search first, scan only on suspicion.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::dialect::Api;
use crate::dialect::facts::AnswerFacts;
use crate::dialect::json::{self, Kind, Member, Scanner, Value};
use crate::dialect::openai::usage;
use crate::dialect::stream::{Noted, Seen};

/// An event of chat or completions. `seen` says what need not be looked for again, `looks` whether content has to be. Of a stream that is
/// observed, `facts` learn from what is scanned anyway, and from the end of every choice rather than of the
/// first alone.
pub(crate) fn of_chat(
    api: Api,
    name: Option<&[u8]>,
    data: &[u8],
    (seen, looks): (Seen, bool),
    facts: Option<&mut AnswerFacts>,
) -> Noted {
    let mut noted = Noted { error: name == Some(b"error"), ..Noted::default() };
    if seen.content && !is_suspicious(data, seen.finished && facts.is_none()) {
        noted.content = looks && has_content(data);
        return noted;
    }
    let Ok(chunk) = json::document(data) else {
        return noted;
    };
    if let Some(facts) = facts {
        facts.read_chunk(api, &chunk);
    }
    let (mut no_choices, mut has_usage) = (false, false);
    for member in chunk.members() {
        if member.is("choices") {
            no_choices = member.value.kind == Kind::Array && member.value.is_blank();
            member.value.elements().for_each(|choice| noted.read_choice(&choice));
        } else if member.is("usage") {
            has_usage = member.value.kind == Kind::Object;
            noted.usage = usage::of(api, &member.value).or(noted.usage);
        } else if member.is("x_groq") {
            noted.read_groq(api, &member.value);
        } else {
            noted.error |= is_error(&member);
        }
    }
    noted.only_usage = no_choices && has_usage && !noted.error;
    noted
}

/// An event of the Responses API. Its type is the event's name, which not every server writes.
pub(crate) fn of_responses(
    name: Option<&[u8]>,
    data: &[u8],
    (seen, looks): (Seen, bool),
    facts: Option<&mut AnswerFacts>,
) -> Noted {
    let mut noted = Noted::default();
    let kind = name.map(Cow::Borrowed).or_else(|| type_of(data));
    match kind.as_deref() {
        Some(b"response.completed" | b"response.incomplete") => {
            let output = noted.read_response(data, facts);
            // Some servers write no other event. After others it repeats what they said.
            noted.content = output && !seen.content;
        }
        Some(b"response.failed") => {
            noted.read_response(data, facts);
            noted.error = true;
        }
        Some(b"error") => noted.error = true,
        Some(kind) if kind.ends_with(b".delta") => {
            noted.content = looks && !has_key(&WORDS.delta, data, is_nothing);
        }
        Some(kind) if kind.ends_with(b".partial_image") => noted.content = true,
        Some(kind @ (b"response.output_item.added" | b"response.output_item.done")) => {
            noted.content = item_says_something(data, kind.ends_with(b".done"));
        }
        Some(_) | None => {
            // The first events name the response; a stream that is cut has no last one.
            if let Some(facts) = facts.filter(|facts| facts.id.is_none())
                && let Ok(event) = json::document(data)
            {
                facts.read_event(&event);
            }
            noted.error = has_key(&WORDS.error, data, is_not_null)
                && json::document(data).is_ok_and(|event| event.members().any(|member| is_error(&member)));
        }
    }
    noted
}

impl Noted {
    fn read_choice(&mut self, choice: &Value<'_>) {
        for member in choice.members() {
            if member.is("finish_reason") {
                // Some servers write an empty one while the choice goes on.
                self.finished |= !member.value.is_blank();
            } else if member.is("text") {
                self.content |= says_something(&member.value);
            } else if member.is("delta") {
                self.content |= delta_says_something(&member.value);
            }
        }
    }

    /// Groq reports usage and errors in a field of its own, in the last chunk.
    fn read_groq(&mut self, api: Api, groq: &Value<'_>) {
        for member in groq.members() {
            if member.is("usage") {
                self.usage = self.usage.or_else(|| usage::of(api, &member.value));
            } else {
                self.error |= is_error(&member);
            }
        }
    }

    /// The whole response, at its end; whether it has any output.
    fn read_response(&mut self, data: &[u8], facts: Option<&mut AnswerFacts>) -> bool {
        self.finished = true;
        let Ok(event) = json::document(data) else {
            return false;
        };
        if let Some(facts) = facts {
            facts.read_event(&event);
        }
        let mut output = false;
        let response = event.members().filter(|member| member.is("response"));
        for member in response.flat_map(|response| response.value.members()) {
            if member.is("usage") {
                self.usage = self.usage.or_else(|| usage::of(Api::Responses, &member.value));
            }
            output |= member.is("output") && says_something(&member.value);
        }
        output
    }
}

/// Servers have their own names for reasoning and the like: whatever says something is content.
fn delta_says_something(delta: &Value<'_>) -> bool {
    delta.members().any(|part| !part.is("role") && says_something(&part.value))
}

/// Whether it is a text, list or object with something in it; counts and flags say nothing.
fn says_something(value: &Value<'_>) -> bool {
    match value.kind {
        Kind::String | Kind::Array | Kind::Object => !value.is_blank(),
        Kind::Null | Kind::True | Kind::False | Kind::Number => false,
    }
}

/// Whether an event of chat or completions has content: looks at its deltas, or else its texts, alone.
fn has_content(data: &[u8]) -> bool {
    let mut deltas = keyed(&WORDS.delta, data).peekable();
    if deltas.peek().is_none() {
        let mut texts = keyed(&WORDS.text, data);
        return texts.any(|at| Scanner::at(data, at).value().is_ok_and(|text| says_something(&text)));
    }
    deltas.any(|at| {
        let mut content = false;
        // In one pass; what is no JSON is no delta either.
        let read = Scanner::at(data, at).members(|key, scanner| {
            let part = scanner.value()?;
            content |= !key.is("role") && says_something(&part);
            Ok(())
        });
        content && read.is_ok()
    })
}

/// Whether the item that an event of the Responses API adds, or ends, says something: a tool call does by being there,
/// a message by its content. Reasoning may be told by its end alone, encrypted.
fn item_says_something(data: &[u8], done: bool) -> bool {
    let Some(item) = json::document(data).ok().and_then(|event| event.member("item")) else {
        return false;
    };
    let says = |name: &str| item.member(name).is_some_and(|value| says_something(&value));
    match item.member("type").and_then(|kind| kind.one_of(&["message", "reasoning"])) {
        Some("message") => says("content"),
        Some(_) => done || says("summary") || says("content"),
        None => item.kind == Kind::Object,
    }
}

/// A member `error` that says something; blank ones are how some servers say that there is none.
fn is_error(member: &Member<'_>) -> bool {
    member.is("error") && !member.value.is_blank()
}

/// The `type` of an event of the Responses API, mostly its first member.
fn type_of(data: &[u8]) -> Option<Cow<'_, [u8]>> {
    if let Some(value) = data.strip_prefix(b"{\"type\":\"") {
        return Some(Cow::Borrowed(value.get(..memchr::memchr(b'"', value)?)?));
    }
    let event = json::document(data).ok()?;
    let kind = event.members().find(|member| member.is("type"))?;
    Some(Cow::Owned(json::unquoted(kind.value.raw()).into_owned().into_bytes()))
}

struct Words {
    usage: Finder<'static>,
    error: Finder<'static>,
    finish_reason: Finder<'static>,
    delta: Finder<'static>,
    text: Finder<'static>,
}

static WORDS: LazyLock<Words> = LazyLock::new(|| Words {
    usage: Finder::new("\"usage\""),
    error: Finder::new("\"error\""),
    finish_reason: Finder::new("\"finish_reason\""),
    delta: Finder::new("\"delta\""),
    text: Finder::new("\"text\""),
});

/// Whether an event may say more than content. Text cannot look like a key: its quotes have a backslash before them.
fn is_suspicious(data: &[u8], finished: bool) -> bool {
    has_key(&WORDS.usage, data, |value| value.first() == Some(&b'{'))
        || (!finished && has_key(&WORDS.finish_reason, data, is_not_null))
        || has_key(&WORDS.error, data, is_not_null)
}

fn is_not_null(value: &[u8]) -> bool {
    value.first() != Some(&b'n')
}

/// Null, or an empty text or object.
fn is_nothing(value: &[u8]) -> bool {
    [&b"null"[..], b"\"\"", b"{}"].iter().any(|nothing| value.starts_with(nothing))
}

/// Whether the quoted word stands before a colon and a value that is accepted.
fn has_key(word: &Finder<'_>, data: &[u8], accept: impl Fn(&[u8]) -> bool) -> bool {
    keyed(word, data).any(|at| data.get(at..).is_some_and(&accept))
}

/// Where a value begins behind the quoted word and a colon.
fn keyed(word: &Finder<'_>, data: &[u8]) -> impl Iterator<Item = usize> {
    let length = word.needle().len();
    word.find_iter(data).filter_map(move |at| {
        let value = data.get(at + length..)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        (!value.is_empty()).then_some(data.len() - value.len())
    })
}
