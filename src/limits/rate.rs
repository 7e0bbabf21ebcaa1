//! Arithmetic of one rolling limit: a bucket that leaks `amount` per window, exact in integers.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::rule::Standing;
use crate::clock::Instant;

/// Calls of one rolling window.
///
/// Grants at most `amount x (1 + t/per)` in any span `t`: what is reserved does not leak, and what is
/// settled leaks no faster than `amount` per window.
#[derive(Debug)]
pub(super) struct Rate {
    amount: NonZeroU32,
    /// Nanoseconds. One call weighs `per` parts and `amount` parts leak each nanosecond: no fraction is
    /// ever rounded. 2^32 calls of 2^64 parts fit into 128 bits with room for every sum below.
    per: NonZeroU64,
    /// Calls that were written, in parts, as of `at`; only time lowers it.
    settled: u128,
    /// Calls admitted and not yet written; only their own end lowers it.
    reserved: u32,
    at: Instant,
}

impl Rate {
    pub(super) fn new(amount: NonZeroU32, per: Duration, now: Instant) -> Self {
        Self { amount, per: window(per), settled: 0, reserved: 0, at: now }
    }

    /// Puts a limit in force: what leaked until `now` leaked at the old one, what was used stays.
    pub(super) fn adopt(&mut self, amount: NonZeroU32, per: Duration, now: Instant) {
        self.advance(now);
        self.amount = amount;
        let per = window(per);
        if per != self.per {
            let (old, new) = (self.weight(), u128::from(per.get()));
            // Whole calls and the rest apart: their product would not fit. Rounded against the caller.
            self.settled = self.settled / old * new + (self.settled % old * new).div_ceil(old);
            self.per = per;
        }
    }

    /// How long until one more fits; none where it fits now.
    ///
    /// Calls that are reserved count as if they were settled now.
    pub(super) fn short(&self) -> Option<Duration> {
        let over = (self.taken() + self.weight()).checked_sub(self.room())?;
        (over > 0).then(|| self.leaks_in(over))
    }

    /// Holds one more; the caller has seen that it fits.
    pub(super) fn hold(&mut self) {
        self.reserved = self.reserved.saturating_add(1);
    }

    /// One that was held will not be used.
    pub(super) fn refund(&mut self) {
        debug_assert!(self.reserved > 0, "refunded more than was held");
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// One that was held is used, and leaks from `now` on.
    pub(super) fn settle(&mut self, now: Instant) {
        self.advance(now);
        self.refund();
        self.settled += self.weight();
    }

    /// Lets leak what leaks until `now`; a clock that stepped back leaks nothing.
    pub(super) fn advance(&mut self, now: Instant) {
        let passed = nanos(now.saturating_duration_since(self.at));
        let leak = u128::from(self.amount.get()) * u128::from(passed);
        self.settled = self.settled.saturating_sub(leak);
        self.at = self.at.max(now);
    }

    /// Holds nothing: as good as new.
    pub(super) fn is_idle(&self) -> bool {
        self.settled == 0 && self.reserved == 0
    }

    /// Calls settled that have not leaked, a begun one as a whole.
    pub(super) fn settled(&self) -> u64 {
        div_ceil(self.settled, self.per)
    }

    pub(super) fn reserved(&self) -> u32 {
        self.reserved
    }

    pub(super) fn standing(&self) -> Standing {
        let taken = self.settled().saturating_add(u64::from(self.reserved));
        let remaining = u64::from(self.amount.get()).saturating_sub(taken);
        Standing {
            limit: self.amount.get(),
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            reset: self.leaks_in(self.taken()),
            per: Duration::from_nanos(self.per.get()),
        }
    }

    fn taken(&self) -> u128 {
        self.settled + u128::from(self.reserved) * self.weight()
    }

    fn room(&self) -> u128 {
        u128::from(self.amount.get()) * self.weight()
    }

    fn weight(&self) -> u128 {
        u128::from(self.per.get())
    }

    fn leaks_in(&self, parts: u128) -> Duration {
        Duration::from_nanos(div_ceil(parts, self.amount.into()))
    }
}

/// A window of no length would make every call weigh nothing.
fn window(per: Duration) -> NonZeroU64 {
    NonZeroU64::new(nanos(per)).unwrap_or(NonZeroU64::MIN)
}

/// Ends at 584 years.
fn nanos(span: Duration) -> u64 {
    saturate(span.as_nanos())
}

/// Rounds up, ends at `u64::MAX`. Almost all parts fit into 64 bits, which divide ten times as fast as 128.
fn div_ceil(parts: u128, by: NonZeroU64) -> u64 {
    match u64::try_from(parts) {
        Ok(parts) => parts.div_ceil(by.get()),
        Err(_) => saturate(parts.div_ceil(u128::from(by.get()))),
    }
}

fn saturate(n: u128) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
