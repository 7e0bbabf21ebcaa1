//! What a walk has met, and what its caller hears when nobody answered (DESIGN section 7).

use std::sync::Arc;
use std::time::Duration;

use super::attempt::{Answer, Lost};
use super::candidate::{BREAKER_OPEN, KEY_REFUSED};
use super::dispatch::{Dispatched, Walked};
use super::outcome::{ErrorClass, Failure};
use super::refusal::{Refusal, spoken_wait};
use super::{admit, window};
use crate::clock::Instant;
use crate::dialect::error::Cause;
use crate::dialect::neutral::Losses;
use crate::limits::{Exceeded, Lack};
use crate::policy::snapshot::{Model, Timeouts};

/// What a walk has met so far. What is rare is boxed: every call would carry its room.
pub(super) struct Exhausted {
    /// Whether there is one candidate only: then its own words are what its caller hears.
    alone: bool,
    deadline: Instant,
    last: Option<Failure>,
    any_but_key: bool,
    any_but_context: bool,
    /// What is said of a call that is too long, where its provider said so without an error that may be passed on.
    too_long: Option<Box<Refusal>>,
    /// The provider's own error.
    error: Option<Box<Heard>>,
    /// When somebody may be tried again.
    soonest: Option<Instant>,
    /// Candidates that were left alone: whether one for its breaker, and whether one for anything but its keys.
    open: bool,
    unwell: bool,
    unwell_but_for_key: bool,
    exceeded: Vec<Exceeded>,
    /// The shortest wait for a provider that has reached a limit of its own.
    crowded: Option<Duration>,
    unfit: Option<Box<Refusal>>,
}

/// A provider's own error, which the caller may hear.
struct Heard {
    answer: Box<Answer>,
    target: Arc<Model>,
    timeouts: Timeouts,
}

impl Exhausted {
    pub(super) fn new(alone: bool, deadline: Instant) -> Self {
        Self {
            alone,
            deadline,
            last: None,
            any_but_key: false,
            any_but_context: false,
            too_long: None,
            error: None,
            soonest: None,
            open: false,
            unwell: false,
            unwell_but_for_key: false,
            exceeded: Vec::new(),
            crowded: None,
            unfit: None,
        }
    }

    /// A try failed.
    pub(super) fn lost(&mut self, lost: Lost, target: &Arc<Model>, timeouts: Timeouts) {
        let Lost { failure, error, .. } = lost;
        self.last = Some(failure);
        self.any_but_key |= !failure.is_our_key();
        let is_too_long = matches!(failure, Failure::Error(ErrorClass::ContextTooLong, _));
        self.any_but_context |= !is_too_long;
        self.too_long = is_too_long.then(|| Box::new(window::too_long(target)));
        // Never its words about our key, whatever they are: the caller would change a good one. Nor a redirect.
        let of_key = failure.status().is_some_and(|status| matches!(status.as_u16(), 401 | 403));
        let may_be_heard = matches!(failure, Failure::Error(..)) && !failure.is_our_key() && !of_key;
        let heard = error.filter(|_| may_be_heard);
        self.error = heard.map(|answer| Box::new(Heard { answer, target: Arc::clone(target), timeouts }));
    }

    /// A candidate was left alone.
    pub(super) fn unwell(&mut self, reason: &'static str) {
        self.unwell = true;
        self.open |= reason == BREAKER_OPEN;
        self.unwell_but_for_key |= reason != KEY_REFUSED;
    }

    /// When somebody may be tried again; none where somebody may be now.
    pub(super) fn may_be_tried(&mut self, at: Option<Instant>) {
        self.soonest = at;
    }

    /// The call does not fit at a candidate; the first one's word is kept.
    pub(super) fn unfit(&mut self, refusal: Refusal) {
        self.unfit.get_or_insert_with(|| Box::new(refusal));
    }

    /// The tenant's limits had no room for it at a candidate.
    pub(super) fn no_room(&mut self, exceeded: Exceeded) {
        self.exceeded.push(exceeded);
    }

