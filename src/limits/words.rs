//! What stands under a cell's lock: what it counts, who waits for room in it and, where it outlives the process, how much
//! of it is leased.

use std::ops::Deref;
use std::sync::Arc;

use super::cell::{Count, Share};
use super::cover::Cover;
use super::queue::{Caller, Line};
use super::rule::{Mode, Rule};
use super::store::Row;
use crate::clock::Now;

/// They change together. To be read they are the cell's count.
#[derive(Debug)]
pub(super) struct Words {
    count: Count,
    /// Of a cell that outlives the process.
    cover: Option<Box<Cover>>,
    /// None where nobody waits.
    line: Option<Box<Line>>,
}

impl Words {
    pub(super) fn new(count: Count, cover: Option<Cover>) -> Self {
        Self { count, cover: cover.map(Box::new), line: None }
    }

    /// What those ask for who come before a caller of this number, or before one that has none; none where nobody does.
    pub(super) fn ahead(&self, number: Option<u64>) -> Option<u64> {
        self.line.as_ref()?.ahead(number)
    }

    /// Who is to be called when there may be more room.
    pub(super) fn next(&self) -> Option<Arc<Caller>> {
        self.line.as_ref()?.first()
    }

    /// Who waits.
    pub(super) fn line(&mut self) -> &mut Option<Box<Line>> {
        &mut self.line
    }

    /// Puts a limit in force from `now` on; what was used stays.
    pub(super) fn adopt(&mut self, rule: &Rule, now: Now) {
        self.count.adopt(rule, now);
        self.tell(now);
    }

    /// Lets time act.
    pub(super) fn advance(&mut self, now: Now) {
        self.count.advance(now);
        self.tell(now);
    }

    pub(super) fn is_idle(&mut self, now: Now) -> bool {
        self.count.is_idle(now)
    }

    /// Whether what is ahead in the store has `ask` in place of what `share` holds; a cell of this process has all.
    pub(super) fn covers(&self, ask: u64, share: &Share) -> bool {
        let Some(cover) = self.cover.as_ref().filter(|_| ask > 0) else {
            return true;
        };
        let others = self.count.reserved().saturating_sub(share.held);
        cover.covers(self.count.lapse(), others.saturating_add(ask))
    }

    /// Whether the store is to be told anew, whatever is asked.
    pub(super) fn is_stale(&self) -> bool {
        self.cover.as_ref().is_some_and(|cover| cover.is_stale(self.count.lapse()))
    }

    /// A call asked for so much, which is not covered.
    pub(super) fn want(&mut self, ask: u64) {
        if let Some(cover) = &mut self.cover {
            cover.want(ask);
        }
    }

    /// Holds `ask` in place of what the share held; the caller has seen that it fits and is covered. Whether it is time
    /// to ask the store for more.
    pub(super) fn grant(&mut self, ask: u64, share: &mut Share) -> bool {
        self.count.grant(ask, share);
        let Some(cover) = &mut self.cover else { return false };
        self.count.standing_ahead().is_some_and(|standing| cover.is_low(ask, standing))
    }

    /// What the share held will not be used.
    pub(super) fn give_back(&mut self, share: &mut Share) {
        self.count.give_back(share);
    }

    /// So much was used, whatever is held. Whether the store has to be told before anybody hears of it.
    pub(super) fn charge(&mut self, used: u64, share: &mut Share, now: Now) -> bool {
        let counted = self.count.charge(used, share, now);
        let Some(cover) = &mut self.cover else { return false };
        cover.at(now);
        cover.charge(self.count.lapse(), counted)
    }

    /// What was held is used as `used`: one step for all others. Whether the store has to be told.
    pub(super) fn settle(&mut self, used: u64, share: &mut Share, now: Now) -> bool {
        let owes = self.charge(used, share, now);
        self.give_back(share);
        owes
    }

    /// Whether it comes new into the queue to the store.
    pub(super) fn queue(&mut self) -> bool {
        self.cover.as_mut().is_some_and(|cover| cover.queue())
    }

    /// The store has the row that was prepared. Whether another is due at once.
    pub(super) fn commit(&mut self) -> bool {
        self.cover.as_mut().is_some_and(|cover| cover.commit())
    }

    /// The store may have that row, or the one before it.
    pub(super) fn abandon(&mut self) {
        if let Some(cover) = &mut self.cover {
            cover.abandon();
        }
    }

    /// The key of its row.
    pub(super) fn key(&self) -> Option<Arc<str>> {
        Some(self.cover.as_ref()?.key())
    }

    /// The keys of rows to remove with the next that is written.
    pub(super) fn old(&self) -> impl Iterator<Item = Arc<str>> {
        self.cover.iter().flat_map(|cover| cover.old())
    }

    /// Has no row any more. Gives the keys of those that the store may have.
    pub(super) fn forget_row(&mut self) -> Vec<Arc<str>> {
        let cover = self.cover.take().filter(|cover| cover.is_written());
        cover.map(|cover| cover.old().chain([cover.key()]).collect()).unwrap_or_default()
    }

    /// Has its row under another key from here on. Whether that is to be written.
    pub(super) fn rekey(&mut self, key: Arc<str>) -> bool {
        self.cover.as_mut().is_some_and(|cover| cover.rekey(key))
    }

    fn tell(&mut self, now: Now) {
        if let Some(cover) = &mut self.cover {
            cover.at(now);
        }
    }

    /// Whether the store may have a row of it.
    pub(super) fn is_written(&self) -> bool {
        self.cover.as_ref().is_some_and(|cover| cover.is_written())
    }

    /// The row to write.
    pub(super) fn prepare(&mut self) -> Option<Row> {
        let standing = self.count.standing_ahead()?;
        let ahead = self.cover.as_mut()?.prepare(standing);
        self.row(ahead)
    }

    pub(super) fn row(&self, ahead: u64) -> Option<Row> {
        let at = self.count.as_of(self.cover.as_ref()?.anchor());
        let (settled, limit) = (self.count.settled(), self.count.limit());
        let (settled, ahead) = match self.count.mode() {
            Mode::Enforce => (settled, ahead),
            // Whoever reads it may find a limit that refuses: what only counted is no debt.
            Mode::Shadow => (settled.min(limit), ahead.min(limit.saturating_sub(settled))),
        };
        Some(Row { settled, ahead, at, lapse: self.count.lapse()? })
    }
}

impl Deref for Words {
    type Target = Count;

    fn deref(&self) -> &Count {
        &self.count
    }
}
