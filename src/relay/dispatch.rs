//! The walk over the candidates: each gets room, then a try, until one answers; after a while, once more.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use http::HeaderMap;
use smallvec::SmallVec;

use super::attempt::{Answer, Attempt, Lost, Waited};
use super::call::{Call, Stake, TryId};
use super::candidate::{self, COOLING_DOWN, Fitted, Unfit, Unwell, Well};
use super::charge::Sized;
use super::exhausted::Exhausted;
use super::outcome::{Failure, Mark, Next};
use super::receive::Asked;
use super::refusal::Refusal;
use super::route::Candidates;
use super::timers::Late;
use super::{Relay, admit, clamp, lease, report};
use crate::clock::{Instant, Now};
use crate::limits::{Each, Exceeded, Lack, Reservation};
use crate::policy::snapshot::{Model, OnAllOpen, OnContextOverflow, Principal, Strategy, Target, Timeouts};
use crate::resilience::breaker::Pass;
use crate::resilience::cooldown;
use crate::resilience::health::TargetHealth;
use crate::resilience::latency::{InFlight, Latency};

/// What the walk found.
pub(super) struct Dispatched {
    pub(super) answer: Answer,
    pub(super) target: Arc<Model>,
    pub(super) attempts: u32,
    /// How long the rest of the answer is waited for.
    pub(super) timeouts: Timeouts,
    /// When the whole call is over.
    pub(super) deadline: Instant,
    /// How many of the request's messages were left out.
    pub(super) cut_messages: u32,
}

/// What a walk came to, failures apart.
pub(super) enum Walked {
    /// An answer.
    Found(Box<Dispatched>),
    /// Nothing was tried, for no candidate had room: why, of each that could not be tried for that. Not empty.
    NoRoom(Vec<Exceeded>),
}

/// What does not change while a call looks for an answer.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) relay: &'a Relay,
    pub(super) principal: &'a Principal,
    pub(super) asked: &'a Asked,
    pub(super) from_caller: &'a HeaderMap,
    pub(super) candidates: &'a Candidates,
}

/// Tries the candidates in order, and again after a backoff, as often as the route says.
pub(super) async fn walk(call: &mut Call, way: Way<'_>) -> Result<Walked, Refusal> {
    let mut walk = Walk::new(call, way);
    loop {
        let mut at = 0;
        while at < walk.reach {
            match walk.one(call, at).await {
                Step::Found(found) => return Ok(Walked::Found(found)),
                Step::SameCandidate => {}
                Step::NextCandidate => at += 1,
                Step::Over => return walk.exhausted(call),
            }
        }
        if let Some(least_bad) = walk.least_bad(call) {
            match walk.one(call, least_bad).await {
                Step::Found(found) => return Ok(Walked::Found(found)),
                Step::SameCandidate | Step::NextCandidate | Step::Over => {}
            }
        }
        if !walk.pause(call).await {
            return walk.exhausted(call);
        }
    }
}

/// What follows the look at one candidate.
pub(super) enum Step {
    Found(Box<Dispatched>),
    /// With another key.
    SameCandidate,
    NextCandidate,
    /// The call is over.
    Over,
}

/// Where a walk stands.
pub(super) struct Walk<'a> {
    pub(super) way: Way<'a>,
    /// So many candidates come into question.
    reach: usize,
    max_attempts: u32,
    round: u32,
    /// Candidates that the call does not go to again.
    left: SmallVec<[usize; 4]>,
    /// Candidates that were tried in this round already, beside another.
    asked_too: SmallVec<[usize; 1]>,
    /// Providers that it was tried at, by where they are in memory.
    tried: SmallVec<[usize; 4]>,
    /// Keys that are not there: candidate and key.
    missing: SmallVec<[(usize, usize); 1]>,
    /// Candidates that asked to be left alone, and until when. Others may not have to: it is no cool-down.
    put_off: SmallVec<[(usize, Instant); 1]>,
    /// The largest window that was too small.
    too_small: Option<u64>,
    /// A candidate that is tried though its breaker is open.
    forced: Option<usize>,
    /// Whether another round may do better.
    again: bool,
    met: Exhausted,
}

/// A try that has begun, and what is told when it ends.
pub(super) struct UnderWay<'a> {
    /// Which candidate.
    pub(super) at: usize,
    pub(super) to: &'a Target,
    /// Which of its provider's keys.
    key: usize,
    pub(super) id: TryId,
    pub(super) health: Option<Arc<TargetHealth>>,
    pass: Option<Pass>,
    cut_messages: u32,
    begun: Instant,
    _counted: Option<InFlight>,
}

