//! Reads a provider's stream as it passes.
//!
//! Events go on as they came, whole. The usual one is only searched for a few words; an event is scanned where it holds
//! one of them as a key with a value that matters, and until the first content was seen.

use std::borrow::Cow;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::error::{self, Said};
use super::facts::AnswerFacts;
use super::json::{self, Kind};
use super::sse::{self, EventTooLong, Framer, MAX_EVENT};
use super::translate::Translator;
use super::{Api, anthropic, gemini, openai};
use crate::usage::Usage;

/// Of one event.
type NameAndData<'e> = (Option<&'e [u8]>, Cow<'e, [u8]>);

/// Notes what a stream says of itself, and takes out the usage event that the caller did not ask for.
#[derive(Debug)]
pub struct StreamReader {
    api: Api,
    hide_usage: bool,
    framer: Framer,
    usage: Option<Usage>,
    seen: Seen,
    /// Kept only of a stream that is observed.
    facts: Option<Box<AnswerFacts>>,
    /// Of the first error event.
    failed: Option<Failed>,
    events: u64,
    /// Counted only of a stream whose speed is judged.
    content_events: u64,
    counts: bool,
    begun: bool,
    /// The last event was hidden and ended in a CR, perhaps the first half of a CRLF.
    hidden_cr: bool,
    /// Writes the events of the caller's dialect in place of those that come.
    translator: Option<Box<Translator>>,
}

/// What a stream has said so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Text, a tool call, reasoning, a refusal, audio.
    pub content: bool,
    /// An error of the provider: an error event, or `response.failed`.
    pub error: bool,
    /// `[DONE]`, a finish reason, or the last event of a response.
    pub finished: bool,
    /// An event with data, other than `[DONE]`.
    pub any_event: bool,
    /// `[DONE]`, the last event of a response, or an error: after this a caller reads no further.
    pub ended: bool,
}

/// What an error event told.
#[derive(Clone, Copy, Debug)]
struct Failed {
    said: Said,
    retry_after: Option<Duration>,
    before_content: bool,
}

/// What an event says.
#[derive(Default)]
pub(crate) struct Noted {
    pub(crate) usage: Option<Usage>,
    /// Text, a tool call, reasoning, a refusal, audio.
    pub(crate) content: bool,
    pub(crate) error: bool,
    pub(crate) finished: bool,
    /// It has usage, and its `choices` are there and empty.
    pub(crate) only_usage: bool,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// With `[DONE]`, a finish reason, or the last event of a response.
    Complete,
    /// Without any event: nothing, only comments, or only `[DONE]`.
    Empty,
    /// With the provider's own error, which has passed to the caller.
    Error,
    /// Without any of these: something is missing.
    Cut,
}

impl StreamReader {
    /// Begins a stream. With `hide_usage`, the event of chat and completions that holds nothing but usage stays behind.
    pub fn new(api: Api, hide_usage: bool) -> Self {
        let hideable = matches!(api, Api::Chat | Api::Completions);
        Self {
            api,
            hide_usage: hide_usage && hideable,
            framer: Framer::default(),
            usage: None,
            seen: Seen::default(),
            facts: None,
            failed: None,
            events: 0,
            content_events: 0,
            counts: false,
            begun: false,
            hidden_cr: false,
            translator: None,
        }
    }

    /// Gives the events of another dialect in place of those that come.
    #[must_use]
    pub fn translating(self, translator: Translator) -> Self {
        Self { translator: Some(Box::new(translator)), ..self }
    }

    /// Also notes what the answer says of itself, which costs a little more per event that is scanned.
    #[must_use]
    pub fn observing(self) -> Self {
        Self { facts: Some(Box::default()), ..self }
    }

    /// Takes what came and gives what may go on now: whole events in order, perhaps none. The same `Bytes`, not copied,
    /// where nothing is held back or hidden. After an error the stream cannot be read any further.
    pub fn push(&mut self, chunk: Bytes) -> Result<Bytes, EventTooLong> {
        let whole = self.framer.push(chunk)?;
        if self.translator.is_some() {
            return self.translate(&whole);
        }
        let mut hidden: SmallVec<[(usize, usize); 1]> = SmallVec::new();
        let mut at = 0;
        for event in sse::events(&whole) {
            if event.len() > MAX_EVENT {
                return Err(EventTooLong);
            }
            if self.hides(event) {
                hidden.push((at, at + event.len()));
            }
            at += event.len();
        }
        Ok(without(whole, &hidden))
    }