    /// A candidate's provider had none.
    pub(super) fn crowded(&mut self, exceeded: Exceeded) {
        match (exceeded.lack, admit::wait(&exceeded)) {
            (Lack::Lease | Lack::Store, _) => self.exceeded.push(exceeded),
            (Lack::Room, Some(wait)) => {
                self.crowded = Some(self.crowded.map_or(wait, |other| other.min(wait)));
            }
            (Lack::Room, None) => {
                self.unfit.get_or_insert_with(|| Box::new(admit::too_large()));
            }
        }
    }

    /// Whether nobody was tried, and it was a breaker that kept somebody from it.
    pub(super) fn all_open(&self) -> bool {
        self.open && self.last.is_none()
    }

    /// What is left to say, after so many tries. `responds`: the policy has an answer of its own for it.
    pub(super) fn answer(mut self, attempts: u32, responds: bool, now: Instant) -> Result<Walked, Refusal> {
        let own_words = self.alone && !responds || !self.any_but_context;
        if let Some(error) = self.error.take_if(|_| own_words) {
            let Heard { answer, target, timeouts } = *error;
            let deadline = self.deadline;
            let found = Dispatched {
                answer: *answer,
                target,
                attempts,
                timeouts,
                deadline,
                cut_messages: 0,
                lost: Losses::default(),
            };
            return Ok(Walked::Found(Box::new(found)));
        }
        let Some(last) = self.last else { return self.untried(now) };
        // Inside a 200 it has no status of its own: its caller must not take it for something to be tried again.
        if let Some(refusal) = self.too_long.take_if(|_| !self.any_but_context) {
            return Err(refusal.after(attempts));
        }
        // Nobody knows when a key will be mended.
        let soonest = self.soonest.filter(|_| self.any_but_key);
        let wait = soonest.map(|at| at.saturating_duration_since(now));
        let refusal = if !self.any_but_key {
            our_key()
        } else if last.is_timeout() {
            Refusal::new(Cause::UpstreamTimeout, "The provider did not answer in time.")
        } else if self.alone && last.is_nonsense() {
            Refusal::new(Cause::UpstreamFailed, "The provider's answer broke off or was none.")
        } else {
            none_available()
        };
        let refusal = match (attempts, wait) {
            (1, Some(wait)) => refusal.retry_after(wait),
            (1, None) => refusal,
            // We have tried for the caller: its SDK's own retries would multiply ours.
            (_, Some(wait)) => refusal.never_retry().known_wait(wait),
            (_, None) => refusal.never_retry(),
        };
        Err(refusal.after(attempts).exhausted())
    }

    /// Nobody was tried.
    fn untried(self, now: Instant) -> Result<Walked, Refusal> {
        // Where a provider is crowded, the caller's own limits had room for it.
        if let Some(wait) = self.crowded {
            return Err(admit::crowded(wait).exhausted());
        }
        if !self.exceeded.is_empty() {
            return Ok(Walked::NoRoom(self.exceeded));
        }
        if now >= self.deadline {
            return Err(
                Refusal::new(Cause::UpstreamTimeout, "No provider could be asked in time.").exhausted()
            );
        }
        if !self.unwell {
            return Err(self.unfit.map_or_else(none_available, |unfit| *unfit));
        }
        if !self.unwell_but_for_key {
            return Err(our_key().never_retry().exhausted());
        }
        let wait = self.soonest.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        let message =
            format!("No provider is available for this model now. Try again in {}.", spoken_wait(wait));
        Err(Refusal::new(Cause::NoProviderAvailable, message).retry_after(wait).exhausted())
    }
}

fn our_key() -> Refusal {
    let message = "No provider accepts egret's own key for it. This is for the platform team to mend.";
    Refusal::new(Cause::UpstreamAuthFailed, message)
}

/// What is said where nothing else is.
pub(super) fn none_available() -> Refusal {
    Refusal::new(Cause::NoProviderAvailable, "No provider is available for this model now.")
}