impl UnderWay<'_> {
    /// When it began.
    pub(super) fn begun(&self) -> Instant {
        self.begun
    }
}

impl<'a> Walk<'a> {
    fn new(call: &Call, way: Way<'a>) -> Self {
        let Way { asked, candidates, .. } = way;
        // An id made by one provider means nothing to another.
        let reach = if asked.facts.stateful { 1 } else { candidates.order.len() };
        Self {
            way,
            reach,
            max_attempts: candidates.route.retry.max_attempts.get().saturating_add(call.attempts()),
            round: 0,
            left: SmallVec::new(),
            asked_too: SmallVec::new(),
            tried: SmallVec::new(),
            missing: SmallVec::new(),
            put_off: SmallVec::new(),
            too_small: None,
            forced: None,
            again: false,
            met: Exhausted::new(reach == 1, candidates.deadline),
        }
    }

    fn target(&self, at: usize) -> Option<&'a Target> {
        let candidates = self.way.candidates;
        candidates.route.targets.get(*candidates.order.get(at)?)
    }

    /// Looks at one candidate and, if it comes into question, tries it.
    async fn one(&mut self, call: &mut Call, at: usize) -> Step {
        let Some(to) = self.target(at) else { return Step::NextCandidate };
        if self.left.contains(&at) || self.asked_too.contains(&at) {
            return Step::NextCandidate;
        }
        let now = self.way.relay.clock.moment();
        if now.instant >= self.way.candidates.deadline {
            return Step::Over;
        }
        if call.attempts() >= self.max_attempts {
            call.passes_over(&to.model, "max_attempts", now.instant);
            return Step::NextCandidate;
        }
        let (fitted, well) = match self.ready(call, at, to, now.instant) {
            Ok(ready) => ready,
            Err(step) => return step,
        };
        let Some((stake, key, now)) = self.admitted(call, to, &fitted, &well, now).await else {
            return Step::NextCandidate;
        };
        let (under_way, attempt) = self.begins(call, at, to, fitted, well, (stake, key), now.instant);
        let first = pin!(attempt.run());
        let Some(patience) = self.patience(call, &under_way) else {
            let outcome = first.await;
            return self.ends(call, under_way, &attempt.waited, outcome);
        };
        let mut first = first;
        let timers = &self.way.relay.timers;
        let outcome = match timers.until(now.instant + patience, first.as_mut()).await {
            Ok(outcome) => outcome,
            // Boxed: it is rare, and every call would carry its room.
            Err(Late) => return Box::pin(self.hedged(call, under_way, &attempt, first)).await,
        };
        self.ends(call, under_way, &attempt.waited, outcome)
    }

    /// Whether a candidate is to be tried now. Takes nothing of any limit.
    pub(super) fn ready(
        &mut self,
        call: &mut Call,
        at: usize,
        to: &Target,
        now: Instant,
    ) -> Result<(Fitted, Well), Step> {
        let Way { relay, principal, asked, candidates, .. } = self.way;
        let model = &to.model;
        if let (Some(small), window) = (self.too_small, model.context_tokens)
            && window.is_none_or(|window| window <= small)
        {
            call.passes_over(model, "window", now);
            self.left.push(at);
            return Err(Step::NextCandidate);
        }
        let fitted = match candidate::fits(call, principal, &candidates.route, model, asked) {
            Ok(fitted) => fitted,
            Err(Unfit { reason, refusal, is_final }) => {
                call.passes_over(model, reason, now);
                self.left.push(at);
                self.met.unfit(refusal);
                return Err(if is_final { Step::Over } else { Step::NextCandidate });
            }
        };
        let forced = self.forced == Some(at);
        if self.put_off_until(at).is_some_and(|until| now < until) {
            call.passes_over(model, COOLING_DOWN, now);
            self.met.unwell(COOLING_DOWN);
            return Err(Step::NextCandidate);
        }
        let missing = |key: usize| self.missing.contains(&(at, key));
        let well = match candidate::well(relay, model, asked.facts.stateful, missing, forced, now) {
            Ok(well) => well,
            Err(Unwell { reason, .. }) => {
                call.passes_over(model, reason, now);
                self.met.unwell(reason);
                return Err(Step::NextCandidate);
            }
        };
        if !self.may_retry(&well, now) {
            call.passes_over(model, "retry_budget", now);
            return Err(Step::NextCandidate);
        }
        Ok((fitted, well))
    }

    /// Until when a candidate asked to be left alone, if it did.
    fn put_off_until(&self, at: usize) -> Option<Instant> {
        self.put_off.iter().filter(|(candidate, _)| *candidate == at).map(|(_, until)| *until).max()
    }

    /// Counts the try in its provider's retry budget: the first of a call adds to it, each further one takes from it.
    fn may_retry(&mut self, well: &Well, now: Instant) -> bool {
        let Some(health) = &well.health else { return true };
        let provider = Arc::as_ptr(&health.provider).addr();
        if self.tried.contains(&provider) {
            return health.provider.budget.take(now);
        }
        self.tried.push(provider);
        health.provider.budget.call(now);
        true
    }

    /// Takes room for the try: under the tenant's limits, then under its provider's, by the first of its keys that has
    /// some. Gives the moment at which it had it, for it may have waited. None where there is none; that is noted.
    async fn admitted(
        &mut self,
        call: &mut Call,
        to: &Target,
        fitted: &Fitted,
        well: &Well,
        mut moment: Now,
    ) -> Option<(Stake, usize, Now)> {
        let Way { relay, principal, asked, candidates, .. } = self.way;
        let (target, deadline) = (&*to.model, candidates.deadline);
        let sized = fitted.sized;
        let place = (&*candidates.route, target, asked);
        let mut admitted = clamp::admit(call, principal, place, sized, moment);
        if admitted.as_ref().is_err_and(lacks_lease) {
            let ask = |call: &mut Call, now| clamp::admit(call, principal, place, sized, now);
            // Boxed: it is rare, and every call would carry its room.
            admitted = Box::pin(lease::asked_again(relay, call, deadline, ask)).await;
            moment = relay.clock.moment();
        }
        let sized = match admitted {
            Ok(sized) => sized,
            Err(exceeded) => {
                call.passes_over(target, admit::reason(&exceeded), moment.instant);
                self.met.no_room(exceeded);
                return None;
            }
        };
        let ask = |now| at_provider(relay, target, &well.keys, &sized, now);
        let mut there = ask(moment);
        if there.as_ref().is_err_and(lacks_lease) {
            let ask = |_: &mut Call, now| ask(now);
            there = Box::pin(lease::asked_again(relay, call, deadline, ask)).await;
            moment = relay.clock.moment();
        }
        match there {
            Ok((there, key)) => Some((Stake { sized, there, own: None }, key, moment)),
            Err(exceeded) => {
                let reason = match exceeded.lack {
                    Lack::Room => "provider_limit",
                    Lack::Lease | Lack::Store => admit::reason(&exceeded),
                };
                call.passes_over(target, reason, moment.instant);
                self.met.crowded(exceeded);
                None
            }
        }
    }

    /// Begins a try.
    #[expect(clippy::too_many_arguments, reason = "what the stages before it gave, each used once")]
    pub(super) fn begins(
        &self,
        call: &mut Call,
        at: usize,
        to: &'a Target,
        fitted: Fitted,
        well: Well,
        (stake, key): (Stake, usize),
        now: Instant,
    ) -> (UnderWay<'a>, Attempt<'a>) {
        let Way { relay, asked, from_caller, candidates, .. } = self.way;
        let Fitted { cut, .. } = fitted;
        let Well { health, pass, .. } = well;
        let cap = stake.sized.cap;
        let (id, traceparent) = call.tries(&to.model, stake, from_caller, now);
        let counts = candidates.route.strategy == Strategy::Fastest;
        let under_way = UnderWay {
            at,
            to,
            key,
            id,
            _counted: health.as_ref().filter(|_| counts).map(|health| self.latency(health).begin()),
            health,
            pass,
            cut_messages: cut.as_ref().map_or(0, |cut| cut.messages),
            begun: now,
        };
        call.sends_cut(cut.as_ref().map_or(0, |cut| cut.bytes));
        let provider = &to.model.provider;
        let attempt = Attempt {
            relay,
            asked,
            from_caller,
            traceparent,
            target: to,
            key: provider.keys.get(key).unwrap_or(&provider.keys[0]),
            key_version: AtomicU64::new(0),
            cap,
            cut,
            begun: now,
            deadline: candidates.deadline,
            observed: call.is_traced(),
            waited: Waited::default(),
        };
        (under_way, attempt)
    }

    /// Ends a try: with what its caller gets, or on to what follows.
    pub(super) fn ends(
        &mut self,
        call: &mut Call,
        under_way: UnderWay<'a>,
        waited: &Waited,
        outcome: Result<Answer, Lost>,
    ) -> Step {
        let after = self.way.relay.clock.moment();
        call.waited_for_providers(waited.of(after.instant - under_way.begun));
        match outcome {
            Ok(answer) => Step::Found(self.found(call, under_way, waited, answer, after)),
            Err(lost) => self.lost(call, under_way, lost, after),
        }
    }

    fn found(
        &self,
        call: &mut Call,
        under_way: UnderWay<'a>,
        waited: &Waited,
        answer: Answer,
        after: Now,
    ) -> Box<Dispatched> {
        let UnderWay { to, id, health, pass, cut_messages, .. } = under_way;
        call.written(id, after);
        // Of an answer that goes on its end is judged too.
        let pass = pass.and_then(|mut pass| {
            if answer.goes_on() {
                pass.begins(after.instant);
                return Some(pass);
            }
            pass.succeeded(after.instant);
            None
        });
        if let (Some(health), Some(first)) = (&health, waited.first()) {
            self.learns(health, first, after.instant);
        }
        call.answered(id, answer.status, answer.streams(), pass, after);
        let deadline = self.way.candidates.deadline;
        Box::new(Dispatched {
            answer,
            target: Arc::clone(&to.model),
            attempts: call.attempts(),
            timeouts: to.timeouts,
            deadline,
            cut_messages,
        })
    }

    /// Notes a failed try: what it cost, what is learned of whoever was tried, and where the call goes.
    pub(super) fn lost(&mut self, call: &mut Call, under_way: UnderWay<'a>, lost: Lost, after: Now) -> Step {
        let Way { relay, asked, candidates, .. } = self.way;
        let UnderWay { at, to, key, id, health, pass, .. } = under_way;
        let (failure, now) = (lost.failure, after.instant);
        if failure.written() {
            call.written(id, after);
        }
        call.failed(id, failure, after);
        report::lost(relay, &to.model, &lost, now);
        let (next, mark) = failure.follows();
        self.marks(health.as_deref(), to, key, pass, mark, &lost, now);
        if failure == Failure::KeyMissing {
            self.missing.push((at, key));
        }
        if let (Next::Candidate, Some(wait)) = (next, lost.retry_after) {
            self.put_off.push((at, now + cooldown::wait(Some(wait))));
        }
        self.met.lost(lost, &to.model, to.timeouts);
        if now >= candidates.deadline || (asked.facts.stateful && failure.written()) {
            return Step::Over;
        }
        match next {
            Next::Candidate => {
                self.again = true;
                Step::NextCandidate
            }
            Next::Key => {
                // Of a key that only cools down, the candidate may be tried again when it has.
                self.again |= mark == Mark::CoolsDown;
                let more = to.model.provider.keys.len() > 1 && !asked.facts.stateful;
                if more { Step::SameCandidate } else { Step::NextCandidate }
            }
            Next::Other => {
                self.left.push(at);
                Step::NextCandidate
            }
            Next::LargerWindow => {
                self.left.push(at);
                if candidates.route.on_context_overflow == Some(OnContextOverflow::Reject) {
                    return Step::Over;
                }
                let window = to.model.context_tokens.unwrap_or(u64::MAX);
                self.too_small = self.too_small.max(Some(window));
                Step::NextCandidate
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one row of the table, and whom it is about")]
    fn marks(
        &self,
        health: Option<&TargetHealth>,
        to: &Target,
        key: usize,
        pass: Option<Pass>,
        mark: Mark,
        lost: &Lost,
        now: Instant,
    ) {
        match (mark, pass) {
            (Mark::Ill, Some(pass)) => pass.failed(now),
            (Mark::Well, Some(pass)) => pass.succeeded(now),
            (_, pass) => drop(pass),
        }
        let (Some(health), Some(key)) = (health, to.model.provider.keys.get(key)) else { return };
        match mark {
            Mark::Well | Mark::Ill | Mark::Nothing => {}
            Mark::CoolsDown => {
                health.cooldowns.set(&key.name, now + cooldown::wait(lost.retry_after));
            }
            Mark::KeyForbidden => health.forbidden.set(&key.name, now + cooldown::FORBIDDEN),
            Mark::KeyRefused => {
                if let Some(known) = health.provider.key(&key.name) {
                    known.refused(lost.key_version, now);
                }
            }
            Mark::KeySpent => {
                if let Some(known) = health.provider.key(&key.name) {
                    known.spent(lost.key_version, now);
                }
            }
        }
    }

    /// The candidate whose breaker is open and closes first, where nothing else was left to try and the policy wants
    /// that one tried.
    fn least_bad(&mut self, call: &Call) -> Option<usize> {
        let Way { relay, candidates, .. } = self.way;
        let probes = candidates.route.on_all_open == OnAllOpen::Probe;
        if !probes || self.forced.is_some() || call.attempts() >= self.max_attempts || !self.met.all_open() {
            return None;
        }
        let now = relay.clock.now();
        let closes = |at: usize| {
            let model = &self.target(at).filter(|_| !self.left.contains(&at))?.model;
            Some((relay.shared.health.target(&model.id)?.breaker.retry_at(now)?, at))
        };
        let (_, at) = (0..self.reach).filter_map(closes).min()?;
        self.forced = Some(at);
        Some(at)
    }

    /// Waits before the candidates are gone through again. False where that makes no sense, or would take too long.
    async fn pause(&mut self, call: &mut Call) -> bool {
        let Way { relay, candidates, .. } = self.way;
        if !std::mem::take(&mut self.again) || call.attempts() >= self.max_attempts {
            return false;
        }
        let now = relay.clock.now();
        let backoff = candidates.route.retry.backoff;
        let jitter = backoff.wait(self.round, &relay.random);
        let Some(soonest) = self.soonest(now) else { return false };
        let until = soonest.max(now + jitter);
        if soonest > now + backoff.max || until >= candidates.deadline {
            return false;
        }
        tokio::time::sleep_until(until).await;
        call.waits(now);
        self.round += 1;
        self.asked_too.clear();
        true
    }

    /// Which of a target's times are asked for: streams begin, plain answers end.
    pub(super) fn latency<'h>(&self, health: &'h TargetHealth) -> &'h Arc<Latency> {
        if self.way.asked.facts.stream { &health.first_token } else { &health.answer }
    }

    fn learns(&self, health: &TargetHealth, first: Duration, now: Instant) {
        let route = &self.way.candidates.route;
        if route.strategy == Strategy::Fastest || route.hedge.is_some() {
            self.latency(health).observe(first, now);
        }
    }

    /// Notes that a candidate was tried beside another.
    pub(super) fn asks_too(&mut self, at: usize) {
        self.asked_too.push(at);
    }

    /// Candidates behind this one, in order.
    pub(super) fn behind(&self, at: usize) -> impl Iterator<Item = (usize, &'a Target)> + use<'a> {
        let (candidates, reach) = (self.way.candidates, self.reach);
        let target = |at: usize| candidates.route.targets.get(*candidates.order.get(at)?);
        (at + 1..reach).filter_map(move |at| Some((at, target(at)?)))
    }

    /// Whether another try may begin.
    pub(super) fn has_tries_left(&self, call: &Call) -> bool {
        call.attempts() < self.max_attempts
    }

    fn exhausted(mut self, call: &Call) -> Result<Walked, Refusal> {
        let now = self.way.relay.clock.now();
        // Where one of them may be tried at once, there is no moment to name.
        let soonest = self.soonest(now).filter(|at| now < *at);
        self.met.may_be_tried(soonest);
        let Self { way, met, .. } = self;
        let responds = way.candidates.route.on_exhausted.is_some();
        met.answer(call.attempts(), responds, now)
    }

    /// When the first of the candidates may be tried again; none where none comes into question any more.
    fn soonest(&self, now: Instant) -> Option<Instant> {
        let available = |at: usize| {
            let available = candidate::available_at(self.way.relay, &self.target(at)?.model, now);
            Some(available.max(self.put_off_until(at)).unwrap_or(now))
        };
        (0..self.reach).filter(|at| !self.left.contains(at)).filter_map(available).min()
    }
}

/// Takes room for a try at its provider, with the first of these keys that has some.
pub(super) fn at_provider(
    relay: &Relay,
    target: &Model,
    keys: &[usize],
    sized: &Sized,
    now: Now,
) -> Result<(Option<Box<Reservation>>, usize), Exceeded> {
    let mut refused = None;
    for at in keys {
        let key = target.provider.keys.get(*at).map(|key| &key.name);
        match admit::at_provider(&relay.shared.ledger, target, key, sized.amounts, now) {
            Ok(held) => return Ok((held, *at)),
            Err(exceeded) => {
                // Only what each key has for itself may another one have.
                let of_key = exceeded.rule.each == Some(Each::Key);
                refused = Some(exceeded);
                if !of_key {
                    break;
                }
            }
        }
    }
    match refused {
        Some(exceeded) => Err(exceeded),
        None => Ok((None, 0)),
    }
}

fn lacks_lease(exceeded: &Exceeded) -> bool {
    exceeded.lack == Lack::Lease
}
