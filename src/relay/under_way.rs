//! A try under way: what it takes with it, and what follows from its end for the call and for whoever was tried.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::attempt::{Answer, Attempt, Lost, Waited};
use super::call::Call;
use super::candidate::{Fitted, Well};
use super::dispatch::{Dispatched, Step, Walk, Way};
use super::outcome::{Failure, Mark, Next};
use super::report;
use super::tries::{Stake, TryId};
use crate::clock::{Instant, Now};
use crate::policy::snapshot::{OnContextOverflow, Strategy, Target};
use crate::resilience::breaker::Pass;
use crate::resilience::cooldown;
use crate::resilience::health::TargetHealth;
use crate::resilience::latency::{InFlight, Latency};

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
    /// What of the request's messages was left out: how many, of how many bytes.
    cut: (u32, usize),
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
        let Fitted { cut, crossing, .. } = fitted;
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
            cut: cut.as_ref().map_or((0, 0), |cut| (cut.messages, cut.bytes)),
            begun: now,
        };
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
            crossing,
            id: call.id,
            created: call.began().as_second(),
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
        attempt: &Attempt<'_>,
        outcome: Result<Answer, Lost>,
    ) -> Step {
        let after = self.way.relay.clock.moment();
        call.waited_for_providers(attempt.waited.of(after.instant - under_way.begun));
        match outcome {
            Ok(answer) => Step::Found(self.found(call, under_way, attempt, answer, after)),
            Err(lost) => self.lost(call, under_way, attempt, lost, after),
        }
    }

    fn found(
        &self,
        call: &mut Call,
        under_way: UnderWay<'a>,
        attempt: &Attempt<'_>,
        answer: Answer,
        after: Now,
    ) -> Box<Dispatched> {
        let UnderWay { to, id, health, pass, cut: (cut_messages, cut_bytes), .. } = under_way;
        call.written(id, after);
        call.sent_without(cut_bytes);
        // Of an answer that goes on its end is judged too.
        let pass = pass.and_then(|mut pass| {
            if answer.goes_on() {
                pass.begins(after.instant);
                return Some(pass);
            }
            pass.succeeded(after.instant);
            None
        });
        if let (Some(health), Some(first)) = (&health, attempt.waited.first()) {
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
            lost: attempt.crossing.as_ref().map(|crossing| crossing.lost.clone()).unwrap_or_default(),
        })
    }

    /// Notes a failed try: what it cost, what is learned of whoever was tried, and where the call goes.
    pub(super) fn lost(
        &mut self,
        call: &mut Call,
        under_way: UnderWay<'a>,
        attempt: &Attempt<'_>,
        lost: Lost,
        after: Now,
    ) -> Step {
        let Way { relay, asked, candidates, .. } = self.way;
        let UnderWay { at, to, key, id, health, pass, .. } = under_way;
        let failure = if attempt.waited.is_handed_over() { lost.failure } else { lost.failure.unsent() };
        let (lost, now) = (Lost { failure, ..lost }, after.instant);
        if failure.written() {
            call.written(id, after);
        }
        call.failed(id, failure, after);
        report::lost(relay, &to.model, &lost, now);
        let (next, mark) = failure.follows();
        let version = attempt.key_version.load(Ordering::Relaxed);
        marks(health.as_deref(), (to, key, version), pass, mark, lost.retry_after, now);
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

    fn learns(&self, health: &TargetHealth, first: Duration, now: Instant) {
        let route = &self.way.candidates.route;
        if route.strategy == Strategy::Fastest || route.hedge.is_some() {
            self.latency(health).observe(first, now);
        }
    }

    /// Which of a target's times are asked for: streams begin, plain answers end.
    pub(super) fn latency<'h>(&self, health: &'h TargetHealth) -> &'h Arc<Latency> {
        if self.way.asked.facts.stream { &health.first_token } else { &health.answer }
    }
}

/// Tells whoever was tried, with a key whose secret was of this version, what a failure means for them.
fn marks(
    health: Option<&TargetHealth>,
    (to, key, version): (&Target, usize, u64),
    pass: Option<Pass>,
    mark: Mark,
    retry_after: Option<Duration>,
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
            health.cooldowns.set(&key.name, now + cooldown::wait(retry_after));
        }
        Mark::KeyForbidden => health.forbidden.set(&key.name, now + cooldown::FORBIDDEN),
        Mark::KeyRefused => {
            if let Some(known) = health.provider.key(&key.name) {
                known.refused(version, now);
            }
        }
        Mark::KeySpent => {
            if let Some(known) = health.provider.key(&key.name) {
                known.spent(version, now);
            }
        }
    }
}
