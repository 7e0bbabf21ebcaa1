//! What the caller gets: an answer or a refusal, under the headers that say what egret did.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::Reply;
use super::annotation::annotated;
use super::call::{Call, End};
use super::dispatch::Dispatched;
use super::keep_alive::KeptAlive;
use super::refusal::{Refusal, SHOULD_RETRY};
use super::stream::{BrokenOff, Kind, RelayedBody};
use super::{attempt, rate_headers};
use crate::dialect::error::{Cause, Problem, error_event_of, stream_event};
use crate::dialect::facts::in_answer;
use crate::dialect::neutral::Losses;
use crate::dialect::{Api, Dialect};
use crate::ids::RequestId;
use crate::net::headers;
use crate::policy::Snapshot;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The only one that Anthropic's SDKs read.
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const LOST: HeaderName = HeaderName::from_static("x-egret-lost");
const ESTIMATED: HeaderName = HeaderName::from_static("x-egret-estimated");
const MODEL: HeaderName = HeaderName::from_static("x-egret-model");
const PROVIDER: HeaderName = HeaderName::from_static("x-egret-provider");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-egret-attempts");
const CLAMPED: HeaderName = HeaderName::from_static("x-egret-clamped");
const EXHAUSTED: HeaderName = HeaderName::from_static("x-egret-exhausted");
const TRUNCATED: HeaderName = HeaderName::from_static("x-egret-truncated");
const COST_USD: HeaderName = HeaderName::from_static("x-egret-cost-usd");
const POLICY: HeaderName = HeaderName::from_static("x-egret-policy");
const UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-egret-upstream-request-id");
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The body of an answer to a caller.
pub enum RelayBody {
    /// There is none, or it has been sent.
    Empty,
    /// It is complete.
    Whole(Bytes),
    /// It comes from the provider, bit by bit.
    Relayed(Pin<Box<RelayedBody>>),
    /// It is looked for, and its caller kept waiting.
    KeptAlive(Box<KeptAlive>),
}

impl Body for RelayBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Relayed(body) => {
                body.as_mut().poll_next(cx).map(|next| next.map(|bytes| bytes.map(Frame::data)))
            }
            Self::KeptAlive(body) => body.poll_next(cx).map(|next| next.map(|bytes| bytes.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Relayed(_) | Self::KeptAlive(_) => SizeHint::new(),
        }
    }
}

/// A provider's answer, or its error, on its way to the caller.
pub(super) struct Relayed {
    found: Box<Dispatched>,
    api: Api,
}

impl Relayed {
    /// What was found for a call of this operation.
    pub(super) fn new(found: Box<Dispatched>, api: Api) -> Self {
        Self { found, api }
    }

    /// The error that it is, if it is one.
    fn error(&self) -> Option<&Bytes> {
        let answer = &self.found.answer;
        match &answer.body {
            attempt::AnswerBody::Whole { bytes, .. } if answer.is_error() => Some(bytes),
            attempt::AnswerBody::Whole { .. }
            | attempt::AnswerBody::Large { .. }
            | attempt::AnswerBody::Stream { .. } => None,
        }
    }

