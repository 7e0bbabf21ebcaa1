//! From what an API says to an HTTP answer: head, provider's headers, and the fault on top.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode, response};
use serde::Serialize;

use super::api::Api;
use super::body::{AnswerBody, Piece, Pieces, Strike};
use super::error::ApiError;
use super::script::Fault;
use super::seen::Visit;
use crate::clock::Instant;

/// What the provider claims to admit in a minute.
const REQUESTS: u64 = 10_000;
const TOKENS: u64 = 2_000_000;

/// What one answer is told apart by.
pub(super) struct Stamp {
    /// 32 hex digits; the ids of an answer are made of it.
    pub(super) id: String,
    /// Seconds since 1970.
    pub(super) created: i64,
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
}

enum Content {
    Whole(Bytes),
    Events(Pieces),
}

/// How an answer is sent.
pub(super) struct Sending {
    pub(super) fault: Fault,
    /// None where the path is no API.
    pub(super) api: Option<Api>,
    /// The time of one word of a stream.
    pub(super) word: Option<Duration>,
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
        }
    }

    pub(super) fn events(pieces: Pieces, tokens: u64) -> Self {
        Self {
            content_type: "text/event-stream; charset=utf-8",
            content: Content::Events(pieces),
            ..Self::json(Bytes::new(), tokens)
        }
    }

    pub(super) fn error(error: &ApiError) -> Self {
        Self { status: error.status, retry_after: error.retry_after, ..Self::json(error.body(), 0) }
    }

    /// A page, as gateways in front of a provider send it.
    pub(super) fn html() -> Self {
        let page =
            "<!DOCTYPE html>\n<html><head><title>Just a moment...</title></head><body></body></html>\n";
        Self { content_type: "text/html; charset=utf-8", ..Self::json(page, 0) }
    }

    /// The same kind of answer with nothing in it.
    pub(super) fn emptied(self) -> Self {
        let content = match self.content {
            Content::Whole(_) => Content::Whole(Bytes::new()),
            Content::Events(_) => Content::Events(Box::new(std::iter::empty())),
        };
        Self { content, ..self }
    }

    /// A stream as it is, a plain answer as a 200 whose body is an error.
    pub(super) fn or_error_in_200(self) -> Self {
        match self.content {
            Content::Whole(_) => Self::json(ApiError::in_stream().body(), self.tokens),
            Content::Events(_) => self,
        }
    }

    /// The answer as it goes out; the visit is told how it ends.
    pub(super) fn send(self, stamp: &Stamp, sending: &Sending, visit: Visit) -> Response<AnswerBody> {
        let mut head = Response::builder()
            .status(self.status)
            .header(CONTENT_TYPE, self.content_type)
            .header("x-request-id", format!("req-{}", stamp.id))
            .header("openai-version", "2020-10-01")
            .header("openai-processing-ms", sending.processing.as_millis().to_string());
        if let Some(headers) = head.headers_mut() {
            self.limits(headers);
        }
        let body = self.body(sending, visit);
        finish(head, body)
    }

    fn limits(&self, headers: &mut http::HeaderMap) {
        let throttled = self.status == StatusCode::TOO_MANY_REQUESTS;
        let remaining = if throttled { 0 } else { REQUESTS - 1 };
        let reset = self.retry_after.map_or_else(|| "6ms".to_owned(), |seconds| format!("{seconds}s"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        headers.insert("x-ratelimit-limit-requests", HeaderValue::from(REQUESTS));
        headers.insert("x-ratelimit-remaining-requests", HeaderValue::from(remaining));
        headers.insert("x-ratelimit-limit-tokens", HeaderValue::from(TOKENS));
        let tokens = TOKENS.saturating_sub(self.tokens);
        headers.insert("x-ratelimit-remaining-tokens", HeaderValue::from(tokens));
        for name in ["x-ratelimit-reset-requests", "x-ratelimit-reset-tokens"] {
            if let Ok(reset) = HeaderValue::from_str(&reset) {
                headers.insert(name, reset);
            }
        }
    }

    fn body(self, sending: &Sending, visit: Visit) -> AnswerBody {
        match self.content {
            Content::Whole(bytes) => whole(bytes, sending.fault, visit),
            Content::Events(pieces) => {
                let body = AnswerBody::new(pieces, visit);
                let body = match sending.word {
                    Some(period) => body.paced(period, sending.now),
                    None => body,
                };
                broken(body, sending)
            }
        }
    }
}

/// A plain answer. A fault that comes after chunks cuts it in the middle.
fn whole(bytes: Bytes, fault: Fault, visit: Visit) -> AnswerBody {
    let strike = match fault {
        Fault::Reset { .. } => Some(Strike::Reset),
        Fault::Stall { .. } => Some(Strike::Stall),
        Fault::None
        | Fault::Status { .. }
        | Fault::Error { .. }
        | Fault::ErrorEvent { .. }
        | Fault::Empty
        | Fault::Html
        | Fault::SlowHead { .. } => None,
    };
    let length = bytes.len();
    let Some(strike) = strike else {
        let piece = (length > 0).then(|| Piece::at_once(bytes));
        return AnswerBody::new(Box::new(piece.into_iter()), visit).of_length(length);
    };
    let half = Piece::at_once(bytes.slice(..length / 2));
    AnswerBody::new(Box::new(std::iter::once(half)), visit).of_length(length).struck(1, strike)
}

/// A stream, with its fault.
fn broken(body: AnswerBody, sending: &Sending) -> AnswerBody {
    match sending.fault {
        Fault::Reset { after_chunks } => body.struck(after_chunks, Strike::Reset),
        Fault::Stall { after_chunks } => body.struck(after_chunks, Strike::Stall),
        Fault::ErrorEvent { after_chunks } => {
            body.struck(after_chunks, Strike::Last(error_event(sending.api, after_chunks)))
        }
        Fault::None
        | Fault::Status { .. }
        | Fault::Error { .. }
        | Fault::Empty
        | Fault::Html
        | Fault::SlowHead { .. } => body,
    }
}

fn error_event(api: Option<Api>, number: u32) -> Bytes {
    let error = ApiError::in_stream().object();
    match api {
        Some(Api::Responses) => {
            let event = serde_json::json!({ "type": "error", "sequence_number": number, "error": error });
            named("error", &event)
        }
        None | Some(Api::Chat | Api::Completions | Api::Embeddings | Api::Models | Api::Model) => {
            data(&serde_json::json!({ "error": error }))
        }
    }
}

fn finish(head: response::Builder, body: AnswerBody) -> Response<AnswerBody> {
    let (parts, ()) = head.body(()).unwrap_or_default().into_parts();
    Response::from_parts(parts, body)
}

/// An event without a name.
pub(super) fn data(event: &impl Serialize) -> Bytes {
    sse(b"data: ".to_vec(), event)
}

/// An event under its name.
pub(super) fn named(name: &str, event: &impl Serialize) -> Bytes {
    sse(format!("event: {name}\ndata: ").into_bytes(), event)
}

/// What ends the streams of chat and completions.
pub(super) fn done() -> Piece {
    Piece::at_once(Bytes::from_static(b"data: [DONE]\n\n"))
}

fn sse(mut bytes: Vec<u8>, event: &impl Serialize) -> Bytes {
    // Maps with text keys always serialise; a vector takes every write.
    let _ = serde_json::to_writer(&mut bytes, event);
    bytes.extend_from_slice(b"\n\n");
    Bytes::from(bytes)
}
