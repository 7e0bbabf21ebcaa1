//! Server-sent events, framed as they come: whole events go on, what is incomplete waits.
//!
//! Bytes are only cut, never rewritten. Lines may end in LF, CRLF or CR, and anything may be split anywhere.

use std::borrow::Cow;
use std::fmt;

use bytes::{Bytes, BytesMut};
use memchr::{memchr2, memrchr2};

use super::{Api, Dialect};

/// The most bytes that one event may have.
pub const MAX_EVENT: usize = 1024 * 1024;

/// What keeps a silent stream open, as the clients of an operation pass it over: a comment at OpenAI, an event of its own
/// at Anthropic. None where they bear nothing (google-genai).
pub fn keep_alive(api: Api) -> Option<&'static [u8]> {
    match api.dialect() {
        Dialect::OpenAi => Some(b": keep-alive\n\n"),
        Dialect::Anthropic => Some(b"event: ping\ndata: {\"type\":\"ping\"}\n\n"),
        Dialect::Gemini => None,
    }
}

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// An event is larger than [`MAX_EVENT`]; the stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {MAX_EVENT} bytes")]
pub struct EventTooLong;

/// Cuts a stream into whole events. Holds at most one incomplete event.
#[derive(Default)]
pub struct Framer {
    held: BytesMut,
}

impl fmt::Debug for Framer {
    /// Says how much is held, not what: it is a part of an answer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framer").field("held", &self.held.len()).finish()
    }
}

impl Framer {
    /// Takes what came and gives the whole events that are there, blank lines included. These are the same bytes,
    /// not copied, where nothing was held before. An incomplete event beyond [`MAX_EVENT`] is an error; whole ones
    /// are for the reader to measure, who cuts them apart.
    pub fn push(&mut self, chunk: Bytes) -> Result<Bytes, EventTooLong> {
        if self.held.is_empty() {
            return self.frame(chunk);
        }
        // The held part has no boundary; one may lie across the seam.
        let known = self.held.len().saturating_sub(3);
        self.held.extend_from_slice(&chunk);
        let recent = self.held.get(known..).unwrap_or_default();
        let whole = last_boundary(recent, false).map_or(0, |end| known + end);
        let events = self.held.split_to(whole);
        self.check_held()?;
        Ok(events.freeze())
    }

    /// What was held: bytes that ended no event.
    pub fn take_rest(&mut self) -> Bytes {
        self.held.split().freeze()
    }

    /// Nothing is held, so the chunk begins a line.
    fn frame(&mut self, mut chunk: Bytes) -> Result<Bytes, EventTooLong> {
        let whole = last_boundary(&chunk, true).unwrap_or(0);
        if whole == chunk.len() {
            return Ok(chunk);
        }
        let rest = chunk.split_off(whole);
        self.held.extend_from_slice(&rest);
        self.check_held()?;
        Ok(chunk)
    }

    fn check_held(&self) -> Result<(), EventTooLong> {
        if self.held.len() > MAX_EVENT {
            return Err(EventTooLong);
        }
        Ok(())
    }
}

/// Where the last blank line ends. Looks from the end: usually the bytes end in one.
///
/// A CR at the very end counts as a line end of its own, so that no event waits for the LF that may or may not follow;
/// that LF then comes first in the next bytes and passes as an empty line.
fn last_boundary(bytes: &[u8], at_line_start: bool) -> Option<usize> {
    let mut end = bytes.len();
    while let Some(at) = memrchr2(b'\n', b'\r', bytes.get(..end)?) {
        let crlf = at > 0 && bytes.get(at - 1..=at) == Some(b"\r\n");
        let start = if crlf { at - 1 } else { at };
        let blank = match start.checked_sub(1).and_then(|before| bytes.get(before)) {
            Some(before) => matches!(before, b'\n' | b'\r'),
            None => at_line_start,
        };
        if blank {
            return Some(at + 1);
        }
        end = start;
    }
    None
}

/// The events in bytes that [`Framer::push`] gave, each with its blank line; further blank lines
/// come as events of their own, without fields.
#[derive(Clone)]
pub struct Events<'a> {
    rest: &'a [u8],
}

/// Cuts whole events apart.
pub fn events(whole: &[u8]) -> Events<'_> {
    Events { rest: whole }
}

impl<'a> Iterator for Events<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (event, rest) = self.rest.split_at(event_end(self.rest));
        self.rest = rest;
        Some(event)
    }
}

fn event_end(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(line) = line_at(bytes, at) {
        at = line.next;
        if line.text.is_empty() {
            break;
        }
    }
    at
}

/// The value of an event's `event:` line, where it has one.
pub fn name(event: &[u8]) -> Option<&[u8]> {
    lines(event).filter_map(|line| field(line, b"event")).last()
}

/// The value of an event's `data:` lines, joined by LF as the format says; none where it has none.
pub fn data(event: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut values = lines(event).filter_map(|line| field(line, b"data"));
    let first = values.next()?;
    Some(values.fold(Cow::Borrowed(first), join))
}

/// Both, in one pass.
pub fn name_and_data(event: &[u8]) -> (Option<&[u8]>, Option<Cow<'_, [u8]>>) {
    let (mut name, mut data) = (None, None);
    for line in lines(event) {
        if let Some(value) = field(line, b"data") {
            data = Some(match data {
                None => Cow::Borrowed(value),
                Some(before) => join(before, value),
            });
        } else if let Some(value) = field(line, b"event") {
            name = Some(value);
        }
    }
    (name, data)
}

fn join<'a>(before: Cow<'a, [u8]>, value: &[u8]) -> Cow<'a, [u8]> {
    let mut joined = before.into_owned();
    joined.push(b'\n');
    joined.extend_from_slice(value);
    Cow::Owned(joined)
}

/// An event without the byte order mark that a stream may begin with.
pub fn without_bom(event: &[u8]) -> &[u8] {
    event.strip_prefix(BOM).unwrap_or(event)
}

/// The value of a line, if it is of this field. One space behind the colon is not part of it.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(name)? {
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        [] => Some(&[]),
        _ => None,
    }
}

struct Line<'a> {
    text: &'a [u8],
    next: usize,
}

fn lines(event: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let line = line_at(event, at)?;
        at = line.next;
        Some(line.text)
    })
}

fn line_at(bytes: &[u8], at: usize) -> Option<Line<'_>> {
    let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
    let Some(length) = memchr2(b'\n', b'\r', rest) else {
        return Some(Line { text: rest, next: bytes.len() });
    };
    let crlf = rest.get(length..length + 2) == Some(b"\r\n");
    Some(Line { text: rest.get(..length)?, next: at + length + if crlf { 2 } else { 1 } })
}

#[cfg(test)]
mod tests;
