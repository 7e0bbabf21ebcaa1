//! One cell: what is held against one limit by one user, app, key or model, or by all together.

use std::sync::Arc;
use std::time::Duration;

use super::budget::Budget;
use super::concurrency::Concurrency;
use super::cover::{Cover, Standing as Ahead};
use super::lease::{Lease, Leased};
use super::queue::{self, Caller};
use super::rate::Rate;
use super::rule::{Mode, Quota, Rule, Standing, Window};
use super::store::{Lapse, Row};
use super::words::Words;
use crate::clock::{Now, Timestamp};
use crate::sync::{Mutex, MutexGuard};

/// A count under a short lock; whoever holds an `Arc` of it keeps it in its table.
#[derive(Debug)]
pub(super) struct Cell {
    value: Value,
    words: Mutex<Words>,
    /// Of a cell that outlives the process.
    lease: Option<Arc<Lease>>,
}

/// What the cell of callers without a name is called.
pub(super) const NAMELESS: &str = "(none)";

/// Whose cell it is within its limit. The shared ones are no names: a user may be called `(none)`.
#[derive(Debug)]
pub(super) enum Value {
    /// Everybody's.
    Whole,
    Named(Arc<str>),
    /// Shared by callers without the attribute.
    Nameless,
    /// Shared by names that came when the table was full of cells in use.
    Overflow,
}

/// What a cell counts, and whether the limit in force refuses.
#[derive(Debug)]
pub(super) struct Count {
    kind: Kind,
    mode: Mode,
}

#[derive(Debug)]
enum Kind {
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
    /// Granted by a limit that only counted: should it refuse by now, what the call uses beyond it is no debt.
    pub(super) in_shadow: bool,
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
    pub(super) fn new(value: Value, rule: &Rule, now: Now) -> Self {
        let words = Words::new(Count::under(rule, None, now), None);
        Self { value, words: Mutex::new(words), lease: None }
    }

    /// A cell that outlives the process, with what an earlier one left. Calls at once end with their process.
    pub(super) fn leased(value: Value, rule: &Rule, now: Now, leased: Option<&Leased>) -> Self {
        let windowed = matches!(rule.quota, Quota::Windowed { .. });
        let Some(leased) = leased.filter(|_| windowed) else {
            return Self::new(value, rule, now);
        };
        let (key, row, old) = leased.claim(&value);
        let count = Count::under(rule, row.as_ref(), now);
        let cover = Cover::new(now, key, row.is_some(), old);
        let words = Words::new(count, Some(cover));
        Self { value, words: Mutex::new(words), lease: Some(Arc::clone(&leased.lease)) }
    }

