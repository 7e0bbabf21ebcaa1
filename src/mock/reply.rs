//! From what an API says to an HTTP answer: its head, its kind of body, and what a fault makes of the whole.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use http::{Response, StatusCode, response};
use serde::Serialize;

use super::answer::{GAP, content};
use super::api::Api;
use super::body::{AnswerBody, Piece, Pieces};
use super::course::Flow;
use super::error::ApiError;
use super::face::Face;
use super::flow::Content;
use super::headers::Told;
use super::seen::Visit;
use crate::clock::Instant;

/// Bytes of one piece of a large plain answer; a whole number of words.
const FILLING: usize = 64 * 1024;

/// What one answer is told apart by.
pub(super) struct Stamp {
    /// 32 hex digits; the ids of an answer are made of it.
    pub(super) id: String,
    /// Seconds since 1970.
    pub(super) created: i64,
}

impl Stamp {
    /// The provider's id of the call.
    pub(super) fn request_id(&self, face: Face) -> String {
        match face {
            Face::OpenAi => format!("req-{}", self.id),
            Face::Anthropic | Face::Gemini => format!("req_{}", self.id),
        }
    }
}

/// An answer before it is sent.
pub(super) struct Reply {
    status: StatusCode,
    content_type: &'static str,
    content: Content,
    /// Tokens it cost.
    tokens: u64,
    /// Set where the provider asks to wait.
    retry_after: Option<u32>,
    /// Where it sends the caller.
    location: Option<String>,
}

/// How an answer is sent.
pub(super) struct Sending {
    pub(super) flow: Flow,
    pub(super) api: Api,
    /// How fast the words of a stream come.
    pub(super) tokens_per_second: Option<NonZeroU32>,
    pub(super) now: Instant,
    pub(super) processing: Duration,
}

impl Reply {
    pub(super) fn json(body: impl Into<Bytes>, tokens: u64) -> Self {
        Self {
            status: StatusCode::OK,
            content_type: "application/json",
            content: Content::Whole(body.into()),
            tokens,
            retry_after: None,
            location: None,
        }
    }

    pub(super) fn events(pieces: Pieces, tokens: u64) -> Self {
        Self {
            content_type: "text/event-stream; charset=utf-8",
            content: Content::Events(pieces),
            ..Self::json(Bytes::new(), tokens)
        }
    }

    /// Gemini's stream of one JSON array: its items, one by one.
    pub(super) fn items(pieces: Pieces, tokens: u64) -> Self {
        let content_type = Face::Gemini.json_type();
        Self { content: Content::Items(pieces), ..Self::json(Bytes::new(), tokens) }.of_type(content_type)
    }

    pub(super) fn error(error: &ApiError, api: Api, stamp: &Stamp) -> Self {
        let body = Self::json(api.error_body(error, stamp), 0).of_type(api.face().json_type());
        Self { status: error.status, retry_after: error.retry_after, ..body }
    }

    /// A page, as gateways in front of a provider send it.
    pub(super) fn html() -> Self {
        let page =
            "<!DOCTYPE html>\n<html><head><title>Just a moment...</title></head><body></body></html>\n";
        Self { content_type: "text/html; charset=utf-8", ..Self::json(page, 0) }
    }

    /// Sends the caller to another address.
    pub(super) fn redirect(path: &str) -> Self {
        let location = Some(format!("http://elsewhere.invalid{path}"));
        Self { status: StatusCode::TEMPORARY_REDIRECT, location, ..Self::json(Bytes::new(), 0) }
    }

    /// The same kind of answer with nothing in it but this.
    pub(super) fn only(self, events: &str, plain: &'static str) -> Self {
        let content = match self.content {
            Content::Whole(_) | Content::Long { .. } => Content::Whole(Bytes::from_static(plain.as_bytes())),
            Content::Events(_) | Content::Items(_) => {
                let piece = (!events.is_empty()).then(|| Piece::at_once(events.to_owned()));
                Content::Events(Box::new(piece.into_iter()))
            }
        };
        Self { content, ..self }
    }

    /// The same under another content type.
    pub(super) fn of_type(self, content_type: &'static str) -> Self {
        Self { content_type, ..self }
    }

