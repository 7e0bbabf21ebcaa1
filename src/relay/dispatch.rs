//! The walk over the candidates: each gets room, then a try, until one answers.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use super::attempt::{Answer, Attempt, Lost, Waited};
use super::call::Call;
use super::outcome::Failure;
use super::receive::Asked;
use super::refusal::Refusal;
use super::route::Candidates;
use super::{Relay, admit, clamp, lease, shape};
use crate::clock::Instant;
use crate::dialect::error::Cause;
use crate::limits::{Exceeded, Lack};
use crate::policy::snapshot::{Model, Principal, Timeouts};

/// What the walk found.
pub(super) struct Dispatched {
    pub(super) answer: Answer,
    pub(super) target: Arc<Model>,
    pub(super) attempts: u32,
    pub(super) timeouts: Timeouts,
    /// How long the whole call may take.
    pub(super) total: Duration,
}

/// What a walk came to, failures apart.
pub(super) enum Walked {
    /// An answer.
    Found(Box<Dispatched>),
    /// Nothing was tried, for no candidate had room: why, of each that could not be tried for that. Not empty.
    NoRoom(Vec<Exceeded>),
}

/// Tries the candidates in order.
pub(super) async fn walk(
    relay: &Relay,
    call: &mut Call,
    principal: &Principal,
    asked: &Asked,
    from_caller: &HeaderMap,
    candidates: &Candidates,
) -> Result<Walked, Refusal> {
    let total = candidates.route.total;
    let deadline = call.started + total;
    // An id made by one provider means nothing to another.
    let reach = if asked.facts.stateful { 1 } else { candidates.order.len() };
    let mut walk = Walk::default();
    for to in candidates.targets().take(reach) {
        let (target, timeouts) = (&to.model, to.timeouts);
        let mut moment = relay.clock.moment();
        let now = moment.instant;
        if let Err(refusal) = shape::check_fields(asked, target) {
            call.passes_over(target, refusal.cause().code(), now);
            walk.unfit.get_or_insert(refusal);
            continue;
        }
        let Some(sized) = call.size(principal, &candidates.route, target, asked) else {
            call.passes_over(target, "unpriced", now);
            walk.unfit.get_or_insert_with(|| unpriced(target));
            continue;
        };
        let to = (&*candidates.route, &**target, asked);
        let mut admitted = clamp::admit(call, principal, to, sized, moment);
        if admitted.as_ref().is_err_and(lacks_lease) {
            let ask = |call: &mut Call, now| clamp::admit(call, principal, to, sized, now);
            // Boxed: it is rare, and every call would carry its room.
            admitted = Box::pin(lease::asked_again(relay, call, deadline, ask)).await;
            moment = relay.clock.moment();
        }
        let sized = match admitted {
            Ok(sized) => sized,
            Err(exceeded) => {
                call.passes_over(target, admit::reason(&exceeded), moment.instant);
                walk.exceeded.push(exceeded);
                continue;
            }
        };
        let ledger = &relay.shared.ledger;
        let mut there = admit::at_provider(ledger, target, sized.amounts, moment);
        if there.as_ref().is_err_and(lacks_lease) {
            let ask = |_: &mut Call, now| admit::at_provider(ledger, target, sized.amounts, now);
            there = Box::pin(lease::asked_again(relay, call, deadline, ask)).await;
            moment = relay.clock.moment();
        }
        // After whatever it waited for.
        let now = moment.instant;
        match there {
            Ok(held) => call.held_there = held,
            Err(exceeded) => {
                match exceeded.lack {
                    Lack::Room => {
                        call.passes_over(target, "provider_limit", now);
                        walk.crowded(&exceeded);
                    }
                    Lack::Lease | Lack::Store => {
                        call.passes_over(target, admit::reason(&exceeded), now);
                        walk.exceeded.push(exceeded);
                    }
                }
                continue;
            }
        }
        let attempt = Attempt {
            relay,
            asked,
            from_caller,
            traceparent: call.tries(target, sized, from_caller, now),
            cap: sized.cap,
            target,
            timeouts,
            begun: now,
            deadline,
            keep_error: reach == 1,
            observed: call.is_traced(),
            waited: Waited::default(),
        };
        let outcome = attempt.run().await;
        let after = relay.clock.moment();
        let ended = after.instant;
        let waited = attempt.waited.of(ended - now);
        if outcome.as_ref().err().is_none_or(|lost| lost.failure.written()) {
            call.written(after);
        }
        walk.attempts += 1;
        match outcome {
            Ok(answer) => {
                call.tried(None, Some(answer.status), answer.streams(), waited, ended);
                return Ok(walk.found(answer, target, timeouts, total));
            }
            Err(lost) => {
                call.tried(Some(lost.failure), lost.failure.status(), false, waited, ended);
                call.charge(lost.failure.came(), after);
                report(relay, target, &lost, ended);
                walk.lost(lost, target, timeouts);
            }
        }
        if ended >= deadline {
            break;
        }
    }
    walk.exhausted(total)
}

