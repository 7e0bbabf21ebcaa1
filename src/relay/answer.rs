//! What the caller gets: an answer or a refusal, under the headers that say what egret did.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::annotation::annotated;
use super::call::{Call, End};
use super::dispatch::Dispatched;
use super::refusal::{Refusal, SHOULD_RETRY};
use super::stream::{BrokenOff, Kind, RelayedBody};
use super::{attempt, rate_headers};
use crate::clock::Instant;
use crate::dialect::openai::facts::in_answer;
use crate::dialect::{Api, Dialect};
use crate::net::headers;
use crate::policy::Snapshot;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MODEL: HeaderName = HeaderName::from_static("x-egret-model");
const PROVIDER: HeaderName = HeaderName::from_static("x-egret-provider");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-egret-attempts");
const CLAMPED: HeaderName = HeaderName::from_static("x-egret-clamped");
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
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Relayed(_) => SizeHint::new(),
        }
    }
}

/// A provider's answer, or its error, on its way to the caller.
pub(super) struct Relayed {
    found: Box<Dispatched>,
    api: Api,
    deadline: Instant,
}

impl Relayed {
    /// What was found for a call that began at `started`.
    pub(super) fn new(found: Box<Dispatched>, api: Api, started: Instant) -> Self {
        let deadline = started + found.total;
        Self { found, api, deadline }
    }

    /// Hands the answer on; the call ends with it.
    pub(super) fn send(self, mut call: Call, snapshot: &Snapshot) -> Response<RelayBody> {
        let Dispatched { answer, target, attempts, timeouts, total: _ } = *self.found;
        let attempt::Answer { status, headers: from_provider, body } = answer;
        let mut headers = headers::to_caller(&from_provider);
        mark(&mut headers, &call, Some(snapshot));
        headers.insert(MODEL, target.header.clone());
        headers.insert(PROVIDER, target.provider.header.clone());
        headers.insert(ATTEMPTS, HeaderValue::from(attempts));
        if let Some(tokens) = call.clamped() {
            headers.insert(CLAMPED, HeaderValue::from(tokens.0));
        }
        if !status.is_success() && attempts > 1 {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        if let Some(id) = headers::upstream_request_id(&from_provider) {
            if let Ok(text) = id.to_str() {
                call.note(|record| record.upstream_request_id = Some(text.into()));
            }
            headers.insert(UPSTREAM_REQUEST_ID, id.clone());
        }
        call.note(|record| record.status = status.as_u16());
        let annotates = status.is_success() && call.is_annotated();
        call.served(Arc::clone(&target));
        let body = match body {
            attempt::AnswerBody::Whole { bytes, usage } => {
                let now = call.relay.clock.now();
                call.observes(|| in_answer(self.api, &bytes));
                let cost = call.used(usage).map(|cost| HeaderValue::from_str(cost.text().as_str()));
                if let Some(Ok(cost)) = cost {
                    headers.insert(COST_USD, cost);
                }
                let bytes = if annotates { annotated(bytes, &mut call, &target, attempts) } else { bytes };
                call.sends(bytes.len(), now);
                call.settle(if status.is_success() { End::Answered } else { End::Returned }, now);
                // Thereafter: what was held and not used remains.
                rate_headers::write(&mut headers, call.standings());
                RelayBody::Whole(bytes)
            }
            attempt::AnswerBody::Large { first, rest } => {
                rate_headers::write(&mut headers, call.standings());
                let idle = timeouts.answer;
                RelayBody::Relayed(Box::pin(RelayedBody::new(
                    call,
                    Kind::Bytes,
                    first,
                    rest,
                    idle,
                    self.deadline,
                )))
            }
            attempt::AnswerBody::Stream { first, rest, reader } => {
                rate_headers::write(&mut headers, call.standings());
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
                headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
                let kind = Kind::Events { api: self.api, reader };
                let idle = timeouts.stream_idle;
                RelayBody::Relayed(Box::pin(RelayedBody::new(call, kind, first, rest, idle, self.deadline)))
            }
        };
        response(status, headers, body)
    }
}

/// An answer of our own that is no error.
pub(super) fn own(mut call: Call, snapshot: &Snapshot, body: Bytes) -> Response<RelayBody> {
    let mut headers = HeaderMap::with_capacity(4);
    mark(&mut headers, &call, Some(snapshot));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    call.note(|record| record.status = StatusCode::OK.as_u16());
    let now = call.relay.clock.now();
    call.sends(body.len(), now);
    call.settle(End::Answered, now);
    response(StatusCode::OK, headers, RelayBody::Whole(body))
}

/// A refusal in the caller's dialect.
pub(super) fn refuse(mut call: Call, snapshot: Option<&Snapshot>, refusal: &Refusal) -> Response<RelayBody> {
    let (status, body) = (refusal.status(Dialect::OpenAi), refusal.body(Dialect::OpenAi));
    let mut headers = HeaderMap::with_capacity(8);
    mark(&mut headers, &call, snapshot);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    rate_headers::write(&mut headers, call.standings());
    refusal.headers(&mut headers);
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

/// The headers that every answer carries.
fn mark(headers: &mut HeaderMap, call: &Call, snapshot: Option<&Snapshot>) {
    if let Ok(id) = HeaderValue::from_bytes(&call.id.hex()) {
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
