//! The tries of a call: what each may use and holds, from its begin to its end.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use opentelemetry::trace::SpanId;

use super::call::Call;
use super::charge::{Came, Sized};
use super::outcome::Failure;
use crate::clock::{Instant, Now};
use crate::limits::{Amounts, Reservation};
use crate::policy::snapshot::{Model, Tenant};
use crate::resilience::breaker::Pass;
use crate::telemetry::record::{AttemptRecord, CallRecord, Destination};
use crate::telemetry::spans;

/// A try that has begun.
#[derive(Debug)]
pub(super) struct Trying {
    /// Its number in the call.
    pub(super) id: TryId,
    destination: Arc<Destination>,
    began: Duration,
    span: SpanId,
    pub(super) stake: Stake,
}

/// A try of a call, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TryId(u32);

/// What one try may use, and holds beside what its call does.
#[derive(Debug, Default)]
pub(super) struct Stake {
    /// What it may use.
    pub(super) sized: Sized,
    /// What it holds of its provider's limits. Boxed: most providers have none.
    pub(super) there: Option<Box<Reservation>>,
    /// What it holds of the tenant's limits itself, where another try of the call has the call's own share.
    pub(super) own: Option<Box<Reservation>>,
}

impl Stake {
    /// Charges what the try came to, and gives back what it holds; gives what that was. `held` is the call's own share.
    fn charge(&mut self, tenant: &Tenant, held: &mut Option<Reservation>, came: Came, now: Now) -> Amounts {
        let cost = self.sized.cost(tenant, came);
        match (&mut self.own, held) {
            (Some(own), _) => own.settle(&cost, now),
            (None, Some(held)) => held.charge(&cost, now),
            (None, None) => {}
        }
        if let Some(there) = &mut self.there {
            there.settle(&cost, now);
        }
        cost
    }

    fn written(&mut self, now: Now) {
        for held in self.there.iter_mut().chain(&mut self.own) {
            held.written(now);
        }
    }

    /// Notes limits that only count and had no room.
    pub(super) fn would_refuse(&self, record: &mut CallRecord) {
        for held in self.there.iter().chain(&self.own) {
            would_refuse(record, held);
        }
    }
}

impl Call {
    /// Begins a try. Gives its number, and its `traceparent` where the target's provider is to know of it.
    pub(super) fn tries(
        &mut self,
        target: &Model,
        stake: Stake,
        from_caller: &HeaderMap,
        now: Instant,
    ) -> (TryId, Option<HeaderValue>) {
        let trace = self.record.as_ref().and_then(|record| record.trace.as_deref());
        let span = trace.map_or(SpanId::INVALID, |_| spans::span(&self.relay.random));
        let told = target.provider.propagate_trace.then(|| spans::traceparent(trace, span, from_caller));
        let destination = Arc::clone(&target.destination);
        self.tries += 1;
        let id = TryId(self.tries);
        self.trying.push(Trying { id, destination, began: now - self.started, span, stake });
        (id, told.flatten())
    }

    /// How many tries have begun.
    pub(super) fn attempts(&self) -> u32 {
        self.tries
    }

    /// Notes that the request of a try was written: limits count it from here on.
    pub(super) fn written(&mut self, id: TryId, now: Now) {
        if let Some(held) = &mut self.held {
            held.written(now);
        }
        if let Some(trying) = self.trying.iter_mut().find(|trying| trying.id == id) {
            trying.stake.written(now);
        }
    }

    /// Notes that a try failed, and charges what it came to.
    pub(super) fn failed(&mut self, id: TryId, failure: Failure, now: Now) {
        self.loses(id, failure.name(), failure.status(), failure.came(), now);
    }

    /// Notes that a try was given up for another one's answer, and charges what it came to.
    /// Nothing, where no connection had taken it yet.
    pub(super) fn hedged_away(&mut self, id: TryId, handed_over: bool, now: Now) {
        let came = if handed_over { Came::GivenUp } else { Came::Nothing };
        if handed_over {
            self.written(id, now);
        }
        self.loses(id, "hedged_away", None, came, now);
    }

    pub(super) fn loses(
        &mut self,
        id: TryId,
        outcome: &'static str,
        status: Option<StatusCode>,
        came: Came,
        now: Now,
    ) {
        let Some(mut stake) = self.end_try(id, outcome, status, now.instant) else { return };
        let Self { principal: Some(principal), held, record: Some(record), .. } = self else { return };
        let cost = stake.charge(&principal.tenant, held, came, now);
        record.charged = record.charged.and(&cost);
        stake.would_refuse(record);
    }

    /// Notes that a try gave the answer that the caller gets, of which a stream may go on, and whose it is.
    pub(super) fn answered(
        &mut self,
        id: TryId,
        status: StatusCode,
        streams: bool,
        pass: Option<Pass>,
        now: Now,
    ) {
        let Some(stake) = self.end_try(id, "answered", Some(status), now.instant) else { return };
        if stake.own.is_some()
            && let Some(held) = &mut self.held
        {
            // The call's own share was another try's: calls and places stay counted there, all else is free.
            held.free();
        }
        self.served = stake;
        self.pass = pass;
        self.note(|record| {
            if let Some(attempt) = record.attempts.last_mut().filter(|_| streams) {
                attempt.first_chunk = Some(attempt.duration);
            }
        });
    }

    pub(super) fn end_try(
        &mut self,
        id: TryId,
        outcome: &'static str,
        status: Option<StatusCode>,
        now: Instant,
    ) -> Option<Stake> {
        let at = self.trying.iter().position(|trying| trying.id == id)?;
        let Trying { destination, began, span, stake, .. } = self.trying.remove(at);
        let status = status.map(|status| status.as_u16());
        let duration = (now - self.started).saturating_sub(began);
        let lasted = duration;
        let (first_chunk, held) = (None, stake.sized.amounts);
        let attempt =
            AttemptRecord { destination, outcome, status, held, began, duration, lasted, first_chunk, span };
        self.note(|record| record.attempts.push(attempt));
        Some(stake)
    }
}

/// Notes limits that only count and had no room.
pub(super) fn would_refuse(record: &mut CallRecord, held: &Reservation) {
    for rule in held.would_refuse() {
        let limit = (rule.owner.clone(), rule.key.clone());
        // A provider's may be met by several tries: it would have refused the one call.
        if !record.would_refuse.contains(&limit) {
            record.would_refuse.push(limit);
        }
    }
}
