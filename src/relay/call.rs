//! One call, from its request's head to its settlement.
//!
//! The stages pass their results on as values. What they find out on the way is also written into the record here,
//! which nobody reads before the call has ended.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::HeaderName;
use http::{HeaderMap, Request};
use smallvec::SmallVec;

use super::Relay;
use super::charge::{Came, Sized};
use super::operation::Operation;
use super::outcome::{Failure, Mark, judge_in_answer};
use super::rate_headers::{Family, Tightest, Told};
use super::receive::Asked;
use super::tries::{Stake, TryId, Trying, would_refuse};
use crate::clock::{Instant, Now, Timestamp};
use crate::dialect::error::{Cause, Said};
use crate::dialect::facts::AnswerFacts;
use crate::dialect::neutral::Losses;
use crate::dialect::{Dialect, paths};
use crate::ids::RequestId;
use crate::limits::{Amounts, Exceeded, Reservation, Ticket, Unit};
use crate::policy::Snapshot;
use crate::policy::snapshot::{Model, Principal, Revision, Route};
use crate::resilience::breaker::Pass;
use crate::telemetry::record::{CallRecord, Destination, PassedOver};
use crate::units::{NanoUsd, Tokens};
use crate::usage::Usage;

/// Callers' own ids; OpenAI's clients send the second.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-client-request-id");

/// A call in flight. Settles exactly once: by [`Call::settle`], or when it is dropped, as left by its caller.
pub(super) struct Call {
    pub(super) relay: Arc<Relay>,
    /// Our id of the call.
    pub(super) id: RequestId,
    /// What its caller speaks.
    pub(super) face: Dialect,
    /// When the request's head had been read.
    pub(super) started: Instant,
    /// The same in civil time: the call costs what held then.
    began: Timestamp,
    /// Who is calling, once that is known.
    pub(super) principal: Option<Arc<Principal>>,
    /// Whose answer the caller gets, once it begins.
    served_by: Option<Arc<Model>>,
    /// What the call holds of its limits.
    pub(super) held: Option<Reservation>,
    /// Its place among those who wait for room, while it does.
    pub(super) ticket: Option<Box<Ticket>>,
    /// What the try holds, and may use, whose answer the caller gets.
    pub(super) served: Stake,
    /// What the breaker of whoever gives that answer is told when it has ended.
    pub(super) pass: Option<Pass>,
    /// The output counted in an answer, for want of a report.
    counted: Tokens,
    /// The tries under way: one, or two where a second target is asked too. A caller that leaves now has made its
    /// request: it is counted, be it that the connection was still being made, else leaving early would be a way around
    /// every rate.
    pub(super) trying: SmallVec<[Trying; 1]>,
    /// How many tries have begun.
    pub(super) tries: u32,
    /// Whether the head of its answer is out before there is one, of a stream that is kept alive.
    pub(super) head_is_out: Option<Arc<AtomicBool>>,
    /// Whether the answer goes on after what was held of it: then its attempt lasts to the call's end.
    goes_on: bool,
    pub(super) record: Option<Box<CallRecord>>,
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
    /// We answered what the policy says in its place.
    Responded(Cause),
    /// The answer had begun, then broke.
    Interrupted(Failure),
    /// The provider ended its own stream with an error event, which said this.
    ErrorEvent(Said),
    /// The caller left.
    ClientGone,
}

impl Call {
    /// Begins a call: nothing is taken yet.
    pub(super) fn begin<B>(relay: &Arc<Relay>, request: &Request<B>, from: IpAddr) -> Self {
        let id = RequestId::new(relay.random.u128());
        let mut record = CallRecord::begun(id, callers_id(request.headers()));
        if let Some(spans) = &relay.shared.telemetry.spans {
            record.trace = spans.begin(id, request, from, &relay.random);
        }
        Self {
            relay: Arc::clone(relay),
            id,
            face: paths::face(request.uri().path(), request.headers()),
            started: relay.clock.now(),
            began: relay.clock.wall(),
            principal: None,
            served_by: None,
            held: None,
            ticket: None,
            served: Stake::default(),
            pass: None,
            counted: Tokens::ZERO,
            trying: SmallVec::new(),
            tries: 0,
            head_is_out: None,
            goes_on: false,
            record: Some(Box::new(record)),
        }
    }

