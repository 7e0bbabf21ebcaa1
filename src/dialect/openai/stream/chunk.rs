//! What one event says: search first, scan only on suspicion.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::Seen;
use crate::dialect::Api;
use crate::dialect::json::{self, Kind, Member, Value};
use crate::dialect::openai::facts::AnswerFacts;
use crate::dialect::openai::usage;
use crate::usage::Usage;

/// What an event says.
#[derive(Default)]
pub(super) struct Noted {
    pub(super) usage: Option<Usage>,
    pub(super) content: bool,
    pub(super) error: bool,
    pub(super) finished: bool,
    /// It has usage, and its `choices` are there and empty.
    pub(super) only_usage: bool,
}

/// An event of chat or completions. `seen` says what need not be looked for again. Of a stream that is
/// observed, `facts` learn from what is scanned anyway, and from the end of every choice rather than of the
/// first alone.
pub(super) fn of_chat(
    api: Api,
    name: Option<&[u8]>,
    data: &[u8],
    seen: Seen,
    facts: Option<&mut AnswerFacts>,
) -> Noted {
    let mut noted = Noted { error: name == Some(b"error"), ..Noted::default() };
    if seen.content && !is_suspicious(data, seen.finished && facts.is_none()) {
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
pub(super) fn of_responses(name: Option<&[u8]>, data: &[u8], facts: Option<&mut AnswerFacts>) -> Noted {
    let mut noted = Noted::default();
    let kind = name.map(Cow::Borrowed).or_else(|| type_of(data));
    match kind.as_deref() {
        Some(b"response.completed" | b"response.incomplete") => noted.read_response(data, facts),
        Some(b"response.failed") => {
            noted.read_response(data, facts);
            noted.error = true;
        }
        Some(b"error") => noted.error = true,
        Some(kind) if kind.ends_with(b".delta") || kind == b"response.output_item.done" => {
            noted.content = true;
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
                self.finished |= member.value.kind != Kind::Null;
            } else if member.is("text") {
                self.content |= !member.value.is_blank();
            } else if member.is("delta") {
                // Servers have their own names for reasoning and the like: whatever says something is content.
                self.content |= member.value.members().any(|part| !part.is("role") && !part.value.is_blank());
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

    fn read_response(&mut self, data: &[u8], facts: Option<&mut AnswerFacts>) {
        self.finished = true;
        let Ok(event) = json::document(data) else {
            return;
        };
        if let Some(facts) = facts {
            facts.read_event(&event);
        }
        self.usage = event
            .members()
            .filter(|member| member.is("response"))
            .flat_map(|response| response.value.members())
            .filter(|member| member.is("usage"))
            .find_map(|member| usage::of(Api::Responses, &member.value));
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
}

static WORDS: LazyLock<Words> = LazyLock::new(|| Words {
    usage: Finder::new("\"usage\""),
    error: Finder::new("\"error\""),
    finish_reason: Finder::new("\"finish_reason\""),
});

/// Whether an event may say more than content. Text cannot look like a key: its quotes have a backslash before them.
fn is_suspicious(data: &[u8], finished: bool) -> bool {
    has_key(&WORDS.usage, data, |first| first == b'{')
        || (!finished && has_key(&WORDS.finish_reason, data, is_not_null))
        || has_key(&WORDS.error, data, is_not_null)
}

fn is_not_null(first: u8) -> bool {
    first != b'n'
}

/// Whether the quoted word stands before a colon and a value whose first byte is accepted.
fn has_key(word: &Finder<'_>, data: &[u8], accept: impl Fn(u8) -> bool) -> bool {
    word.find_iter(data).any(|at| {
        data.get(at + word.needle().len()..)
            .and_then(|rest| rest.trim_ascii_start().strip_prefix(b":"))
            .and_then(|value| value.trim_ascii_start().first())
            .is_some_and(|first| accept(*first))
    })
}
