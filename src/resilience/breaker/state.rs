//! The rules of one breaker, under its lock.

use std::time::Duration;

use super::{BreakerSettings, BreakerState, FailureRatio};
use crate::clock::Instant;
use crate::resilience::ring::Ring;

/// What a breaker knows.
#[derive(Clone, Debug)]
pub(super) struct State {
    settings: BreakerSettings,
    /// Counts the changes of phase.
    epoch: u64,
    phase: Phase,
    /// What was tried of late, while it is closed; none where no ratio is asked for.
    recent: Option<Ring<Tried, SLOTS>>,
    opened: u64,
}

#[derive(Clone, Debug)]
enum Phase {
    Closed {
        /// Failures since the last success.
        run: u32,
    },
    Open {
        since: Instant,
        /// How often probes failed since it was closed.
        again: u32,
    },
    HalfOpen {
        /// Places that calls hold.
        probing: u32,
        succeeded: u32,
        again: u32,
    },
}

#[derive(Clone, Copy, Debug, Default)]
struct Tried {
    tried: u64,
    failed: u64,
}

/// Whether a call is let through.
#[derive(Debug)]
pub(super) enum Let {
    /// In this epoch.
    Through(u64),
    WaitUntil(Instant),
}

/// A ratio is told of so many slots: the last tenth of a window may be missing, nothing beyond it is counted.
const SLOTS: usize = 10;
/// It is open at most for so many times `open_for`, as a power of two.
const DOUBLED: u32 = 2;
/// Nor for longer than an hour, unless `open_for` is.
const LONGEST: Duration = Duration::from_secs(3_600);
/// Nobody knows when probes under way will end: whoever finds no place asks again after this.
const PROBING: Duration = Duration::from_secs(1);
/// As good as never, and still a moment that can be told.
const FAR: Duration = Duration::from_secs(365 * 24 * 3_600);