    /// Several are locked only in the order of [`Cell::order`].
    pub(super) fn lock(&self) -> MutexGuard<'_, Words> {
        self.words.lock()
    }

    /// What was held is used as `used`: one step for all others. Whether the store has to be told.
    pub(super) fn settle(self: &Arc<Self>, used: u64, share: &mut Share, now: Now) -> bool {
        self.free(|words| words.settle(used, share, now))
    }

    /// What the share held will not be used.
    pub(super) fn give_back(self: &Arc<Self>, share: &mut Share) {
        self.free(|words| {
            words.give_back(share);
            false
        });
    }

    /// Puts a limit in force, and lets those who wait look at it.
    pub(super) fn adopt(self: &Arc<Self>, rule: &Rule, now: Now) {
        self.free(|words| {
            words.adopt(rule, now);
            false
        });
    }

    /// Does what may make room, and calls whoever is next. Queues the cell where the store has to be told.
    fn free(self: &Arc<Self>, change: impl FnOnce(&mut Words) -> bool) -> bool {
        let (owes, next) = {
            let mut words = self.words.lock();
            let owes = change(&mut words);
            if owes {
                self.queue(&mut words);
            }
            (owes, words.next())
        };
        call(next);
        owes
    }

    /// Lets a caller wait here for so much; true where it is the first now, none where the line is full.
    pub(super) fn enter(&self, caller: &Arc<Caller>, ask: u64) -> Option<bool> {
        queue::enter(self.words.lock().line(), caller, ask)
    }

    /// Lets a caller go, and calls the next.
    pub(super) fn leave(&self, caller: &Caller) {
        let next = queue::leave(self.words.lock().line(), caller);
        call(next);
    }

    /// What gives it leases.
    pub(super) fn lease(&self) -> Option<&Arc<Lease>> {
        self.lease.as_ref()
    }

    /// Puts it into the queue to the store; its lock is held.
    pub(super) fn queue(self: &Arc<Self>, words: &mut Words) {
        if let (Some(lease), true) = (&self.lease, words.queue()) {
            lease.push(Arc::clone(self));
        }
    }

    /// Its limit has another name: its row, if it has one, moves along.
    pub(super) fn rekey(self: &Arc<Self>, leased: &Leased) {
        let mut words = self.lock();
        if words.rekey(leased.key(&self.value)) {
            self.queue(&mut words);
        }
    }

    /// It outlives the process no more: its row goes before another cell's comes under that key.
    pub(super) fn forget_row(&self) {
        let Some(lease) = &self.lease else { return };
        self.lock().forget_row().into_iter().for_each(|key| lease.remove(key));
    }

    /// The row to write for it, and the keys that it no longer has.
    pub(super) fn prepare(&self, gone: &mut Vec<Arc<str>>) -> Option<(Arc<str>, Row)> {
        let mut words = self.lock();
        gone.extend(words.old());
        Some((words.key()?, words.prepare()?))
    }

    /// The store has the row.
    pub(super) fn commit(self: &Arc<Self>) {
        let mut words = self.lock();
        if words.commit() {
            self.queue(&mut words);
        }
    }

    /// The store did not say that it has the row: it is to be written again.
    pub(super) fn abandon(self: &Arc<Self>) {
        let mut words = self.lock();
        words.abandon();
        self.queue(&mut words);
    }

    /// The row, or its removal, that leaves nothing ahead but what calls hold.
    pub(super) fn close(&self, now: Now, rows: &mut Vec<(Arc<str>, Row)>, gone: &mut Vec<Arc<str>>) {
        let mut words = self.lock();
        let Some(key) = words.key() else { return };
        words.advance(now);
        gone.extend(words.old());
        match words.row(words.reserved()) {
            Some(row) if row.settled > 0 || row.ahead > 0 => rows.push((key, row)),
            Some(_) | None if words.is_written() => gone.push(key),
            Some(_) | None => {}
        }
    }

    /// Its place among all cells alive: the address.
    pub(super) fn order(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }

    pub(super) fn value(&self) -> Option<&str> {
        match &self.value {
            Value::Whole => None,
            Value::Named(name) => Some(name),
            Value::Nameless => Some(NAMELESS),
            Value::Overflow => Some("(overflow)"),
        }
    }

    /// Whether a new cell could stand in for this one: nobody else has it in hand, and it counts nothing.
    ///
    /// Needs no lock, for nobody else has it. The caller keeps others from reaching it meanwhile.
    pub(super) fn is_replaceable(cell: &mut Arc<Self>, now: Now) -> bool {
        Arc::get_mut(cell).is_some_and(|cell| cell.words.get_mut().is_idle(now))
    }
}

impl Drop for Cell {
    /// A cell that counts nothing leaves no row.
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        let words = self.words.get_mut();
        if words.is_written() && words.settled() == 0 && words.reserved() == 0 {
            words.old().chain(words.key()).for_each(|key| lease.remove(key));
        }
    }
}

fn call(next: Option<Arc<Caller>>) {
    if let Some(caller) = next {
        caller.call();
    }
}

impl Count {
    /// The count of a rule, with what an earlier process left.
    fn under(rule: &Rule, row: Option<&Row>, now: Now) -> Self {
        let mut count = Self::new(&rule.quota, now);
        if let Some(row) = row {
            // Amount and length come with the first ask: until then it leaks here as it does in the store.
            count.restore(row, now);
        }
        count.keep_back(rule.kept_back);
        count.mode = rule.mode;
        count
    }

    fn new(quota: &Quota, now: Now) -> Self {
        let kind = match quota {
            Quota::Windowed { amount, window: Window::Rolling(per), .. } => {
                Kind::Rolling(Rate::new(*amount, *per, now.instant))
            }
            Quota::Windowed { amount, window: Window::Calendar(calendar), .. } => {
                Kind::Calendar(Budget::new(*amount, calendar, now.wall))
            }
            Quota::Concurrent { amount } => Kind::Concurrent(Concurrency::new(*amount)),
        };
        Self { kind, mode: Mode::Enforce }
    }