    /// Notes the operation.
    pub(super) fn asks_for(&mut self, operation: &Operation<'_>) {
        self.note(|record| {
            record.api = Some(operation.name());
            if let Some(trace) = &mut record.trace {
                trace.title = Some(operation.title());
            }
        });
    }

    /// Its id, and what its caller speaks.
    pub(super) fn named(&self) -> (RequestId, Dialect) {
        (self.id, self.face)
    }

    /// How and when its caller is told where it stands.
    pub(super) fn told(&self) -> Told {
        Told { face: self.face, now: self.relay.clock.wall() }
    }

    /// Notes what was not carried over into the dialect of whoever answers.
    pub(super) fn sent_less(&mut self, lost: &Losses) {
        if !lost.is_empty() {
            self.note(|record| record.lost = lost.iter().map(|loss| loss.field.clone()).collect());
        }
    }

    /// Notes the policy under which the call runs.
    pub(super) fn under(&mut self, snapshot: &Snapshot) {
        let revision = snapshot.revision.0;
        self.note(|record| record.policy = Some(revision));
    }

    /// The policy under which it runs.
    pub(super) fn revision(&self) -> Option<Revision> {
        self.record.as_ref().and_then(|record| record.policy).map(Revision)
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

    /// Notes that it has waited for others since `began`: for its caller, or for the ledger's store.
    pub(super) fn waits(&mut self, began: Instant) {
        let waited = self.relay.clock.now() - began;
        self.note(|record| record.waited += waited);
    }

    /// Notes that it has waited for room since `began`.
    pub(super) fn queues(&mut self, began: Instant) {
        let queued = self.relay.clock.now() - began;
        self.note(|record| {
            record.waited += queued;
            record.queued += queued;
        });
    }

    /// Notes the targets that come into question, in order, where spans tell them.
    pub(super) fn considers<'d>(&mut self, candidates: impl Iterator<Item = &'d Arc<Destination>>) {
        self.note(|record| {
            if let Some(trace) = &mut record.trace {
                trace.candidates = candidates.cloned().collect();
            }
        });
    }

    /// How many targets it has passed over.
    pub(super) fn passed_over(&self) -> usize {
        self.record.as_ref().map_or(0, |record| record.passed_over.len())
    }

    /// Forgets those that it passed over since: it looks at them again.
    pub(super) fn looks_again(&mut self, since: usize) {
        self.note(|record| record.passed_over.truncate(since));
    }

    /// What a try at a target may use with a body of so many bytes; none where its price has to be known and is not.
    pub(super) fn size(
        &self,
        principal: &Principal,
        route: &Route,
        target: &Model,
        asked: &Asked,
        bytes: u64,
    ) -> Option<Sized> {
        Sized::of(&self.relay.shared.calibration, principal, route, target, asked, bytes, self.began)
    }

    /// The civil time at which it began.
    pub(super) fn began(&self) -> Timestamp {
        self.began
    }

    /// The bound that was written into the request, of each answer.
    pub(super) fn clamped(&self) -> Option<Tokens> {
        self.served.sized.cap.map(|cap| cap.tokens)
    }

    /// Notes how much output was counted in the answer so far.
    pub(super) fn counts(&mut self, output: Tokens) {
        self.counted = output;
    }

    /// Notes how many bytes of the request's body whoever answered was not sent.
    pub(super) fn sent_without(&mut self, bytes: usize) {
        self.note(|record| record.cut_bytes = bytes as u64);
    }

