//! A second target asked beside the first, where that takes long. The first to answer is heard; the other is cancelled at
//! once, and both are charged what they cost.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::attempt::{Answer, Attempt, Lost};
use super::call::Call;
use super::candidate::{Fitted, Well};
use super::dispatch::{Step, Walk, Way};
use super::room::at_provider;
use super::tries::Stake;
use super::under_way::UnderWay;
use crate::clock::Now;
use crate::limits::{Ask, Reservation, Rule, Unit};
use crate::policy::snapshot::{HedgeAfter, Target};

impl<'a> Walk<'a> {
    /// How long the first target of a call is waited for alone; none where no other is to be asked.
    pub(super) fn patience(&self, call: &Call, first: &UnderWay<'a>) -> Option<Duration> {
        let Way { relay, candidates, .. } = self.way;
        let hedge = candidates.route.hedge?;
        if call.attempts() > 1 {
            return None;
        }
        // Of calls it may be done for a share; each counts once.
        relay.shared.health.route(&candidates.route.id)?.hedges.count();
        self.behind(first.at).next()?;
        match hedge.after {
            HedgeAfter::Fixed(after) => Some(after),
            HedgeAfter::P95 => self.latency(first.health.as_deref()?).p95(),
        }
    }

    /// Goes on with a first try that takes long, and asks a second target too, if one may be asked.
    pub(super) async fn hedged<F>(
        &mut self,
        call: &mut Call,
        first: UnderWay<'a>,
        attempt: &Attempt<'a>,
        mut running: Pin<&mut F>,
    ) -> Step
    where
        F: Future<Output = Result<Answer, Lost>>,
    {
        let now = self.way.relay.clock.moment();
        let Some(Second { at, to, fitted, well, stake }) = self.second(call, first.at, now) else {
            let outcome = running.await;
            return self.ends(call, first, attempt, outcome);
        };
        self.asks_too(at);
        let (second, other) = self.begins(call, at, to, fitted, well, stake, now.instant);
        // Where the second is waited for, the first was until then.
        let alone = second.begun() - first.begun();
        let mut beside = pin!(other.run());
        match either(running.as_mut(), beside.as_mut()).await {
            Either::First(Ok(answer)) => {
                self.gives_up(call, &second, &other);
                self.ends(call, first, attempt, Ok(answer))
            }
            Either::Second(Ok(answer)) => {
                call.waited_for_providers(alone);
                self.gives_up(call, &first, attempt);
                self.ends(call, second, &other, Ok(answer))
            }
            Either::First(Err(lost)) => {
                let after = self.way.relay.clock.moment();
                call.waited_for_providers(alone);
                let step = self.lost(call, first, attempt, lost, after);
                let outcome = beside.await;
                let last = self.ends(call, second, &other, outcome);
                self.both(at, step, last)
            }
            Either::Second(Err(lost)) => {
                let after = self.way.relay.clock.moment();
                let step = self.lost(call, second, &other, lost, after);
                let outcome = running.await;
                let first = self.ends(call, first, attempt, outcome);
                self.both(at, first, step)
            }
        }
    }

    /// The next candidate, with room for a try of its own beside the call's; none where there is none at once, or the
    /// route's share of such calls is used up.
    fn second(&mut self, call: &mut Call, first: usize, now: Now) -> Option<Second<'a>> {
        let Way { relay, candidates, .. } = self.way;
        if !self.has_tries_left(call) {
            return None;
        }
        let known = relay.shared.health.route(&candidates.route.id)?;
        if !known.hedges.has_one() {
            let (_, to) = self.behind(first).next()?;
            call.passes_over(&to.model, "hedge_share", now.instant);
            return None;
        }
        for (at, to) in self.behind(first) {
            let Ok((fitted, well)) = self.ready(call, at, to, now.instant) else { continue };
            let Some(stake) = self.own_stake(call, to, &fitted, &well, now) else {
                call.passes_over(&to.model, "hedge_limit", now.instant);
                continue;
            };
            if !known.hedges.take() {
                call.passes_over(&to.model, "hedge_share", now.instant);
                return None;
            }
            if !self.may_retry(call, &to.model, &well, now.instant) {
                return None;
            }
            return Some(Second { at, to, fitted, well, stake });
        }
        None
    }

    /// Room under every limit that counts tokens or money; as a call it counts once.
    fn own_stake(
        &self,
        call: &Call,
        to: &Target,
        fitted: &Fitted,
        well: &Well,
        now: Now,
    ) -> Option<(Stake, usize)> {
        let Way { relay, principal, candidates, .. } = self.way;
        let counting = principal.tenant.counting(&candidates.route.id);
        let sized = fitted.sized;
        let own = if counting.counts_amounts && call.held.is_some() {
            let rules: Arc<[Rule]> = counting.limits.iter().filter(|rule| is_sized(rule)).cloned().collect();
            let ask = Ask {
                user: principal.user.as_ref(),
                app: principal.app.as_ref(),
                key: principal.key.as_ref(),
                model: &to.model.id,
                amounts: sized.amounts,
            };
            Some(relay.shared.ledger.reserve(&rules, &ask, now).ok()?)
        } else {
            None
        };
        let (there, key) = at_provider(relay, &to.model, &well.keys, &sized, now).ok()?;
        let own: Option<Box<Reservation>> = own.map(Box::new);
        Some((Stake { sized, there, own }, key))
    }

    /// Cancels a try: another one was faster.
    fn gives_up(&self, call: &mut Call, slower: &UnderWay<'a>, attempt: &Attempt<'_>) {
        let now = self.way.relay.clock.moment();
        // Neither well nor ill: nobody knows what it would have said. It takes at least so long.
        if let Some(health) = &slower.health {
            self.latency(health).observe(now.instant - slower.begun(), now.instant);
        }
        call.hedged_away(slower.id, attempt.waited.is_handed_over(), now);
    }

    /// What follows from two tries of which one has failed at least: the walk stands at the first. Where the second has
    /// another key, it is looked at again when its turn comes.
    fn both(&mut self, second_at: usize, first: Step, second: Step) -> Step {
        match (first, second) {
            (found @ Step::Found(_), _) | (_, found @ Step::Found(_)) => found,
            (Step::Over, _) | (_, Step::Over) => Step::Over,
            (first @ (Step::SameCandidate | Step::NextCandidate), Step::NextCandidate) => first,
            (first @ (Step::SameCandidate | Step::NextCandidate), Step::SameCandidate) => {
                self.may_ask_again(second_at);
                first
            }
        }
    }
}

/// A candidate that is about to be asked beside the first.
struct Second<'a> {
    at: usize,
    to: &'a Target,
    fitted: Fitted,
    well: Well,
    /// With which of its keys.
    stake: (Stake, usize),
}

fn is_sized(rule: &Rule) -> bool {
    match rule.quota.unit() {
        Unit::Tokens | Unit::InputTokens | Unit::OutputTokens | Unit::Usd => true,
        Unit::Requests | Unit::Concurrent => false,
    }
}

enum Either<T> {
    First(T),
    Second(T),
}

/// Whichever is ready first; of both at once the first.
async fn either<T>(
    mut first: Pin<&mut impl Future<Output = T>>,
    mut second: Pin<&mut impl Future<Output = T>>,
) -> Either<T> {
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = first.as_mut().poll(cx) {
            return Poll::Ready(Either::First(output));
        }
        second.as_mut().poll(cx).map(Either::Second)
    })
    .await
}