    /// Puts a limit in force from `now` on; what was used stays. Where it only counted until now, and refuses from here
    /// on, what was used beyond it is no debt.
    pub(super) fn adopt(&mut self, rule: &Rule, now: Now) {
        match (&mut self.kind, &rule.quota) {
            (Kind::Rolling(rate), Quota::Windowed { amount, window: Window::Rolling(per), .. }) => {
                rate.adopt(*amount, *per, now.instant);
            }
            (Kind::Calendar(budget), Quota::Windowed { amount, window: Window::Calendar(calendar), .. }) => {
                budget.adopt(*amount, calendar, now.wall);
            }
            (Kind::Concurrent(places), Quota::Concurrent { amount }) => places.adopt(*amount),
            // Unit and kind of window are part of a cell's identity, so these never meet; a new kind is a fresh count.
            (Kind::Rolling(_) | Kind::Calendar(_) | Kind::Concurrent(_), Quota::Windowed { .. })
            | (Kind::Rolling(_) | Kind::Calendar(_), Quota::Concurrent { .. }) => {
                *self = Self::new(&rule.quota, now);
            }
        }
        self.keep_back(rule.kept_back);
        if (self.mode, rule.mode) == (Mode::Shadow, Mode::Enforce) {
            match &mut self.kind {
                Kind::Rolling(rate) => rate.forgive(),
                Kind::Calendar(budget) => budget.forgive(),
                Kind::Concurrent(_) => {}
            }
        }
        self.mode = rule.mode;
    }

    fn keep_back(&mut self, kept_back: u64) {
        match &mut self.kind {
            Kind::Rolling(rate) => rate.keep_back(kept_back),
            Kind::Calendar(budget) => budget.keep_back(kept_back),
            Kind::Concurrent(_) => {}
        }
    }

    /// Whether the limit in force refuses.
    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// Why `ask` does not fit in place of what `share` holds, as of the last time that it advanced; none where it does.
    pub(super) fn short(&self, ask: u64, share: &Share, now: Now) -> Option<Short> {
        match &self.kind {
            Kind::Rolling(rate) => rate.short(ask, share.held),
            Kind::Calendar(budget) => budget.short(ask, share.held, now.wall),
            Kind::Concurrent(places) => places.is_full().then_some(Short::UntilFreed),
        }
    }

    /// Why `ask` has to wait for those who ask for so much before it, as of the last time that it advanced.
    pub(super) fn short_behind(&self, ahead: u64, ask: u64, now: Now) -> Short {
        if ask > self.grantable() && !matches!(self.kind, Kind::Concurrent(_)) {
            return Short::Never;
        }
        let all = ahead.saturating_add(ask);
        match &self.kind {
            Kind::Rolling(rate) => Short::For(rate.wait(rate.reserved().saturating_add(all))),
            Kind::Calendar(budget) => match budget.short(all, 0, now.wall) {
                None => Short::For(Duration::ZERO),
                Some(_) => Short::For(budget.left(now.wall)),
            },
            Kind::Concurrent(_) => Short::UntilFreed,
        }
    }