    /// A stream as it is, a plain answer as a 200 whose body is an error.
    pub(super) fn or_error_in_200(self, error: &ApiError, stamp: &Stamp) -> Self {
        match self.content {
            Content::Whole(_) | Content::Long { .. } => {
                Self { content: Content::Whole(error.body(stamp).to_string().into()), ..self }
            }
            Content::Events(_) | Content::Items(_) => self,
        }
    }

    /// A plain answer with so many bytes wherever content belongs; a stream has them in its events.
    pub(super) fn filled(self, bytes: u64) -> Self {
        match self.content {
            Content::Whole(body) => Self { content: filled(&body, bytes), ..self },
            Content::Long { .. } | Content::Events(_) | Content::Items(_) => self,
        }
    }

    /// The answer as it goes out; the visit is told how it ends.
    pub(super) fn send(self, stamp: &Stamp, sending: Sending, visit: Visit) -> Response<AnswerBody> {
        let told = Told {
            status: self.status,
            tokens: self.tokens,
            retry_after: self.retry_after,
            processing: sending.processing,
        };
        let mut head = Response::builder().status(self.status).header(CONTENT_TYPE, self.content_type);
        if let Some(location) = &self.location {
            head = head.header(LOCATION, location);
        }
        if matches!(sending.flow, Flow::Gzip) {
            head = head.header(CONTENT_ENCODING, "gzip");
        }
        if let Some(headers) = head.headers_mut() {
            told.add(sending.api.face(), stamp, headers);
        }
        finish(head, self.content.flow(sending, visit))
    }
}

/// A body with content in its gaps, made as it is sent.
fn filled(body: &Bytes, bytes: u64) -> Content {
    let mut pieces: Vec<Pieces> = Vec::new();
    let mut length = 0;
    let mut from = 0;
    for gap in memchr::memmem::find_iter(body, GAP) {
        pieces.push(Box::new(std::iter::once(Piece::at_once(body.slice(from..gap)))));
        pieces.push(filling(bytes));
        length += (gap - from) as u64 + bytes;
        from = gap + GAP.len();
    }
    pieces.push(Box::new(std::iter::once(Piece::at_once(body.slice(from..)))));
    length += (body.len() - from) as u64;
    Content::Long { length, pieces: Box::new(pieces.into_iter().flatten()) }
}

/// So many bytes of content, in pieces that share one buffer.
fn filling(bytes: u64) -> Pieces {
    let piece = Bytes::from(content(FILLING));
    let whole = bytes / FILLING as u64;
    let rest = usize::try_from(bytes % FILLING as u64).unwrap_or_default();
    let last = (rest > 0).then(|| Piece::at_once(piece.slice(..rest)));
    let full = std::iter::repeat_n(piece, usize::try_from(whole).unwrap_or(usize::MAX));
    Box::new(full.map(Piece::at_once).chain(last))
}

fn finish(head: response::Builder, body: AnswerBody) -> Response<AnswerBody> {
    let (parts, ()) = head.body(()).unwrap_or_default().into_parts();
    Response::from_parts(parts, body)
}

/// An event without a name.
pub(super) fn data(event: &impl Serialize) -> Bytes {
    sse("data: ", event, "\n\n")
}

/// An event under its name.
pub(super) fn named(name: &str, event: &impl Serialize) -> Bytes {
    sse(&format!("event: {name}\ndata: "), event, "\n\n")
}

/// An event without a name, with the line ends that Gemini has.
pub(super) fn data_crlf(event: &impl Serialize) -> Bytes {
    sse("data: ", event, "\r\n\r\n")
}

/// What ends the streams of chat and completions.
pub(super) fn done() -> Piece {
    Piece::at_once(Face::OpenAi.done())
}

fn sse(before: &str, event: &impl Serialize, after: &str) -> Bytes {
    let mut bytes = before.as_bytes().to_vec();
    // Maps with text keys always serialise; a vector takes every write.
    let _ = serde_json::to_writer(&mut bytes, event);
    bytes.extend_from_slice(after.as_bytes());
    Bytes::from(bytes)
}