impl State {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        let recent = settings.failure_ratio.map(ring);
        Self { settings, epoch: 0, phase: Phase::Closed { run: 0 }, recent, opened: 0 }
    }

    pub(super) fn adopt(&mut self, settings: BreakerSettings) {
        let window = |settings: &BreakerSettings| settings.failure_ratio.map(|ratio| ratio.window);
        if window(&settings) != window(&self.settings) {
            self.recent = settings.failure_ratio.map(ring);
        }
        self.settings = settings;
    }

    pub(super) fn word(&self) -> Word {
        let (is_closed, is_untroubled) = match self.phase {
            Phase::Closed { run } => (true, run == 0 && self.recent.is_none()),
            Phase::Open { .. } | Phase::HalfOpen { .. } => (false, false),
        };
        Word::new(self.epoch, is_closed, is_untroubled)
    }

    pub(super) fn opened(&self) -> u64 {
        self.opened
    }

    pub(super) fn admit(&mut self, now: Instant) -> Let {
        if let Some(at) = self.retry_at(now) {
            return Let::WaitUntil(at);
        }
        Let::Through(self.probe(now))
    }

    /// Lets a call through, and gives the epoch.
    pub(super) fn probe(&mut self, now: Instant) -> u64 {
        if let Phase::Open { since, again } = self.phase
            && self.open_until(since, again) <= now
        {
            self.enter(Phase::HalfOpen { probing: 0, succeeded: 0, again });
        }
        if let Phase::HalfOpen { probing, .. } = &mut self.phase {
            *probing = probing.saturating_add(1);
        }
        self.epoch
    }

    pub(super) fn retry_at(&self, now: Instant) -> Option<Instant> {
        match self.phase {
            Phase::Closed { .. } => None,
            Phase::Open { since, again } => Some(self.open_until(since, again)).filter(|until| now < *until),
            Phase::HalfOpen { probing, .. } => {
                (probing >= self.settings.half_open_probes.get()).then(|| now + PROBING)
            }
        }
    }

    pub(super) fn told(&self, now: Instant) -> BreakerState {
        match self.phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { since, again } => match self.open_until(since, again) {
                until if now < until => BreakerState::Open { until },
                _ => BreakerState::HalfOpen,
            },
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    pub(super) fn succeeded(&mut self, epoch: u64, now: Instant) {
        if epoch != self.epoch {
            return;
        }
        match &mut self.phase {
            Phase::Closed { run } => {
                *run = 0;
                self.count(Tried { tried: 1, failed: 0 }, now);
            }
            // It went through although the breaker was open.
            Phase::Open { again, .. } => {
                let again = *again;
                self.enter(Phase::HalfOpen { probing: 0, succeeded: 1, again });
            }
            Phase::HalfOpen { probing, succeeded, .. } => {
                *probing = probing.saturating_sub(1);
                *succeeded = succeeded.saturating_add(1);
            }
        }
        self.close_if_enough_succeeded();
    }

    pub(super) fn failed(&mut self, epoch: u64, now: Instant) {
        if epoch != self.epoch {
            return;
        }
        match &mut self.phase {
            Phase::Closed { .. } => self.count_failure(Tried { tried: 1, failed: 1 }, now),
            // It was expected to fail: no reason to stay away for longer than from any other such moment.
            Phase::Open { since, .. } => *since = now.max(*since),
            Phase::HalfOpen { again, .. } => {
                let again = again.saturating_add(1);
                self.open(again, now);
            }
        }
    }

    pub(super) fn failed_late(&mut self, now: Instant) {
        match self.phase {
            // It is among what was tried since it began to answer.
            Phase::Closed { .. } => self.count_failure(Tried { tried: 0, failed: 1 }, now),
            Phase::Open { .. } | Phase::HalfOpen { .. } => {}
        }
    }

    /// A call was not judged.
    pub(super) fn gave_back(&mut self, epoch: u64) {
        if let Phase::HalfOpen { probing, .. } = &mut self.phase
            && epoch == self.epoch
        {
            *probing = probing.saturating_sub(1);
        }
    }

    fn count(&mut self, tried: Tried, now: Instant) {
        if let Some(recent) = &mut self.recent {
            let slot = recent.slot(now);
            slot.tried += tried.tried;
            slot.failed += tried.failed;
        }
    }

    fn count_failure(&mut self, tried: Tried, now: Instant) {
        self.count(tried, now);
        let too_many_in_a_row = match &mut self.phase {
            Phase::Closed { run } => {
                *run = run.saturating_add(1);
                self.settings.consecutive_failures.is_some_and(|most| *run >= most.get())
            }
            Phase::Open { .. } | Phase::HalfOpen { .. } => return,
        };
        if too_many_in_a_row || self.too_much_failed(now) {
            self.open(0, now);
        }
    }

    fn too_much_failed(&mut self, now: Instant) -> bool {
        let (Some(recent), Some(ratio)) = (&mut self.recent, self.settings.failure_ratio) else {
            return false;
        };
        let sum = recent.slots(now).iter().fold(Tried::default(), |sum, slot| Tried {
            tried: sum.tried + slot.tried,
            failed: sum.failed + slot.failed,
        });
        // What broke off late may have begun before the window did.
        let tried = sum.tried.max(sum.failed);
        let is_enough = tried >= u64::from(ratio.min_requests.get());
        is_enough && sum.failed.saturating_mul(1_000) >= tried.saturating_mul(u64::from(ratio.permille))
    }

    fn close_if_enough_succeeded(&mut self) {
        if let Phase::HalfOpen { succeeded, .. } = self.phase
            && succeeded >= self.settings.successes_to_close.get()
        {
            self.enter(Phase::Closed { run: 0 });
        }
    }

    fn open(&mut self, again: u32, now: Instant) {
        self.opened += 1;
        self.enter(Phase::Open { since: now, again });
    }

    /// Opens for the first time, whatever it has seen.
    pub(super) fn trip(&mut self, now: Instant) {
        self.opened += 1;
        self.enter(Phase::Open { since: now, again: 0 });
    }

    fn enter(&mut self, phase: Phase) {
        self.epoch += 1;
        self.phase = phase;
        if let Some(recent) = &mut self.recent {
            recent.clear();
        }
    }

    fn open_until(&self, since: Instant, again: u32) -> Instant {
        let first = self.settings.open_for;
        let most = first.max(LONGEST).min(FAR);
        let length = first.saturating_mul(1 << again.min(DOUBLED)).min(most);
        since + length
    }
}

fn ring(ratio: FailureRatio) -> Ring<Tried, SLOTS> {
    Ring::new(ratio.window / SLOTS as u32)
}

/// What most calls need to know of a state: its epoch, and in the lowest bits whether it is closed, and whether a
/// success would change nothing in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word(pub(super) u64);

const CLOSED: u64 = 0b01;
const UNTROUBLED: u64 = 0b10;

impl Word {
    fn new(epoch: u64, is_closed: bool, is_untroubled: bool) -> Self {
        Self(epoch << 2 | u64::from(is_untroubled) << 1 | u64::from(is_closed))
    }

    pub(super) fn epoch(self) -> u64 {
        self.0 >> 2
    }

    pub(super) fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    pub(super) fn is_untroubled_in(self, epoch: u64) -> bool {
        self.0 & UNTROUBLED != 0 && self.epoch() == epoch
    }
}
