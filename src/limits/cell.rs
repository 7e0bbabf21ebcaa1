//! One cell: what is held against one limit by one user, app, key, model or tenant.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use super::budget::Budget;
use super::concurrency::Concurrency;
use super::queue::{self, Caller, Line};
use super::rate::Rate;
use super::rule::{Mode, Quota, Rule, Standing, Window};
use crate::clock::{Now, Timestamp};
use crate::sync::{Mutex, MutexGuard};

/// A count under a short lock; whoever holds an `Arc` of it keeps it in its table.
#[derive(Debug)]
pub(super) struct Cell {
    value: Value,
    locked: Mutex<Locked>,
}

/// What one lock guards: the count, and who waits for room in it.
#[derive(Debug)]
pub(super) struct Locked {
    count: Count,
    /// None where nobody waits.
    line: Option<Box<Line>>,
}

impl Deref for Locked {
    type Target = Count;

    fn deref(&self) -> &Count {
        &self.count
    }
}

impl DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut Count {
        &mut self.count
    }
}

impl Locked {
    /// What those ask for who come before a caller of this number, or before one that has none; none where nobody does.
    pub(super) fn ahead(&self, number: Option<u64>) -> Option<u64> {
        self.line.as_ref()?.ahead(number)
    }

    /// Who is to be called when there may be more room.
    pub(super) fn next(&self) -> Option<Arc<Caller>> {
        self.line.as_ref()?.first()
    }
}

/// Whose cell it is within its limit. The shared ones are no names: a user may be called `(none)`.
#[derive(Debug)]
pub(super) enum Value {
    /// The whole tenant's.
    Whole,
    Named(Arc<str>),
    /// Shared by callers without the attribute.
    Nameless,
    /// Shared by names that came when the table was full of cells in use.
    Overflow,
}

/// What changes together: the words of a cell, and whether the limit in force refuses.
#[derive(Debug)]
pub(super) struct Count {
    words: Words,
    mode: Mode,
}

#[derive(Debug)]
enum Words {
    Rolling(Rate),
    Calendar(Budget),
    Concurrent(Concurrency),
}

/// What one call holds of a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    /// Counted in `reserved`.
    pub(super) held: u64,
    /// The window of the calendar that granted it.
    pub(super) turn: u32,
    /// What the call may yet use on that window's account, should it have turned.
    pub(super) covered: u64,
}

/// Why something does not fit; the longer wait is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Short {
    For(Duration),
    /// Until another call ends.
    UntilFreed,
    /// It is more than the whole limit.
    Never,
}

impl Cell {
    pub(super) fn new(value: Value, quota: &Quota, now: Now) -> Self {
        Self { value, locked: Mutex::new(Locked { count: Count::new(quota, now), line: None }) }
    }

    /// Several are locked only in the order of [`Cell::order`].
    pub(super) fn lock(&self) -> MutexGuard<'_, Locked> {
        self.locked.lock()
    }

    /// What was held is used as `used`: one step for all others.
    pub(super) fn settle(&self, used: u64, share: &mut Share, now: Now) {
        self.free(|count| count.settle(used, share, now));
    }

    /// What the share held will not be used.
    pub(super) fn give_back(&self, share: &mut Share) {
        self.free(|count| count.give_back(share));
    }

    /// Puts a limit in force, and lets those who wait look at it.
    pub(super) fn adopt(&self, rule: &Rule, now: Now) {
        self.free(|count| count.adopt(rule, now));
    }

    /// Does what may make room, and calls whoever is next.
    fn free(&self, change: impl FnOnce(&mut Count)) {
        let next = {
            let mut locked = self.locked.lock();
            change(&mut locked.count);
            locked.next()
        };
        call(next);
    }

    /// Lets a caller wait here for so much; true where it is the first now, none where the line is full.
    pub(super) fn enter(&self, caller: &Arc<Caller>, ask: u64) -> Option<bool> {
        queue::enter(&mut self.locked.lock().line, caller, ask)
    }

    /// Lets a caller go, and calls the next.
    pub(super) fn leave(&self, caller: &Caller) {
        let next = queue::leave(&mut self.locked.lock().line, caller);
        call(next);
    }

    /// Its place among all cells alive: the address.
    pub(super) fn order(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }

    pub(super) fn value(&self) -> Option<&str> {
        match &self.value {
            Value::Whole => None,
            Value::Named(name) => Some(name),
            Value::Nameless => Some("(none)"),
            Value::Overflow => Some("(overflow)"),
        }
    }

    /// Whether a new cell could stand in for this one: nobody else has it in hand, and it counts nothing.
    ///
    /// Needs no lock, for nobody else has it. The caller keeps others from reaching it meanwhile.
    pub(super) fn is_replaceable(cell: &mut Arc<Self>, now: Now) -> bool {
        Arc::get_mut(cell).is_some_and(|cell| cell.locked.get_mut().is_idle(now))
    }
}