    /// What is left when the provider closed the stream, and how it ended.
    ///
    /// The last event goes on if only its blank line is missing, and gets one, so that an event of ours can follow;
    /// half an event is dropped, as every SSE reader would.
    pub fn finish(&mut self) -> (Bytes, StreamEnd) {
        let rest = self.framer.take_rest();
        if self.translator.is_some() {
            return self.finish_translated(&rest);
        }
        let whole = sse::data(sse::without_bom(&rest)).is_some_and(|data| is_done(&data) || is_object(&data));
        let last = if !whole || rest.len() > MAX_EVENT || self.hides(&rest) {
            Bytes::new()
        } else {
            let missing: &[u8] = if rest.ends_with(b"\n") { b"\n" } else { b"\n\n" };
            [&rest, missing].concat().into()
        };
        (last, self.end())
    }

    /// What is to be said in the caller's dialect of whole events of the provider's.
    fn translate(&mut self, whole: &[u8]) -> Result<Bytes, EventTooLong> {
        for event in sse::events(whole) {
            if event.len() > MAX_EVENT {
                return Err(EventTooLong);
            }
            self.read_and_say(event);
        }
        Ok(self.translator.as_mut().map(|translator| translator.take()).unwrap_or_default())
    }

    /// Reads an event and says it in the caller's dialect. After its end nothing is read any more.
    fn read_and_say(&mut self, event: &[u8]) {
        let over = self.seen.ended;
        let Some((name, data)) = self.parts(event) else { return };
        self.take(name, &data);
        let (seen, api) = (self.seen, self.api);
        let Some(translator) = self.translator.as_mut().filter(|_| !over) else { return };
        if seen.error {
            return translator.fail(api, &data);
        }
        if !is_done(&data) {
            translator.read(name, &data);
        }
        // A failure that the caller's dialect has no word for is as good as no end.
        self.seen.finished &= !translator.has_failed();
        if seen.ended {
            translator.end();
        }
    }

    fn finish_translated(&mut self, rest: &[u8]) -> (Bytes, StreamEnd) {
        if !rest.is_empty() && rest.len() <= MAX_EVENT && !self.seen.ended {
            self.read_and_say(rest);
        }
        let end = self.end();
        let Some(translator) = &mut self.translator else { return (Bytes::new(), end) };
        if end == StreamEnd::Complete && !self.seen.ended {
            translator.end();
            self.seen.ended = true;
        }
        (translator.take(), end)
    }

    /// The last usage reported so far.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// What the answer said of itself so far, if it is observed. Choices that have not ended yet have no
    /// reason, but for those before one that has.
    pub fn facts(&self) -> Option<&AnswerFacts> {
        self.facts.as_deref()
    }

    /// How many events had data, hidden ones among them, `[DONE]` not.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Also counts the events with content, until [`StreamReader::stop_counting`], which costs a little more per event.
    #[must_use]
    pub fn counting(self) -> Self {
        Self { counts: true, ..self }
    }

    /// Counts no further.
    pub fn stop_counting(&mut self) {
        self.counts = false;
    }

    /// How many events carried content, while they are counted. An item of a response counts once more where it ends.
    pub fn content_events(&self) -> u64 {
        self.content_events
    }

    /// What the first error event said, if there was one.
    pub fn error_said(&self) -> Option<Said> {
        self.failed.map(|failed| failed.said)
    }

    /// How long the first error event asks to wait, if it says so.
    pub fn error_retry_after(&self) -> Option<Duration> {
        self.failed?.retry_after
    }

    /// Whether the stream has failed before it had any content: nothing of an answer is lost with it.
    pub fn error_before_content(&self) -> bool {
        self.failed.is_some_and(|failed| failed.before_content)
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        self.seen
    }

    fn end(&self) -> StreamEnd {
        let seen = self.seen;
        if seen.error {
            StreamEnd::Error
        } else if !seen.any_event {
            StreamEnd::Empty
        } else if seen.finished {
            StreamEnd::Complete
        } else {
            StreamEnd::Cut
        }
    }

    /// Reads an event and says whether it stays behind.
    fn hides(&mut self, event: &[u8]) -> bool {
        let rest_of_hidden = self.hidden_cr && event == b"\n";
        let hide = rest_of_hidden || self.read(event);
        self.hidden_cr = hide && event.ends_with(b"\r");
        hide
    }

