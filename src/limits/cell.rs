//! One cell: what is held against one limit by one user, app, key, model or tenant.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::concurrency::Concurrency;
use super::rate::Rate;
use super::rule::{Quota, Standing};
use crate::clock::Instant;

/// A count under a short lock; whoever holds an `Arc` of it keeps it in its table.
#[derive(Debug)]
pub(super) struct Cell {
    value: Value,
    count: Mutex<Count>,
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

/// The words of a cell; they change together.
#[derive(Debug)]
pub(super) enum Count {
    Rolling(Rate),
    Concurrent(Concurrency),
}

/// Why one more does not fit; the longer wait is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Short {
    For(Duration),
    /// Until another call ends.
    UntilFreed,
}

impl Cell {
    pub(super) fn new(value: Value, quota: Quota, now: Instant) -> Self {
        Self { value, count: Mutex::new(Count::new(quota, now)) }
    }

    /// Several are locked only in the order of [`Cell::order`].
    pub(super) fn lock(&self) -> MutexGuard<'_, Count> {
        self.count.lock()
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
    pub(super) fn is_replaceable(cell: &mut Arc<Self>, now: Instant) -> bool {
        Arc::get_mut(cell).is_some_and(|cell| cell.count.get_mut().is_idle(now))
    }
}

impl Count {
    fn new(quota: Quota, now: Instant) -> Self {
        match quota {
            Quota::Requests { amount, per } => Self::Rolling(Rate::new(amount, per, now)),
            Quota::Concurrent { amount } => Self::Concurrent(Concurrency::new(amount)),
        }
    }

    /// Puts a limit in force from `now` on; what was used stays.
    pub(super) fn adopt(&mut self, quota: Quota, now: Instant) {
        match (&mut *self, quota) {
            (Self::Rolling(rate), Quota::Requests { amount, per }) => rate.adopt(amount, per, now),
            (Self::Concurrent(places), Quota::Concurrent { amount }) => places.adopt(amount),
            // The unit is part of a cell's identity, so these never meet; a new unit is a fresh count.
            (Self::Rolling(_), Quota::Concurrent { .. }) | (Self::Concurrent(_), Quota::Requests { .. }) => {
                *self = Self::new(quota, now);
            }
        }
    }

    /// Why one more does not fit, as of the last [`Count::adopt`]; none where it does.
    pub(super) fn short(&self) -> Option<Short> {
        match self {
            Self::Rolling(rate) => rate.short().map(Short::For),
            Self::Concurrent(places) => places.is_full().then_some(Short::UntilFreed),
        }
    }

    pub(super) fn hold(&mut self) {
        match self {
            Self::Rolling(rate) => rate.hold(),
            Self::Concurrent(places) => places.hold(),
        }
    }

    /// Undoes one [`Count::hold`].
    pub(super) fn give_back(&mut self) {
        match self {
            Self::Rolling(rate) => rate.refund(),
            Self::Concurrent(places) => places.give_back(),
        }
    }

    /// What was held is used; whether that ends the holding (a place is held until it is given back).
    pub(super) fn settle(&mut self, now: Instant) -> bool {
        match self {
            Self::Rolling(rate) => {
                rate.settle(now);
                true
            }
            Self::Concurrent(_) => false,
        }
    }

    /// Lets time act.
    pub(super) fn advance(&mut self, now: Instant) {
        match self {
            Self::Rolling(rate) => rate.advance(now),
            Self::Concurrent(_) => {}
        }
    }

    pub(super) fn is_idle(&mut self, now: Instant) -> bool {
        self.advance(now);
        match self {
            Self::Rolling(rate) => rate.is_idle(),
            Self::Concurrent(places) => places.held() == 0,
        }
    }

    /// Where a caller stands; none where nothing rolls.
    pub(super) fn standing(&self) -> Option<Standing> {
        match self {
            Self::Rolling(rate) => Some(rate.standing()),
            Self::Concurrent(_) => None,
        }
    }
}
