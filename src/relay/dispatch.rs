//! The walk over the candidates: each gets room, then a try, until one answers; after a while, once more.

use std::pin::pin;
use std::sync::Arc;

use http::HeaderMap;
use smallvec::SmallVec;

use super::Relay;
use super::attempt::Answer;
use super::call::Call;
use super::candidate::{self, COOLING_DOWN, Fitted, Unfit, Unwell, Well};
use super::exhausted::Exhausted;
use super::receive::Asked;
use super::refusal::Refusal;
use super::route::Candidates;
use super::timers::Late;
use crate::clock::Instant;
use crate::dialect::neutral::Losses;
use crate::limits::Exceeded;
use crate::policy::snapshot::{Model, OnAllOpen, Principal, Target, Timeouts};

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
    /// What of the request was not carried over into the dialect of whoever answered.
    pub(super) lost: Losses,
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
            loop {
                match walk.one(call, least_bad).await {
                    Step::Found(found) => return Ok(Walked::Found(found)),
                    Step::SameCandidate => {}
                    Step::NextCandidate | Step::Over => break,
                }
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
    pub(super) reach: usize,
    pub(super) max_attempts: u32,
    round: u32,
    /// Candidates that the call does not go to again.
    pub(super) left: SmallVec<[usize; 4]>,
    /// Candidates that were tried in this round already, beside another.
    asked_too: SmallVec<[usize; 1]>,
    /// Providers that it was tried at, by where they are in memory.
    tried: SmallVec<[usize; 4]>,
    /// Keys that are not there: candidate and key.
    pub(super) missing: SmallVec<[(usize, usize); 1]>,
    /// Candidates that asked to be left alone, and until when. Others may not have to: it is no cool-down.
    pub(super) put_off: SmallVec<[(usize, Instant); 1]>,
    /// The largest window that was too small.
    pub(super) too_small: Option<u64>,
    /// A candidate that is tried though its breaker is open.
    forced: Option<usize>,
    /// Whether another round may do better.
    pub(super) again: bool,
    pub(super) met: Exhausted,
}

impl<'a> Walk<'a> {
    pub(super) fn new(call: &Call, way: Way<'a>) -> Self {
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

    pub(super) fn target(&self, at: usize) -> Option<&'a Target> {
        target(self.way.candidates, at)
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
        if !self.may_retry(call, &to.model, &well, now.instant) {
            return Step::NextCandidate;
        }
        let (under_way, attempt) = self.begins(call, at, to, fitted, well, (stake, key), now.instant);
        let first = pin!(attempt.run());
        let Some(patience) = self.patience(call, &under_way) else {
            let outcome = first.await;
            return self.ends(call, under_way, &attempt, outcome);
        };
        let mut first = first;
        let timers = &self.way.relay.timers;
        let outcome = match timers.until(now.instant + patience, first.as_mut()).await {
            Ok(outcome) => outcome,
            // Boxed: it is rare, and every call would carry its room.
            Err(Late) => return Box::pin(self.hedged(call, under_way, &attempt, first)).await,
        };
        self.ends(call, under_way, &attempt, outcome)
    }

    /// Whether a candidate is to be tried now. Takes nothing of any limit; a place among a breaker's probes, and a turn of
    /// the keys.
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
        Ok((fitted, well))
    }

    /// Until when a candidate asked to be left alone, if it did.
    fn put_off_until(&self, at: usize) -> Option<Instant> {
        self.put_off.iter().filter(|(candidate, _)| *candidate == at).map(|(_, until)| *until).max()
    }

    /// Counts a try that has room in its provider's retry budget: the first of a call adds to it, each further one takes
    /// from it. False, and noted, where nothing is left.
    pub(super) fn may_retry(&mut self, call: &mut Call, model: &Model, well: &Well, now: Instant) -> bool {
        let Some(health) = &well.health else { return true };
        let provider = Arc::as_ptr(&health.provider).addr();
        if !self.tried.contains(&provider) {
            self.tried.push(provider);
            health.provider.budget.call(now);
            return true;
        }
        let may = health.provider.budget.take(now);
        if !may {
            call.passes_over(model, "retry_budget", now);
        }
        may
    }

    /// The candidate whose breaker is open and closes first, where nothing else was left to try and the policy wants
    /// that one tried.
    pub(super) fn least_bad(&mut self, call: &Call) -> Option<usize> {
        let Way { relay, candidates, .. } = self.way;
        let probes = candidates.route.on_all_open == OnAllOpen::Probe;
        if !probes || self.forced.is_some() || call.attempts() >= self.max_attempts || !self.met.all_open() {
            return None;
        }
        let now = relay.clock.now();
        let closes = |at: usize| {
            let model = &self.target(at).filter(|_| !self.left.contains(&at))?.model;
            Some((candidate::known(relay, model)?.breaker.retry_at(now)?, at))
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

    /// Notes that a candidate was tried beside another.
    pub(super) fn asks_too(&mut self, at: usize) {
        self.asked_too.push(at);
    }

    /// It has another key with which it may be tried when its turn comes.
    pub(super) fn may_ask_again(&mut self, at: usize) {
        self.asked_too.retain(|asked| *asked != at);
    }

    /// Candidates behind this one, in order.
    pub(super) fn behind(&self, at: usize) -> impl Iterator<Item = (usize, &'a Target)> + use<'a> {
        let (candidates, reach) = (self.way.candidates, self.reach);
        (at + 1..reach).filter_map(move |at| Some((at, target(candidates, at)?)))
    }

    /// Whether another try may begin.
    pub(super) fn has_tries_left(&self, call: &Call) -> bool {
        call.attempts() < self.max_attempts
    }

    pub(super) fn exhausted(mut self, call: &Call) -> Result<Walked, Refusal> {
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

/// The candidate of this place in the order.
fn target(candidates: &Candidates, at: usize) -> Option<&Target> {
    candidates.route.targets.get(*candidates.order.get(at)?)
}
