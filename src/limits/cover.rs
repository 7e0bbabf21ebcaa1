//! Arithmetic of one cell's lease: how much of its limit is written ahead in the store, and when to ask for more.
//!
//! A row says: so much was used as of then, and so much more may be used without telling. What is used and held is
//! never more than that, so whoever reads the row after a crash counts too much rather than too little. The part ahead
//! does not lapse while the process lives: a cell that was idle finds it, and time never takes a lease away.

use std::mem;
use std::sync::Arc;

use super::store::Lapse;
use crate::clock::Now;

/// What the store has of one cell.
#[derive(Debug)]
pub(super) struct Cover {
    /// What is left of the row that the store has; none before the first.
    row: Option<Ahead>,
    /// The same of the row that is being written.
    next: Option<Ahead>,
    /// Whether the cell is in the queue to the store.
    queued: bool,
    /// What callers asked for in vain since the last row.
    wanted: u64,
    /// What a call asks for, by the last one.
    ask: u64,
    /// How much is written ahead; grows with each row up to a share of the limit.
    block: u64,
    /// A moment by which civil time is told from the cell's own.
    anchor: Now,
    /// An earlier process has left a row.
    restored: bool,
    /// The key of its row.
    key: Arc<str>,
    /// Keys that it had, where the limit had other names: their rows go with the next that is written.
    old: Vec<Arc<str>>,
    /// Those that go with the row that is being written.
    going: Vec<Arc<str>>,
}

/// The part ahead of one row.
#[derive(Clone, Copy, Debug)]
struct Ahead {
    lapse: Lapse,
    /// What may yet be used; what is held comes out of it.
    left: u64,
    /// More was used than that.
    overdrawn: bool,
}

/// What a row is made of, as the cell has it now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) lapse: Lapse,
    pub(super) limit: u64,
    pub(super) reserved: u64,
    /// What can yet be granted before the window turns; without end where it leaks.
    pub(super) room: u64,
}

/// The first block, as a share of the limit: a process that crashes early has not claimed much.
const FIRST: u64 = 1024;
/// The largest one.
const LARGEST: u64 = 32;

impl Cover {
    pub(super) fn new(now: Now, key: Arc<str>, restored: bool, old: Option<Arc<str>>) -> Self {
        let (row, next, old, going) = (None, None, old.into_iter().collect(), Vec::new());
        Self { row, next, queued: false, wanted: 0, ask: 0, block: 0, anchor: now, restored, key, old, going }
    }

    /// The key of its row.
    pub(super) fn key(&self) -> Arc<str> {
        Arc::clone(&self.key)
    }

    /// The keys of rows to remove together with the next that is written.
    pub(super) fn old(&self) -> impl Iterator<Item = Arc<str>> {
        self.old.iter().chain(&self.going).cloned()
    }

    /// Has its row under another key from here on. Whether that is to be written: it may have one under the old.
    pub(super) fn rekey(&mut self, key: Arc<str>) -> bool {
        if self.key == key || !self.is_written() {
            self.key = key;
            return false;
        }
        let before = mem::replace(&mut self.key, key);
        self.old.push(before);
        true
    }

    /// Notes what time it is.
    pub(super) fn at(&mut self, now: Now) {
        self.anchor = now;
    }

    pub(super) fn anchor(&self) -> Now {
        self.anchor
    }

    /// Whether so much may be held in all.
    pub(super) fn covers(&self, lapse: Option<Lapse>, held: u64) -> bool {
        self.row.is_some_and(|row| Some(row.lapse) == lapse && held <= row.left)
    }

    /// Whether the store's row lapses in another way than the cell: it is of another limit or window, or there is none.
    pub(super) fn is_stale(&self, lapse: Option<Lapse>) -> bool {
        self.row.is_none_or(|row| Some(row.lapse) != lapse)
    }

    /// Somebody asked in vain.
    pub(super) fn want(&mut self, ask: u64) {
        self.ask = ask;
        self.wanted = self.wanted.saturating_add(ask);
    }

    /// So much is used. Whether it is more than the row in the store covers.
    pub(super) fn charge(&mut self, lapse: Option<Lapse>, used: u64) -> bool {
        if used == 0 {
            return false;
        }
        for row in [&mut self.row, &mut self.next].into_iter().flatten() {
            row.charge(lapse, used);
        }
        self.row.is_none_or(|row| row.overdrawn)
    }

    /// A call of this size was granted. Whether it is time to ask for more.
    pub(super) fn is_low(&mut self, ask: u64, now: Standing) -> bool {
        self.ask = ask;
        let left = self.row.filter(|row| row.lapse == now.lapse).map_or(0, |row| row.left);
        let free = left.saturating_sub(now.reserved);
        free < (self.block / 2).max(ask).max(1).min(now.room)
    }

    /// Whether it comes new into the queue.
    pub(super) fn queue(&mut self) -> bool {
        !mem::replace(&mut self.queued, true)
    }

    /// What the row that is written now has ahead. It has left the queue.
    pub(super) fn prepare(&mut self, now: Standing) -> u64 {
        self.queued = false;
        self.going.append(&mut self.old);
        let largest = (now.limit / LARGEST).max(1);
        self.block = self.block.saturating_mul(2).clamp((now.limit / FIRST).max(1), largest);
        let calls = mem::take(&mut self.wanted).max(self.ask.saturating_mul(2));
        let left = now.reserved.saturating_add(self.block.max(calls).min(now.room));
        if let Some(row) = &mut self.row {
            // Whichever of the two rows a crash leaves covers what is granted meanwhile.
            row.left = row.left.min(left);
        }
        self.next = Some(Ahead { lapse: now.lapse, left, overdrawn: false });
        left
    }

    /// The row is in the store. Whether another is due at once.
    pub(super) fn commit(&mut self) -> bool {
        self.row = self.next.take().or(self.row);
        self.going.clear();
        !self.old.is_empty() || self.wanted > 0 || self.row.is_some_and(|row| row.overdrawn)
    }

    /// The row may be in the store, or the one before it.
    pub(super) fn abandon(&mut self) {
        self.next = None;
    }

    /// Whether the store may have a row.
    pub(super) fn is_written(&self) -> bool {
        self.restored || self.row.is_some() || self.next.is_some()
    }
}

impl Ahead {
    /// A row of a window that has turned, or of another limit, covers nothing.
    fn charge(&mut self, lapse: Option<Lapse>, used: u64) {
        let left = self.left.checked_sub(used).filter(|_| Some(self.lapse) == lapse);
        self.overdrawn |= left.is_none();
        self.left = left.unwrap_or(0);
    }
}
