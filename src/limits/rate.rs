//! Arithmetic of one rolling limit: a bucket that leaks `amount` per window, exact in integers.

use std::num::NonZeroU64;
use std::time::Duration;

use super::cell::{Share, Short};
use super::rule::Standing;
use super::store::{Lapse, Row};
use crate::clock::{Instant, Now, Timestamp};

/// Calls, tokens or money of one rolling window.
///
/// Grants at most `amount x (1 + t/per)` in any span `t`: what is reserved does not leak, and what is
/// settled leaks no faster than `amount` per window. What is used beyond a grant leaks off the same way.
#[derive(Debug)]
pub(super) struct Rate {
    amount: NonZeroU64,
    /// What of it is granted to no call; it leaks with the rest.
    kept_back: u64,
    /// Nanoseconds. One of what is counted weighs `per` parts and `amount` parts leak each nanosecond: no fraction
    /// is ever rounded. 2^64 of 2^64 parts fit into 128 bits; only debt can go beyond, and stops there.
    per: NonZeroU64,
    /// What was used, in parts, as of `at`; only time lowers it.
    settled: u128,
    /// What was granted and is not yet used; only its own end lowers it. Never more than a limit in force once was,
    /// unless that only counted.
    reserved: u64,
    at: Instant,
}

impl Rate {
    pub(super) fn new(amount: NonZeroU64, per: Duration, now: Instant) -> Self {
        Self { amount, kept_back: 0, per: window(per), settled: 0, reserved: 0, at: now }
    }

    /// Puts a limit in force: what leaked until `now` leaked at the old one, what was used stays.
    pub(super) fn adopt(&mut self, amount: NonZeroU64, per: Duration, now: Instant) {
        self.advance(now);
        self.amount = amount;
        let per = window(per);
        if per != self.per {
            let (old, new) = (u128::from(self.per.get()), u128::from(per.get()));
            // Whole units and the rest apart: their product would not fit. Rounded against the caller.
            let whole = (self.settled / old).saturating_mul(new);
            self.settled = whole.saturating_add((self.settled % old * new).div_ceil(old));
            self.per = per;
        }
    }

    /// Grants so much less than the limit from now on.
    pub(super) fn keep_back(&mut self, kept_back: u64) {
        self.kept_back = kept_back;
    }

    pub(super) fn grantable(&self) -> u64 {
        self.amount.get().saturating_sub(self.kept_back)
    }

    /// Why `ask` does not fit in place of `held`, as of the last time that it advanced; none where it does.
    ///
    /// What is reserved counts as if it were settled now.
    pub(super) fn short(&self, ask: u64, held: u64) -> Option<Short> {
        let others = self.settled.saturating_add(self.parts(self.reserved.saturating_sub(held)));
        let over = others.saturating_add(self.parts(ask)).checked_sub(self.parts(self.grantable()))?;
        if over == 0 {
            None
        } else if ask > self.grantable() {
            Some(Short::Never)
        } else {
            Some(Short::For(self.leaks_in(over)))
        }
    }

    /// How long until so much fits beside what is settled, whatever is reserved.
    pub(super) fn wait(&self, ask: u64) -> Duration {
        let all = self.settled.saturating_add(self.parts(ask));
        self.leaks_in(all.saturating_sub(self.parts(self.grantable())))
    }

    /// Holds `ask` in place of what the share held; the caller has seen that it fits, or that the limit only counts.
    pub(super) fn grant(&mut self, ask: u64, share: &mut Share) {
        self.give_back(share);
        // What only counts may be asked for anything: it holds what there are bits for, and gives back just that.
        share.held = ask.min(u64::MAX - self.reserved);
        self.reserved += share.held;
    }

    /// What the share held will not be used.
    pub(super) fn give_back(&mut self, share: &mut Share) {
        debug_assert!(self.reserved >= share.held, "gave back more than was held");
        self.reserved = self.reserved.saturating_sub(share.held);
        share.held = 0;
    }

    /// So much was used, and leaks from `now` on; all of it counts.
    pub(super) fn charge(&mut self, used: u64, now: Instant) -> u64 {
        self.advance(now);
        self.settled = self.settled.saturating_add(self.parts(used));
        used
    }

    /// The same, but what takes it beyond the limit does not count.
    pub(super) fn charge_to_limit(&mut self, used: u64, now: Instant) -> u64 {
        self.advance(now);
        let most = self.settled.max(self.parts(self.amount.get()));
        let counted = self.charge(used, now);
        self.settled = self.settled.min(most);
        counted
    }

    /// What an earlier process had of it, and what it could have used until now. The limit of then is in force until the
    /// first ask, so that here as there it leaks at one pace.
    pub(super) fn restore(&mut self, row: &Row, now: Now) {
        let Lapse::Leaks { amount, per } = row.lapse else { return };
        if let (Some(amount), Some(per)) = (NonZeroU64::new(amount), NonZeroU64::new(per)) {
            (self.amount, self.per, self.at) = (amount, per, now.instant);
            self.settled = row.remaining_parts(now.wall).saturating_add(self.parts(row.ahead));
        }
    }

    /// The rate at which it leaks.
    pub(super) fn lapse(&self) -> Lapse {
        Lapse::Leaks { amount: self.amount.get(), per: self.per.get() }
    }

    /// The civil time as of which it has leaked, told by a moment.
    pub(super) fn as_of(&self, anchor: Now) -> Timestamp {
        let (later, earlier) = (
            self.at.saturating_duration_since(anchor.instant),
            anchor.instant.saturating_duration_since(self.at),
        );
        let at = anchor.wall.saturating_add(later).and_then(|at| at.saturating_sub(earlier));
        at.unwrap_or(anchor.wall)
    }

    /// What was used beyond the limit is no debt.
    pub(super) fn forgive(&mut self) {
        self.settled = self.settled.min(self.parts(self.amount.get()));
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

    /// What is settled and has not leaked, a begun one as a whole.
    pub(super) fn settled(&self) -> u64 {
        div_ceil(self.settled, self.per)
    }

    pub(super) fn reserved(&self) -> u64 {
        self.reserved
    }

    pub(super) fn amount(&self) -> u64 {
        self.amount.get()
    }

    pub(super) fn standing(&self) -> Standing {
        let taken = self.settled().saturating_add(self.reserved);
        Standing {
            limit: self.grantable(),
            remaining: self.grantable().saturating_sub(taken),
            reset: self.leaks_in(self.settled.saturating_add(self.parts(self.reserved))),
            per: Duration::from_nanos(self.per.get()),
        }
    }

    fn parts(&self, count: u64) -> u128 {
        u128::from(count) * u128::from(self.per.get())
    }

    fn leaks_in(&self, parts: u128) -> Duration {
        Duration::from_nanos(div_ceil(parts, self.amount))
    }
}

/// A window of no length would make everything weigh nothing.
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