/// What the walk has met so far.
#[derive(Default)]
struct Walk {
    attempts: u32,
    last: Option<Failure>,
    any_but_key: bool,
    shortest_wait: Option<Duration>,
    /// The provider's own error, where there is no other candidate.
    error: Option<(Box<Answer>, Arc<Model>, Timeouts)>,
    exceeded: Vec<Exceeded>,
    /// The shortest wait for a provider that has reached a limit of its own.
    crowded: Option<Duration>,
    unfit: Option<Refusal>,
}

impl Walk {
    fn lost(&mut self, lost: Lost, target: &Arc<Model>, timeouts: Timeouts) {
        self.last = Some(lost.failure);
        self.any_but_key |= !lost.failure.is_our_key();
        self.shortest_wait = match (self.shortest_wait, lost.retry_after) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.error = lost.error.map(|answer| (answer, Arc::clone(target), timeouts));
    }

    /// A candidate's provider has reached a limit.
    fn crowded(&mut self, exceeded: &Exceeded) {
        match admit::wait(exceeded) {
            Some(wait) => self.crowded = Some(self.crowded.map_or(wait, |other| other.min(wait))),
            None => {
                self.unfit.get_or_insert_with(admit::too_large);
            }
        }
    }

    fn found(&self, answer: Answer, target: &Arc<Model>, timeouts: Timeouts, total: Duration) -> Walked {
        let target = Arc::clone(target);
        Walked::Found(Box::new(Dispatched { answer, target, attempts: self.attempts, timeouts, total }))
    }

    /// No candidate answered: why, in the caller's terms (DESIGN section 7).
    fn exhausted(mut self, total: Duration) -> Result<Walked, Refusal> {
        if let Some((answer, target, timeouts)) = self.error.take() {
            return Ok(self.found(*answer, &target, timeouts, total));
        }
        let Some(last) = self.last else {
            // Where a provider is crowded, the caller's own limits had room for it.
            if let Some(wait) = self.crowded {
                return Err(admit::crowded(wait));
            }
            if !self.exceeded.is_empty() {
                return Ok(Walked::NoRoom(self.exceeded));
            }
            return Err(self.unfit.unwrap_or_else(none_available));
        };
        let refusal = if !self.any_but_key {
            let message =
                "No provider accepts egret's own key for it. This is for the platform team to mend.";
            Refusal::new(Cause::UpstreamAuthFailed, message)
        } else if last.is_timeout() {
            Refusal::new(Cause::UpstreamTimeout, "The provider did not answer in time.")
        } else if self.attempts == 1 && last.is_nonsense() {
            Refusal::new(Cause::UpstreamFailed, "The provider's answer broke off or was none.")
        } else {
            none_available()
        };
        let refusal = match (self.attempts, self.shortest_wait) {
            (1, Some(wait)) => refusal.retry_after(wait),
            (1, None) => refusal,
            // We have tried for the caller: its SDK's own retries would multiply ours.
            _ => refusal.never_retry(),
        };
        Err(refusal.after(self.attempts))
    }
}

fn lacks_lease(exceeded: &Exceeded) -> bool {
    exceeded.lack == Lack::Lease
}

fn unpriced(target: &Model) -> Refusal {
    let message = format!(
        "What calls may cost is limited, and the policy has no price for the model `{}` today.",
        target.id
    );
    Refusal::new(Cause::NoProviderAvailable, message).never_retry()
}

pub(super) fn none_available() -> Refusal {
    Refusal::new(Cause::NoProviderAvailable, "No provider is available for this model now.")
}

fn report(relay: &Relay, target: &Model, lost: &Lost, now: Instant) {
    let (provider, model, outcome) = (&target.provider.id, &target.id, lost.failure.name());
    let Some(unsaid) = relay.shared.warnings.due(provider, outcome, now) else { return };
    let status = lost.failure.status().map(|status| status.as_u16());
    if lost.failure == Failure::KeyMissing {
        tracing::error!(%provider, %model, outcome, unsaid, "a provider's key is missing");
    } else if lost.failure.is_our_key() {
        tracing::error!(%provider, %model, outcome, status, unsaid, "a provider does not accept our key");
    } else if let Some(cause) = &lost.cause {
        let error = cause as &dyn Error;
        tracing::warn!(%provider, %model, outcome, error, unsaid, "an attempt got no answer");
    } else {
        let retry_after_ms = lost.retry_after.map(|wait| wait.as_millis() as u64);
        tracing::warn!(%provider, %model, outcome, status, retry_after_ms, unsaid, "an attempt failed");
    }
}