fn call(next: Option<Arc<Caller>>) {
    if let Some(caller) = next {
        caller.call();
    }
}

impl Count {
    fn new(quota: &Quota, now: Now) -> Self {
        let words = match quota {
            Quota::Windowed { amount, window: Window::Rolling(per), .. } => {
                Words::Rolling(Rate::new(*amount, *per, now.instant))
            }
            Quota::Windowed { amount, window: Window::Calendar(calendar), .. } => {
                Words::Calendar(Budget::new(*amount, calendar, now.wall))
            }
            Quota::Concurrent { amount } => Words::Concurrent(Concurrency::new(*amount)),
        };
        Self { words, mode: Mode::Enforce }
    }

    /// Puts a limit in force from `now` on; what was used stays. Where it only counted until now, and refuses from here
    /// on, what was used beyond it is no debt.
    pub(super) fn adopt(&mut self, rule: &Rule, now: Now) {
        match (&mut self.words, &rule.quota) {
            (Words::Rolling(rate), Quota::Windowed { amount, window: Window::Rolling(per), .. }) => {
                rate.adopt(*amount, *per, now.instant);
                rate.keep_back(rule.kept_back);
            }
            (Words::Calendar(budget), Quota::Windowed { amount, window: Window::Calendar(calendar), .. }) => {
                budget.adopt(*amount, calendar, now.wall);
                budget.keep_back(rule.kept_back);
            }
            (Words::Concurrent(places), Quota::Concurrent { amount }) => places.adopt(*amount),
            // Unit and kind of window are part of a cell's identity, so these never meet; a new kind is a fresh count.
            (Words::Rolling(_) | Words::Calendar(_) | Words::Concurrent(_), Quota::Windowed { .. })
            | (Words::Rolling(_) | Words::Calendar(_), Quota::Concurrent { .. }) => {
                *self = Self::new(&rule.quota, now);
            }
        }
        if (self.mode, rule.mode) == (Mode::Shadow, Mode::Enforce) {
            match &mut self.words {
                Words::Rolling(rate) => rate.forgive(),
                Words::Calendar(budget) => budget.forgive(),
                Words::Concurrent(_) => {}
            }
        }
        self.mode = rule.mode;
    }

    /// Whether the limit in force refuses.
    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// Why `ask` does not fit in place of what `share` holds, as of the last time that it advanced; none where it does.
    pub(super) fn short(&self, ask: u64, share: &Share, now: Now) -> Option<Short> {
        match &self.words {
            Words::Rolling(rate) => rate.short(ask, share.held),
            Words::Calendar(budget) => budget.short(ask, share.held, now.wall),
            Words::Concurrent(places) => places.is_full().then_some(Short::UntilFreed),
        }
    }

    /// Why `ask` has to wait for those who ask for so much before it, as of the last time that it advanced.
    pub(super) fn short_behind(&self, ahead: u64, ask: u64, now: Now) -> Short {
        if ask > self.grantable() && !matches!(self.words, Words::Concurrent(_)) {
            return Short::Never;
        }
        let all = ahead.saturating_add(ask);
        match &self.words {
            Words::Rolling(rate) => Short::For(rate.wait(rate.reserved().saturating_add(all))),
            Words::Calendar(budget) => match budget.short(all, 0, now.wall) {
                None => Short::For(Duration::ZERO),
                Some(_) => Short::For(budget.left(now.wall)),
            },
            Words::Concurrent(_) => Short::UntilFreed,
        }
    }

    /// The least time until there may be room for `ask`, were all that is held by others not used; none where only the
    /// turn of a calendar helps, or nothing.
    pub(super) fn soonest(&self, ask: u64) -> Option<Duration> {
        match &self.words {
            Words::Rolling(rate) => Some(rate.wait(ask)),
            Words::Calendar(budget) => {
                (budget.settled().saturating_add(ask) <= budget.grantable()).then_some(Duration::ZERO)
            }
            Words::Concurrent(_) => Some(Duration::ZERO),
        }
    }

