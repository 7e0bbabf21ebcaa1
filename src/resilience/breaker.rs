//! When a target that keeps failing is left alone, and how it comes back.
//!
//! Closed, it lets everything through and counts failures. Open, it lets nothing through until its time is over; then it
//! is half open and lets a few calls probe the target. Each of these states is an epoch of its own, and a call is judged
//! only in the one that let it through.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Instant;
use crate::sync::{AtomicU64, Mutex, Ordering};

mod state;
#[cfg(test)]
mod tests;

use state::{Let, State, Word};

/// When a breaker opens, and when it closes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// It opens after so many failures in a row; none: not for that.
    pub consecutive_failures: Option<NonZeroU32>,
    /// It opens when so much of what was tried failed; none: not for that.
    pub failure_ratio: Option<FailureRatio>,
    /// How long it stays open the first time.
    pub open_for: Duration,
    /// How many calls may probe at once when it is half open.
    pub half_open_probes: NonZeroU32,
    /// How many of them have to succeed before it closes.
    pub successes_to_close: NonZeroU32,
}

/// A part of what was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureRatio {
    /// Of a thousand: 1 to 1000.
    pub permille: u16,
    /// Over the last so long.
    pub window: Duration,
    /// Of no fewer tries than these.
    pub min_requests: NonZeroU32,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        let few = |n: u32| NonZeroU32::MIN.saturating_add(n - 1);
        Self {
            consecutive_failures: Some(few(5)),
            failure_ratio: None,
            open_for: Duration::from_secs(60),
            half_open_probes: few(3),
            successes_to_close: few(2),
        }
    }
}

/// Lets calls through to one target, or does not. Shared by all of them.
///
/// While it is closed and nothing failed, neither [`Breaker::admit`] nor [`Pass::succeeded`] takes a lock (with a
/// [`FailureRatio`] the latter does: it counts what succeeds).
#[derive(Debug)]
pub struct Breaker {
    /// What of the state most calls need to know; written under its lock.
    word: AtomicU64,
    state: Mutex<State>,
}

/// What a breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// Nothing.
    Open {
        /// It is half open from then on.
        until: Instant,
    },
    /// A few calls that probe.
    HalfOpen,
}

impl Breaker {
    /// A closed breaker that has seen nothing.
    pub fn new(settings: BreakerSettings) -> Self {
        let state = State::new(settings);
        Self { word: AtomicU64::new(state.word().0), state: Mutex::new(state) }
    }

    /// One that has seen the same, and goes its own way from here on.
    pub fn apart(&self) -> Self {
        let state = self.state.lock().clone();
        Self { word: AtomicU64::new(state.word().0), state: Mutex::new(state) }
    }

    /// Opens, whatever it has seen: somebody knows that the target is down.
    pub fn trip(&self, now: Instant) {
        self.change(|state| state.trip(now));
    }

    /// Puts settings in force. Its state stays; if it is open, its end moves to where the new settings have it.
    pub fn adopt(&self, settings: BreakerSettings) {
        self.change(|state| state.adopt(settings));
    }

    /// Lets a call through, or says when to ask again: when it will be half open or, while others take all places to
    /// probe, in a second.
    pub fn admit(self: &Arc<Self>, now: Instant) -> Result<Pass, Instant> {
        let word = self.word();
        if word.is_closed() {
            return Ok(self.pass(word.epoch()));
        }
        match self.change(|state| state.admit(now)) {
            Let::Through(epoch) => Ok(self.pass(epoch)),
            Let::WaitUntil(at) => Err(at),
        }
    }

    /// Lets a call through whatever the state. What becomes of it counts as a probe's, where the breaker is not closed:
    /// a success makes an open one half open, a failure lets it begin its time anew.
    pub fn probe(self: &Arc<Self>, now: Instant) -> Pass {
        let word = self.word();
        let epoch = if word.is_closed() { word.epoch() } else { self.change(|state| state.probe(now)) };
        self.pass(epoch)
    }

    /// When to ask again; none where [`Breaker::admit`] would let a call through.
    pub fn retry_at(&self, now: Instant) -> Option<Instant> {
        if self.word().is_closed() { None } else { self.state.lock().retry_at(now) }
    }

    /// Counts an answer that broke off after it had begun: its call was judged already, as a success. While the breaker
    /// is not closed it says nothing, for it may be an answer from before.
    pub fn failed_late(&self, now: Instant) {
        if self.word().is_closed() {
            self.change(|state| state.failed_late(now));
        }
    }

    /// What it lets through now.
    pub fn state(&self, now: Instant) -> BreakerState {
        if self.word().is_closed() { BreakerState::Closed } else { self.state.lock().told(now) }
    }

    /// How often it opened, after failed probes too.
    pub fn opened(&self) -> u64 {
        self.state.lock().opened()
    }

    fn pass(self: &Arc<Self>, epoch: u64) -> Pass {
        Pass { breaker: Arc::clone(self), epoch, is_judged: false }
    }

    fn word(&self) -> Word {
        Word(self.word.load(Ordering::Acquire))
    }

    fn change<T>(&self, step: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let came = step(&mut state);
        self.word.store(state.word().0, Ordering::Release);
        came
    }
}

/// A call that a breaker let through. Dropped without a judgement (the caller left; the provider asked us to slow
/// down) it judges nothing, and gives the place back that it had as a probe.
#[must_use = "dropped, it judges nothing"]
#[derive(Debug)]
pub struct Pass {
    breaker: Arc<Breaker>,
    epoch: u64,
    is_judged: bool,
}

impl Pass {
    /// The target has begun to answer. Where others wait to hear of it, because the breaker is not closed, that is a
    /// success already; a failure thereafter counts as one that came late.
    pub fn begins(&mut self, now: Instant) {
        if !self.is_judged && !self.breaker.word().is_closed() {
            self.judged_well(now);
        }
    }

    /// The target answered.
    pub fn succeeded(mut self, now: Instant) {
        if !self.is_judged {
            self.judged_well(now);
        }
    }

    fn judged_well(&mut self, now: Instant) {
        self.is_judged = true;
        if !self.breaker.word().is_untroubled_in(self.epoch) {
            self.breaker.change(|state| state.succeeded(self.epoch, now));
        }
    }

    /// The target failed.
    pub fn failed(mut self, now: Instant) {
        if std::mem::replace(&mut self.is_judged, true) {
            return self.breaker.failed_late(now);
        }
        self.breaker.change(|state| state.failed(self.epoch, now));
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.is_judged && !self.breaker.word().is_closed() {
            self.breaker.change(|state| state.gave_back(self.epoch));
        }
    }
}