    /// Notes for how long it has waited for providers.
    pub(super) fn waited_for_providers(&mut self, waited: Duration) {
        self.note(|record| record.waited += waited);
    }

    /// Notes a target that is not tried, and why: once for each reason.
    pub(super) fn passes_over(&mut self, target: &Model, reason: &'static str, now: Instant) {
        let at = now - self.started;
        self.note(|record| {
            let same = |passed: &PassedOver| {
                passed.reason == reason && Arc::ptr_eq(&passed.destination, &target.destination)
            };
            if !record.passed_over.iter().any(same) {
                let destination = Arc::clone(&target.destination);
                record.passed_over.push(PassedOver { destination, reason, at });
            }
        });
    }

    /// Notes a limit that has no room for it, or for as much as it asks, where somebody looks at records.
    pub(super) fn meets(&mut self, exceeded: &Exceeded) {
        if self.relay.shared.telemetry.watch.is_none() {
            return;
        }
        let limit = (exceeded.rule.owner.clone(), exceeded.rule.key.clone());
        self.note(|record| {
            if !record.met.contains(&limit) {
                record.met.push(limit);
            }
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

    /// Notes that the answer goes on after what was held of it.
    pub(super) fn goes_on(&mut self) {
        self.goes_on = true;
    }

    /// Notes whose answer the caller gets: at its price the call is charged.
    pub(super) fn served_by(&mut self, model: Arc<Model>) {
        self.served_by = Some(model);
    }

    /// Notes the tokens that the provider reported, and gives what they cost; none where tokens or price are not
    /// known.
    pub(super) fn used(&mut self, usage: Option<Usage>) -> Option<NanoUsd> {
        let record = self.record.as_mut()?;
        let listed = self.served_by.as_ref().and_then(|model| model.prices.at(self.began));
        record.usage = usage;
        record.cost = listed.zip(usage).map(|(listed, usage)| listed.price.of(&usage));
        record.cost
    }

    /// Whether its answer is to tell what it cost.
    pub(super) fn is_annotated(&self) -> bool {
        self.principal.as_ref().is_some_and(|principal| principal.tenant.annotate)
    }

    /// Whether the call's spans are to tell of its answer.
    pub(super) fn is_traced(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.trace.is_some())
    }

    /// Notes what the answer says of itself, where spans tell it.
    pub(super) fn observes(&mut self, answer: impl FnOnce() -> AnswerFacts) {
        self.note(|record| {
            if let Some(trace) = &mut record.trace {
                trace.answer = answer();
            }
        });
    }

    /// Where the caller stands with the tightest of its limits on requests and on tokens.
    pub(super) fn standings(&self) -> impl Iterator<Item = Tightest<'_>> + Clone {
        let tightest = |unit| {
            let (rule, standing) = self.held.as_ref()?.standing(unit)?;
            Some(Tightest { family: Family::of(unit)?, key: &rule.key, standing })
        };
        [tightest(Unit::Requests), tightest(Unit::Tokens)].into_iter().flatten()
    }

    /// Ends the call: gives back what it holds and hands its record to telemetry. Only the first end counts.
    pub(super) fn settle(&mut self, end: End, now: Instant) {
        if self.record.is_none() {
            return;
        }
        self.judge(end, now);
        // Before the record: a caller that sees the end may call again at once, and must find room.
        self.settle_limits(end, now);
        while let Some(id) = self.trying.first().map(|trying| trying.id) {
            self.end_try(id, "abandoned", None, now);
        }
        let Some(mut record) = self.record.take() else {
            return;
        };
        let head_is_out = self.head_is_out.as_ref().is_some_and(|out| out.load(Ordering::Relaxed));
        record.outcome = end.name();
        match end {
            End::Refused(cause) | End::Responded(cause) => record.refusal = Some(cause.code()),
            // nginx's status for a caller that left; logs only.
            End::ClientGone if record.status == 0 => record.status = if head_is_out { 200 } else { 499 },
            End::Answered | End::Returned | End::Interrupted(_) | End::ErrorEvent(_) | End::ClientGone => {}
        }
        record.duration = now - self.started;
        if let Some(last) = record.attempts.last_mut() {
            if self.goes_on {
                last.lasted = record.duration.saturating_sub(last.began);
            }
            if let End::Interrupted(failure) = end {
                last.outcome = failure.name();
            }
        }
        record.ended = self.began.saturating_add(record.duration).unwrap_or(self.began);
        self.relay.shared.telemetry.note(&record);
    }

    /// Tells the breaker of whoever answered how the answer ended.
    fn judge(&mut self, end: End, now: Instant) {
        let Some(pass) = self.pass.take() else { return };
        let mark = match end {
            End::ErrorEvent(said) => judge_in_answer(said).mark(),
            End::Interrupted(failure) => failure.follows().1,
            // Of one that its caller left, what came was well: who stops every answer half way would
            // else keep the failures of a good provider in a row.
            End::Answered | End::Returned | End::ClientGone => Mark::Well,
            End::Refused(_) | End::Responded(_) => Mark::Nothing,
        };
        match mark {
            Mark::Well => pass.succeeded(now),
            Mark::Ill => pass.failed(now),
            Mark::Nothing | Mark::CoolsDown | Mark::KeyRefused | Mark::KeyForbidden | Mark::KeySpent => {}
        }
    }

    /// Charges what the call came to, and gives back what it holds.
    fn settle_limits(&mut self, end: End, now: Instant) {
        if self.held.is_none() {
            return;
        }
        let now = Now { instant: now, wall: self.relay.clock.wall() };
        let abandoned: SmallVec<[TryId; 2]> = self.trying.iter().map(|trying| trying.id).collect();
        abandoned.iter().for_each(|id| self.written(*id, now));
        let Self { held: Some(held), principal: Some(principal), record: Some(record), .. } = self else {
            return;
        };
        let tenant = &principal.tenant;
        let came = match self.trying.is_empty() {
            true => Came::at(end, record.usage, self.counted),
            // Of a plain call left like this nobody will know what it used.
            false if !record.stream => Came::Unreported(Tokens::ZERO),
            false => Came::GivenUp,
        };
        would_refuse(record, held);
        let mut cost = Amounts::NONE;
        let ending = self.trying.iter_mut().map(|trying| &mut trying.stake).chain([&mut self.served]);
        for stake in ending {
            let spent = stake.sized.cost(tenant, came);
            record.charged = record.charged.and(&spent);
            match &mut stake.own {
                Some(own) => own.settle(&spent, now),
                None => cost = cost.and(&spent),
            }
            if let Some(there) = &mut stake.there {
                there.settle(&spent, now);
            }
            stake.would_refuse(record);
        }
        held.settle(&cost, now);
        // Nothing at all is used where tokens are counted: that says nothing of calls and answers.
        if let (Came::Reported(usage), Some(model)) = (came, &self.served_by)
            && usage != Usage::default()
            && (tenant.counts_amounts || model.provider.counts_amounts)
        {
            let calibration = &self.relay.shared.calibration;
            let sent = record.bytes_in.saturating_sub(record.cut_bytes);
            calibration.learn_input(&model.id, sent, usage.total_input());
            // An answer that was cut short by a limit says nothing of how long others get.
            let sized = &self.served.sized;
            let lowered = sized.cap.is_some_and(|cap| cap.lowers);
            if let (End::Answered, false, Some(output)) =
                (end, lowered, usage.total_output().0.checked_div(sized.choices))
            {
                calibration.learn_output(&model.id, Tokens(output));
            }
        }
    }
}

impl End {
    fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Returned => "upstream_error",
            Self::Refused(cause) if cause.is_upstream() => "upstream_failed",
            Self::Refused(_) => "refused",
            Self::Responded(_) => "fixed_answer",
            Self::Interrupted(_) | Self::ErrorEvent(_) => "stream_interrupted",
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
