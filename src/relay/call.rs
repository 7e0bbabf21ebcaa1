//! One call, from its request's head to its settlement.
//!
//! The stages pass their results on as values. What they find out on the way is also written into the record here,
//! which nobody reads before the call has ended.

use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderName;
use http::{HeaderMap, Request, StatusCode};

use super::Relay;
use super::outcome::Failure;
use crate::clock::Instant;
use crate::dialect::error::Cause;
use crate::ids::{LimitKey, RequestId};
use crate::limits::{Reservation, Standing};
use crate::policy::Snapshot;
use crate::policy::snapshot::{Model, Principal};
use crate::telemetry::record::{AttemptRecord, CallRecord};
use crate::usage::Usage;

/// Callers' own ids; OpenAI's clients send the second.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-client-request-id");

/// A call in flight. Settles exactly once: by [`Call::settle`], or when it is dropped, as left by its caller.
pub(super) struct Call {
    pub(super) relay: Arc<Relay>,
    /// Our id of the call.
    pub(super) id: RequestId,
    /// When the request's head had been read.
    pub(super) started: Instant,
    /// Who is calling, once that is known.
    pub(super) principal: Option<Arc<Principal>>,
    /// What the call holds of its limits.
    pub(super) held: Option<Reservation>,
    /// Whether a provider is being tried. A caller that leaves now has made its request: it is counted, be it that the
    /// connection was still being made, else leaving early would be a way around every rate.
    pub(super) in_flight: bool,
    record: Option<Box<CallRecord>>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The caller has the whole answer.
    Answered,
    /// The provider's error was the answer.
    Returned,
    /// We answered an error.
    Refused(Cause),
    /// The answer had begun, then broke.
    Interrupted(Failure),
    /// The provider ended its own stream with an error event.
    ErrorEvent,
    /// The caller left.
    ClientGone,
}

impl Call {
    /// Begins a call: nothing is taken yet.
    pub(super) fn begin<B>(relay: &Arc<Relay>, request: &Request<B>) -> Self {
        let id = RequestId::new(relay.random.u128());
        let record = CallRecord::begun(id, callers_id(request.headers()));
        Self {
            relay: Arc::clone(relay),
            id,
            started: relay.clock.now(),
            principal: None,
            held: None,
            in_flight: false,
            record: Some(Box::new(record)),
        }
    }

    /// Notes the operation.
    pub(super) fn asks_for(&mut self, operation: &'static str) {
        self.note(|record| record.api = Some(operation));
    }

    /// Notes the policy under which the call runs.
    pub(super) fn under(&mut self, snapshot: &Snapshot) {
        let revision = snapshot.revision.0;
        self.note(|record| record.policy = Some(revision));
    }

    /// Notes who is calling.
    pub(super) fn comes_from(&mut self, principal: &Arc<Principal>) {
        self.principal = Some(Arc::clone(principal));
        self.note(|record| {
            record.tenant = Some(principal.tenant.id.clone());
            record.user.clone_from(&principal.user);
            record.app.clone_from(&principal.app);
            record.key.clone_from(&principal.key);
        });
    }

    /// Changes the record of a call that has not ended.
    pub(super) fn note(&mut self, change: impl FnOnce(&mut CallRecord)) {
        if let Some(record) = &mut self.record {
            change(record);
        }
    }

    /// Notes how a try ended after `duration`; none for an answer.
    pub(super) fn tried(
        &mut self,
        target: &Model,
        duration: Duration,
        failure: Option<Failure>,
        status: Option<StatusCode>,
    ) {
        self.note(|record| {
            record.model = Some(target.id.clone());
            record.provider = Some(target.provider.id.clone());
            record.attempts.push(AttemptRecord {
                provider: target.provider.id.clone(),
                model: target.id.clone(),
                outcome: failure.map_or("answered", Failure::name),
                status: status.map(|status| status.as_u16()),
                duration,
            });
        });
    }

    /// Notes that bytes of the answer go to the caller.
    pub(super) fn sends(&mut self, bytes: usize, now: Instant) {
        let since = now - self.started;
        self.note(|record| {
            record.first_byte.get_or_insert(since);
            record.bytes_out += bytes as u64;
        });
    }

    /// Notes the tokens that the provider reported.
    pub(super) fn used(&mut self, usage: Option<Usage>) {
        self.note(|record| record.usage = usage);
    }

    /// Where the caller stands with the tightest of its request limits.
    pub(super) fn standing(&self) -> Option<(&LimitKey, Standing)> {
        let (at, standing) = self.held.as_ref()?.standing()?;
        Some((&self.principal.as_ref()?.tenant.limits.get(at)?.key, standing))
    }

    /// Ends the call: gives back what it holds and hands its record to telemetry. Only the first end counts.
    pub(super) fn settle(&mut self, end: End, now: Instant) {
        let Some(mut record) = self.record.take() else {
            return;
        };
        if self.in_flight
            && let Some(held) = &mut self.held
        {
            held.used(now);
        }
        // Before the record: a caller that sees the end may call again at once, and must find room.
        self.held = None;
        record.outcome = end.name();
        match end {
            End::Refused(cause) => record.refusal = Some(cause.code()),
            // nginx's status for a caller that left; logs only.
            End::ClientGone if record.status == 0 => record.status = 499,
            End::Answered | End::Returned | End::Interrupted(_) | End::ErrorEvent | End::ClientGone => {}
        }
        if let End::Interrupted(failure) = end
            && let Some(last) = record.attempts.last_mut()
        {
            last.outcome = failure.name();
        }
        record.duration = now - self.started;
        record.ended = self.relay.clock.wall();
        self.relay.shared.access_log.push(&record);
    }
}

impl End {
    fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Returned => "upstream_error",
            Self::Refused(cause) if cause.is_upstream() => "upstream_failed",
            Self::Refused(_) => "refused",
            Self::Interrupted(_) | Self::ErrorEvent => "stream_interrupted",
            Self::ClientGone => "client_gone",
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.record.is_some() {
            self.settle(End::ClientGone, self.relay.clock.now());
        }
    }
}

/// The caller's own id of the request, where it is short and plain enough for a log.
fn callers_id(headers: &HeaderMap) -> Option<Box<str>> {
    let value = headers.get(REQUEST_ID).or_else(|| headers.get(CLIENT_REQUEST_ID))?;
    let id = value.to_str().ok()?;
    (!id.is_empty() && id.len() <= 128 && id.bytes().all(|b| b.is_ascii_graphic())).then(|| id.into())
}