    /// Notes what an event says; whether it holds nothing but the usage that is to be hidden.
    fn read(&mut self, event: &[u8]) -> bool {
        self.parts(event).is_some_and(|(name, data)| self.take(name, &data))
    }

    /// Name and data of an event; none where it has no data.
    fn parts<'e>(&mut self, event: &'e [u8]) -> Option<NameAndData<'e>> {
        let begun = std::mem::replace(&mut self.begun, true);
        let event = if begun { event } else { sse::without_bom(event) };
        // Of chat and completions only foreign errors have a name; most of their events begin with their data.
        let (name, data) =
            if event.starts_with(b"data") { (None, sse::data(event)) } else { sse::name_and_data(event) };
        data.filter(|data| !data.is_empty()).map(|data| (name, data))
    }

    /// Notes what an event's data says; whether it holds nothing but the usage that is to be hidden.
    fn take(&mut self, name: Option<&[u8]>, data: &[u8]) -> bool {
        // Whole is whole: what follows the last event is read by nobody.
        if self.seen.ended && !self.seen.error {
            return false;
        }
        if is_done(data) {
            self.seen.finished = true;
            self.seen.ended = true;
            return false;
        }
        self.seen.any_event = true;
        self.events += 1;
        let facts = self.facts.as_deref_mut();
        // Once some was seen, nobody asks for content but to count it.
        let looks = self.counts || !self.seen.content;
        let noted = match self.api {
            Api::Chat | Api::Completions | Api::Embeddings => {
                openai::chunk::of_chat(self.api, name, data, (self.seen, looks), facts)
            }
            Api::Responses => openai::chunk::of_responses(name, data, (self.seen, looks), facts),
            Api::Messages | Api::CountTokens => {
                anthropic::chunk::of(name, data, (self.seen, looks), self.usage, facts)
            }
            Api::Generate | Api::EmbedContent | Api::BatchEmbedContents | Api::CountContentTokens => {
                gemini::chunk::of(data, (self.seen, looks), facts)
            }
        };
        if noted.error && self.failed.is_none() {
            self.failed = Some(Failed {
                said: error::said(self.api.dialect(), data),
                retry_after: error::retry_after(self.api.dialect(), data),
                before_content: !self.seen.content && !noted.content,
            });
        }
        self.note(&noted)
    }

    fn note(&mut self, noted: &Noted) -> bool {
        self.content_events += u64::from(self.counts && noted.content);
        self.usage = noted.usage.or(self.usage);
        self.seen.content |= noted.content;
        self.seen.error |= noted.error;
        self.seen.finished |= noted.finished;
        // Usage may follow the finish reason of a chat; nothing follows the last event of a response.
        self.seen.ended |= noted.error || (noted.finished && ends_with_its_finish(self.api));
        self.hide_usage && noted.only_usage
    }
}

/// Whether nothing follows what tells that an answer is finished.
fn ends_with_its_finish(api: Api) -> bool {
    match api {
        Api::Responses | Api::Messages => true,
        // Usage may follow the finish reason.
        Api::Chat
        | Api::Completions
        | Api::Embeddings
        | Api::CountTokens
        | Api::Generate
        | Api::EmbedContent
        | Api::BatchEmbedContents
        | Api::CountContentTokens => false,
    }
}

fn is_done(data: &[u8]) -> bool {
    data.trim_ascii() == b"[DONE]"
}

fn is_object(data: &[u8]) -> bool {
    json::document(data).is_ok_and(|value| value.kind == Kind::Object)
}

/// The bytes without these ranges, which are in order. Copies only where more than one piece is left.
fn without(whole: Bytes, hidden: &[(usize, usize)]) -> Bytes {
    if hidden.is_empty() {
        return whole;
    }
    let mut pieces: SmallVec<[Bytes; 2]> = SmallVec::new();
    let mut kept = 0;
    for (start, end) in hidden.iter().copied().chain([(whole.len(), whole.len())]) {
        if kept < start {
            pieces.push(whole.slice(kept..start));
        }
        kept = end;
    }
    match pieces.as_slice() {
        [] => Bytes::new(),
        [piece] => piece.clone(),
        [..] => {
            let mut joined = BytesMut::with_capacity(whole.len());
            pieces.iter().for_each(|piece| joined.extend_from_slice(piece));
            joined.freeze()
        }
    }
}

#[cfg(test)]
mod tests;
