//! Arithmetic of one calendar limit: a count that begins anew when its window turns.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use super::calendar::Calendar;
use super::cell::{Share, Short};
use super::rule::Standing;
use super::store::{Lapse, Row};
use crate::clock::Timestamp;

/// What is used in one window of a calendar.
///
/// Grants at most `amount` in each window. What a call holds when the window turns belongs to the window that
/// granted it; what it uses beyond that is the running one's.
#[derive(Debug)]
pub(super) struct Budget {
    amount: NonZeroU64,
    /// What of it is granted to no call.
    kept_back: u64,
    calendar: Calendar,
    /// The running window.
    start: Timestamp,
    end: Timestamp,
    /// The latest time that was told: a clock that steps back does not reopen a window.
    at: Timestamp,
    /// Tells windows apart.
    turns: u32,
    /// Used in this window; only its turn lowers it.
    settled: u64,
    /// Granted and not yet used, in whichever window; only its own end lowers it. Never more than a limit in force
    /// once was, unless that only counted.
    reserved: u64,
}

impl Budget {
    pub(super) fn new(amount: NonZeroU64, calendar: &Calendar, now: Timestamp) -> Self {
        let (start, end) = calendar.bounds(now);
        let calendar = calendar.clone();
        Self { amount, kept_back: 0, calendar, start, end, at: now, turns: 0, settled: 0, reserved: 0 }
    }

    /// Puts a limit in force; what was used stays, and in a new zone it counts in the window that runs there.
    pub(super) fn adopt(&mut self, amount: NonZeroU64, calendar: &Calendar, now: Timestamp) {
        self.advance(now);
        self.amount = amount;
        // Rules share their zone with the cell after the first call: no comparing of all its years at each.
        if Arc::ptr_eq(&calendar.zone, &self.calendar.zone) {
            return;
        }
        if calendar.zone != self.calendar.zone {
            (self.start, self.end) = calendar.bounds(self.at);
        }
        self.calendar = calendar.clone();
    }

    /// Grants so much less than the limit from now on.
    pub(super) fn keep_back(&mut self, kept_back: u64) {
        self.kept_back = kept_back;
    }

    pub(super) fn grantable(&self) -> u64 {
        self.amount.get().saturating_sub(self.kept_back)
    }

    /// Why `ask` does not fit in place of `held`, as of the last time that it advanced; none where it does.
    pub(super) fn short(&self, ask: u64, held: u64, now: Timestamp) -> Option<Short> {
        let others = self.settled.checked_add(self.reserved.saturating_sub(held));
        let fits =
            others.and_then(|others| others.checked_add(ask)).is_some_and(|all| all <= self.grantable());
        if fits {
            None
        } else if ask > self.grantable() {
            Some(Short::Never)
        } else {
            Some(Short::For(self.left(now)))
        }
    }

    /// How long the running window lasts.
    pub(super) fn left(&self, now: Timestamp) -> Duration {
        between(now, self.end)
    }

    /// Holds `ask` on the running window's account, in place of what the share held; the caller has seen that it fits,
    /// or that the limit only counts.
    pub(super) fn grant(&mut self, ask: u64, share: &mut Share) {
        self.give_back(share);
        // What only counts may be asked for anything: it holds what there are bits for, and gives back just that.
        let held = ask.min(u64::MAX - self.reserved);
        self.reserved += held;
        *share = Share { held, turn: self.turns, covered: held, in_shadow: false };
    }

    /// What the share held will not be used.
    pub(super) fn give_back(&mut self, share: &mut Share) {
        debug_assert!(self.reserved >= share.held, "gave back more than was held");
        self.reserved = self.reserved.saturating_sub(share.held);
        share.held = 0;
    }

    /// So much was used. Of a share of an earlier window only what is beyond it counts in the running one: so much.
    pub(super) fn charge(&mut self, used: u64, share: &mut Share, now: Timestamp) -> u64 {
        self.advance(now);
        let covered = if share.turn == self.turns { 0 } else { used.min(share.covered) };
        share.covered -= covered;
        self.settled = self.settled.saturating_add(used - covered);
        used - covered
    }

    /// The same, but what takes it beyond the limit does not count.
    pub(super) fn charge_to_limit(&mut self, used: u64, share: &mut Share, now: Timestamp) -> u64 {
        self.advance(now);
        let most = self.settled.max(self.amount.get());
        let counted = self.charge(used, share, now);
        self.settled = self.settled.min(most);
        counted
    }

    /// What an earlier process had of it, and what it could have used, where their window still runs.
    pub(super) fn restore(&mut self, row: &Row, now: Timestamp) {
        match row.lapse {
            Lapse::Turns { at } if now < at => self.settled = row.settled.saturating_add(row.ahead),
            Lapse::Turns { .. } | Lapse::Leaks { .. } => {}
        }
    }

    /// What was used beyond the limit is no debt.
    pub(super) fn forgive(&mut self) {
        self.settled = self.settled.min(self.amount.get());
    }

    /// Turns the window when its time is over; a clock that stepped back turns nothing.
    pub(super) fn advance(&mut self, now: Timestamp) {
        self.at = self.at.max(now);
        if self.at >= self.end {
            (self.start, self.end) = self.calendar.bounds(self.at);
            self.turns = self.turns.wrapping_add(1);
            self.settled = 0;
        }
    }

    /// Holds nothing: as good as new. A new one would begin in a window that has turned, had the clock stepped back.
    pub(super) fn is_idle(&self, now: Timestamp) -> bool {
        self.settled == 0 && self.reserved == 0 && now >= self.start
    }

    pub(super) fn settled(&self) -> u64 {
        self.settled
    }

    pub(super) fn reserved(&self) -> u64 {
        self.reserved
    }

    pub(super) fn amount(&self) -> u64 {
        self.amount.get()
    }

    /// When the next window begins.
    pub(super) fn end(&self) -> Timestamp {
        self.end
    }

    pub(super) fn standing(&self) -> Standing {
        let taken = self.settled.saturating_add(self.reserved);
        Standing {
            limit: self.grantable(),
            remaining: self.grantable().saturating_sub(taken),
            reset: if taken == 0 { Duration::ZERO } else { between(self.at, self.end) },
            per: between(self.start, self.end),
        }
    }
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