    /// Hands the answer on; the call ends with it.
    pub(super) fn send(self, mut call: Call, snapshot: &Snapshot) -> Response<RelayBody> {
        let Dispatched { answer, target, attempts, timeouts, deadline, cut_messages, lost } = *self.found;
        let is_error = answer.is_error();
        let attempt::Answer { status, headers: from_provider, body } = answer;
        let mut headers = headers::to_caller(&from_provider);
        mark(&mut headers, call.named(), Some(snapshot));
        headers.insert(MODEL, target.header.clone());
        headers.insert(PROVIDER, target.provider.header.clone());
        headers.insert(ATTEMPTS, HeaderValue::from(attempts));
        if let Some(tokens) = call.clamped() {
            headers.insert(CLAMPED, HeaderValue::from(tokens.0));
        }
        if cut_messages > 0 {
            headers.insert(TRUNCATED, HeaderValue::from(cut_messages));
        }
        if let Some(lost) = named(&lost) {
            headers.insert(LOST, lost);
        }
        call.sent_less(&lost);
        if is_error && attempts > 1 {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        if let Some(id) = headers::upstream_request_id(&from_provider) {
            if let Ok(text) = id.to_str() {
                call.note(|record| record.upstream_request_id = Some(text.into()));
            }
            headers.insert(UPSTREAM_REQUEST_ID, id.clone());
        }
        call.note(|record| record.status = status.as_u16());
        let annotates = !is_error && call.is_annotated();
        call.served_by(Arc::clone(&target));
        let body = match body {
            attempt::AnswerBody::Whole { bytes, usage, .. } => {
                let now = call.relay.clock.now();
                call.observes(|| in_answer(self.api, &bytes));
                let cost = call.used(usage).map(|cost| HeaderValue::from_str(cost.text().as_str()));
                if let Some(Ok(cost)) = cost {
                    headers.insert(COST_USD, cost);
                }
                let bytes = if annotates { annotated(bytes, &mut call, &target, attempts) } else { bytes };
                call.sends(bytes.len(), now);
                call.settle(if is_error { End::Returned } else { End::Answered }, now);
                // Thereafter: what was held and not used remains.
                rate_headers::write(&mut headers, call.told(), call.standings());
                RelayBody::Whole(bytes)
            }
            attempt::AnswerBody::Large { first, rest } => {
                rate_headers::write(&mut headers, call.told(), call.standings());
                let idle = timeouts.answer;
                RelayBody::Relayed(Box::pin(RelayedBody::new(call, Kind::Bytes, first, rest, idle, deadline)))
            }
            attempt::AnswerBody::Stream { first, rest, reader } => {
                rate_headers::write(&mut headers, call.told(), call.standings());
                unbuffered(&mut headers);
                let kind = Kind::Events { api: self.api, reader };
                let idle = timeouts.stream_idle;
                RelayBody::Relayed(Box::pin(RelayedBody::new(call, kind, first, rest, idle, deadline)))
            }
        };
        response(status, headers, body)
    }
}

/// What was lost, as a header's value; none where nothing was.
fn named(lost: &Losses) -> Option<HeaderValue> {
    let names: Vec<&str> = lost.iter().map(|loss| &*loss.field).collect();
    (!names.is_empty()).then(|| HeaderValue::from_str(&names.join(", ")).ok()).flatten()
}

/// An answer of our own that is no error.
fn own(mut call: Call, snapshot: &Snapshot, body: Bytes, estimated: bool) -> Response<RelayBody> {
    let mut headers = HeaderMap::with_capacity(4);
    if estimated {
        headers.insert(ESTIMATED, HeaderValue::from_static("true"));
    }
    mark(&mut headers, call.named(), Some(snapshot));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    call.note(|record| record.status = StatusCode::OK.as_u16());
    let now = call.relay.clock.now();
    call.sends(body.len(), now);
    call.settle(End::Answered, now);
    response(StatusCode::OK, headers, RelayBody::Whole(body))
}

/// A refusal in the caller's dialect.
pub(super) fn refuse(mut call: Call, snapshot: Option<&Snapshot>, refusal: &Refusal) -> Response<RelayBody> {
    let (status, body) = (refusal.status(call.face), refusal.body(call.face));
    let mut headers = HeaderMap::with_capacity(8);
    mark(&mut headers, call.named(), snapshot);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    rate_headers::write(&mut headers, call.told(), call.standings());
    refusal.headers(&mut headers, call.told());
    if refusal.attempts() > 0 {
        headers.insert(ATTEMPTS, HeaderValue::from(refusal.attempts()));
    }
    let now = call.relay.clock.now();
    if refusal.is_unheard() {
        call.settle(End::ClientGone, now);
    } else {
        call.note(|record| record.status = status.as_u16());
        call.sends(body.len(), now);
        call.settle(End::Refused(refusal.cause()), now);
    }
    response(status, headers, RelayBody::Whole(body))
}

/// An answer of the policy's own, where nobody else had one.
pub(super) struct Fixed {
    pub(super) body: Bytes,
    /// Whether it is a stream.
    pub(super) stream: bool,
    /// Why there was no other.
    pub(super) refusal: Refusal,
}

impl Fixed {
    fn send(self, mut call: Call, snapshot: &Snapshot) -> Response<RelayBody> {
        let mut headers = HeaderMap::with_capacity(8);
        mark(&mut headers, call.named(), Some(snapshot));
        rate_headers::write(&mut headers, call.told(), call.standings());
        headers.insert(EXHAUSTED, HeaderValue::from_static(self.refusal.cause().code()));
        headers.insert(ATTEMPTS, HeaderValue::from(call.attempts()));
        if self.stream {
            stream_headers(&mut headers);
        } else {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        response(StatusCode::OK, headers, self.settle(&mut call))
    }

    fn settle(self, call: &mut Call) -> RelayBody {
        settled(call, StatusCode::OK, self.body, End::Responded(self.refusal.cause()))
    }
}

/// What a call came to, as an answer.
pub(super) fn reply(call: Call, snapshot: &Snapshot, reply: Result<Reply, Refusal>) -> Response<RelayBody> {
    match reply {
        Ok(Reply::Own(body)) => own(call, snapshot, body, false),
        Ok(Reply::Estimated(body)) => own(call, snapshot, body, true),
        Ok(Reply::Relayed(relayed)) => relayed.send(call, snapshot),
        Ok(Reply::Fixed(fixed)) => fixed.send(call, snapshot),
        Err(refusal) => refuse(call, Some(snapshot), &refusal),
    }
}

/// The same behind a head that is out already: an error becomes an event.
pub(super) fn in_stream(
    mut call: Call,
    snapshot: &Snapshot,
    api: Api,
    reply: Result<Reply, Refusal>,
) -> RelayBody {
    match reply {
        Ok(Reply::Own(body) | Reply::Estimated(body)) => {
            settled(&mut call, StatusCode::OK, body, End::Answered)
        }
        Ok(Reply::Fixed(fixed)) => fixed.settle(&mut call),
        Ok(Reply::Relayed(relayed)) => {
            let event = relayed.error().map(|error| {
                error_event_of(api, error).unwrap_or_else(|| {
                    let message = "The provider refused the call.";
                    let problem = Problem { cause: Cause::UpstreamFailed, message, param: None, wait: None };
                    stream_event(api, &problem)
                })
            });
            match event {
                Some(event) => settled(&mut call, StatusCode::OK, event, End::Returned),
                None => relayed.send(call, snapshot).into_body(),
            }
        }
        Err(refusal) => {
            let event = stream_event(api, &refusal.problem());
            settled(&mut call, StatusCode::OK, event, End::Refused(refusal.cause()))
        }
    }
}

/// The head of a stream of which nothing else is known yet.
pub(super) fn kept_alive(named: (RequestId, Dialect), snapshot: &Snapshot) -> Response<()> {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    mark(headers, named, Some(snapshot));
    stream_headers(headers);
    response
}

/// Ends a call with all that its caller gets.
fn settled(call: &mut Call, status: StatusCode, body: Bytes, end: End) -> RelayBody {
    let now = call.relay.clock.now();
    call.note(|record| record.status = status.as_u16());
    call.sends(body.len(), now);
    call.settle(end, now);
    RelayBody::Whole(body)
}

fn stream_headers(headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    unbuffered(headers);
}

/// Asks whatever is on the way to pass events on as they come.
fn unbuffered(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
}

/// The headers that every answer carries.
fn mark(headers: &mut HeaderMap, (id, face): (RequestId, Dialect), snapshot: Option<&Snapshot>) {
    if let Ok(id) = HeaderValue::from_bytes(&id.hex()) {
        if face == Dialect::Anthropic {
            headers.insert(ANTHROPIC_REQUEST_ID, id.clone());
        }
        headers.insert(REQUEST_ID, id);
    }
    if let Some(snapshot) = snapshot {
        headers.insert(POLICY, snapshot.header.clone());
    }
}

fn response(status: StatusCode, headers: HeaderMap, body: RelayBody) -> Response<RelayBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