    /// What the limit in force grants in which time, and whether it refuses.
    pub(super) fn in_force(&self) -> (u64, Option<Duration>, Mode) {
        (self.grantable(), self.standing().map(|standing| standing.per), self.mode)
    }

    /// The most that fits in place of what `share` holds, as of the last time that it advanced.
    pub(super) fn room(&self, share: &Share) -> u64 {
        let others = self.reserved().saturating_sub(share.held);
        self.grantable().saturating_sub(self.settled().saturating_add(others))
    }

    /// Holds `ask` in place of what the share held; the caller has seen that it fits, or that the limit only counts.
    pub(super) fn grant(&mut self, ask: u64, share: &mut Share) {
        match &mut self.words {
            Words::Rolling(rate) => rate.grant(ask, share),
            Words::Calendar(budget) => budget.grant(ask, share),
            Words::Concurrent(places) => {
                places.hold();
                share.held = 1;
            }
        }
    }

    /// What the share held will not be used.
    pub(super) fn give_back(&mut self, share: &mut Share) {
        match &mut self.words {
            Words::Rolling(rate) => rate.give_back(share),
            Words::Calendar(budget) => budget.give_back(share),
            Words::Concurrent(places) => {
                places.give_back();
                share.held = 0;
            }
        }
    }

    /// So much was used, whatever is held. Places are not used up.
    pub(super) fn charge(&mut self, used: u64, share: &mut Share, now: Now) {
        match &mut self.words {
            Words::Rolling(rate) => rate.charge(used, now.instant),
            Words::Calendar(budget) => budget.charge(used, share, now.wall),
            Words::Concurrent(_) => {}
        }
    }

    /// What was held is used as `used`: one step for all others.
    pub(super) fn settle(&mut self, used: u64, share: &mut Share, now: Now) {
        self.charge(used, share, now);
        self.give_back(share);
    }

    /// Lets time act.
    pub(super) fn advance(&mut self, now: Now) {
        match &mut self.words {
            Words::Rolling(rate) => rate.advance(now.instant),
            Words::Calendar(budget) => budget.advance(now.wall),
            Words::Concurrent(_) => {}
        }
    }

    pub(super) fn is_idle(&mut self, now: Now) -> bool {
        self.advance(now);
        match &mut self.words {
            Words::Rolling(rate) => rate.is_idle(),
            Words::Calendar(budget) => budget.is_idle(now.wall),
            Words::Concurrent(places) => places.held() == 0,
        }
    }

    /// What is used and still counts, a begun one as a whole.
    pub(super) fn settled(&self) -> u64 {
        match &self.words {
            Words::Rolling(rate) => rate.settled(),
            Words::Calendar(budget) => budget.settled(),
            Words::Concurrent(_) => 0,
        }
    }

    pub(super) fn reserved(&self) -> u64 {
        match &self.words {
            Words::Rolling(rate) => rate.reserved(),
            Words::Calendar(budget) => budget.reserved(),
            Words::Concurrent(places) => places.held().into(),
        }
    }

    /// The limit in force.
    pub(super) fn limit(&self) -> u64 {
        match &self.words {
            Words::Rolling(rate) => rate.amount(),
            Words::Calendar(budget) => budget.amount(),
            Words::Concurrent(places) => places.amount().into(),
        }
    }

    /// What of the limit in force is granted; the rest is kept back.
    pub(super) fn grantable(&self) -> u64 {
        match &self.words {
            Words::Rolling(rate) => rate.grantable(),
            Words::Calendar(budget) => budget.grantable(),
            Words::Concurrent(places) => places.amount().into(),
        }
    }

    /// When its window turns, if it does.
    pub(super) fn turns(&self) -> Option<Timestamp> {
        match &self.words {
            Words::Calendar(budget) => Some(budget.end()),
            Words::Rolling(_) | Words::Concurrent(_) => None,
        }
    }

    /// Where a caller stands; none where there is no window.
    pub(super) fn standing(&self) -> Option<Standing> {
        match &self.words {
            Words::Rolling(rate) => Some(rate.standing()),
            Words::Calendar(budget) => Some(budget.standing()),
            Words::Concurrent(_) => None,
        }
    }
}