    /// The least time until there may be room for `ask`, were all that is held by others not used; none where only the
    /// turn of a calendar helps, or nothing.
    pub(super) fn soonest(&self, ask: u64) -> Option<Duration> {
        match &self.kind {
            Kind::Rolling(rate) => Some(rate.wait(ask)),
            Kind::Calendar(budget) => {
                (budget.settled().saturating_add(ask) <= budget.grantable()).then_some(Duration::ZERO)
            }
            Kind::Concurrent(_) => Some(Duration::ZERO),
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
        match &mut self.kind {
            Kind::Rolling(rate) => rate.grant(ask, share),
            Kind::Calendar(budget) => budget.grant(ask, share),
            Kind::Concurrent(places) => {
                places.hold();
                share.held = 1;
            }
        }
        share.in_shadow = self.mode == Mode::Shadow;
    }

    /// What the share held will not be used.
    pub(super) fn give_back(&mut self, share: &mut Share) {
        match &mut self.kind {
            Kind::Rolling(rate) => rate.give_back(share),
            Kind::Calendar(budget) => budget.give_back(share),
            Kind::Concurrent(places) => {
                places.give_back();
                share.held = 0;
            }
        }
    }

    /// So much was used, whatever is held; gives how much of it counts in the running window. Places are not used up.
    pub(super) fn charge(&mut self, used: u64, share: &mut Share, now: Now) -> u64 {
        let forgives = share.in_shadow && self.mode == Mode::Enforce;
        match &mut self.kind {
            Kind::Rolling(rate) if forgives => rate.charge_to_limit(used, now.instant),
            Kind::Rolling(rate) => rate.charge(used, now.instant),
            Kind::Calendar(budget) if forgives => budget.charge_to_limit(used, share, now.wall),
            Kind::Calendar(budget) => budget.charge(used, share, now.wall),
            Kind::Concurrent(_) => 0,
        }
    }

    /// What an earlier process had, and could have.
    fn restore(&mut self, row: &Row, now: Now) {
        match &mut self.kind {
            Kind::Rolling(rate) => rate.restore(row, now),
            Kind::Calendar(budget) => budget.restore(row, now.wall),
            Kind::Concurrent(_) => {}
        }
    }

    /// How what is settled comes to count no more; none where nothing is.
    pub(super) fn lapse(&self) -> Option<Lapse> {
        match &self.kind {
            Kind::Rolling(rate) => Some(rate.lapse()),
            Kind::Calendar(budget) => Some(Lapse::Turns { at: budget.end() }),
            Kind::Concurrent(_) => None,
        }
    }

    /// The civil time as of which it is, told by a moment.
    pub(super) fn as_of(&self, anchor: Now) -> Timestamp {
        match &self.kind {
            Kind::Rolling(rate) => rate.as_of(anchor),
            Kind::Calendar(_) | Kind::Concurrent(_) => anchor.wall,
        }
    }

    /// What a row ahead of use is made of; none of what no store keeps.
    pub(super) fn standing_ahead(&self) -> Option<Ahead> {
        let (limit, reserved) = (self.limit(), self.reserved());
        let room = match &self.kind {
            Kind::Rolling(_) => u64::MAX,
            Kind::Calendar(_) | Kind::Concurrent(_) => {
                self.grantable().saturating_sub(self.settled().saturating_add(reserved))
            }
        };
        Some(Ahead { lapse: self.lapse()?, limit, reserved, room })
    }

    /// Lets time act.
    pub(super) fn advance(&mut self, now: Now) {
        match &mut self.kind {
            Kind::Rolling(rate) => rate.advance(now.instant),
            Kind::Calendar(budget) => budget.advance(now.wall),
            Kind::Concurrent(_) => {}
        }
    }

    pub(super) fn is_idle(&mut self, now: Now) -> bool {
        self.advance(now);
        match &mut self.kind {
            Kind::Rolling(rate) => rate.is_idle(),
            Kind::Calendar(budget) => budget.is_idle(now.wall),
            Kind::Concurrent(places) => places.held() == 0,
        }
    }

    /// What is used and still counts, a begun one as a whole.
    pub(super) fn settled(&self) -> u64 {
        match &self.kind {
            Kind::Rolling(rate) => rate.settled(),
            Kind::Calendar(budget) => budget.settled(),
            Kind::Concurrent(_) => 0,
        }
    }

    pub(super) fn reserved(&self) -> u64 {
        match &self.kind {
            Kind::Rolling(rate) => rate.reserved(),
            Kind::Calendar(budget) => budget.reserved(),
            Kind::Concurrent(places) => places.held().into(),
        }
    }

    /// The limit in force.
    pub(super) fn limit(&self) -> u64 {
        match &self.kind {
            Kind::Rolling(rate) => rate.amount(),
            Kind::Calendar(budget) => budget.amount(),
            Kind::Concurrent(places) => places.amount().into(),
        }
    }

    /// What of the limit in force is granted; the rest is kept back.
    pub(super) fn grantable(&self) -> u64 {
        match &self.kind {
            Kind::Rolling(rate) => rate.grantable(),
            Kind::Calendar(budget) => budget.grantable(),
            Kind::Concurrent(places) => places.amount().into(),
        }
    }

    /// When its window turns, if it does.
    pub(super) fn turns(&self) -> Option<Timestamp> {
        match &self.kind {
            Kind::Calendar(budget) => Some(budget.end()),
            Kind::Rolling(_) | Kind::Concurrent(_) => None,
        }
    }

    /// Where a caller stands; none where there is no window.
    pub(super) fn standing(&self) -> Option<Standing> {
        match &self.kind {
            Kind::Rolling(rate) => Some(rate.standing()),
            Kind::Calendar(budget) => Some(budget.standing()),
            Kind::Concurrent(_) => None,
        }
    }
}
