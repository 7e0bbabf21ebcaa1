//! Between cells and the store that outlives the process: who asks for more, one writer, and what holds while the store
//! fails. A call's path touches only its cells; the store may be slow.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::cell::{Cell, Value};
use super::limit::Name;
use super::store::{Row, Store, StoreError};
use crate::clock::{Now, Timestamp};
use crate::meters::Counter;

/// Which cells have rows, and under which names.
#[derive(Clone, Debug)]
pub(super) struct Leased {
    pub(super) lease: Arc<Lease>,
    name: Name,
    /// The limit under its old key.
    was: Option<Name>,
}

impl Leased {
    pub(super) fn new(lease: &Arc<Lease>, name: &Name, was: Option<Name>) -> Self {
        Self { lease: Arc::clone(lease), name: name.clone(), was }
    }

    /// The same where the limit has another name from here on.
    pub(super) fn renamed(&self, name: &Name) -> Self {
        Self { lease: Arc::clone(&self.lease), name: name.clone(), was: Some(self.name.clone()) }
    }

    /// The key of a cell's row.
    pub(super) fn key(&self, value: &Value) -> Arc<str> {
        key(&self.name, value).into()
    }

    /// The key of a cell, and its row from an earlier process. A row under the limit's old key goes when the first
    /// under its new one is written.
    pub(super) fn claim(&self, value: &Value) -> (Arc<str>, Option<Row>, Option<Arc<str>>) {
        let key = self.key(value);
        let mut unclaimed = self.lease.unclaimed.lock();
        if let Some(row) = unclaimed.remove(&*key) {
            return (key, Some(row), None);
        }
        let old = self.was.as_ref().map(|was| self::key(was, value));
        match old.and_then(|old| unclaimed.remove_entry(&old)) {
            Some((old, row)) => (key, Some(row), Some(old.into())),
            None => (key, None, None),
        }
    }

    /// Whose cells have rows that are not yet claimed: `None` for the one without a name.
    pub(super) fn unclaimed(&self) -> Vec<Option<String>> {
        let unclaimed = self.lease.unclaimed.lock();
        let of = |name: &Name| {
            let prefix = prefix(name);
            let from_here = unclaimed.range(prefix.clone()..);
            let ours = from_here.map_while(|(key, _)| key.strip_prefix(&prefix));
            ours.filter_map(value_of).collect::<Vec<_>>()
        };
        let mut values = of(&self.name);
        values.extend(self.was.iter().flat_map(of));
        values
    }
}

/// `["tenant","checkout","rpm","requests",null,"user"] named "kim"`: readable, and no name runs into the next.
fn key(name: &Name, value: &Value) -> String {
    let (kind, text) = match value {
        Value::Whole => ("whole", ""),
        Value::Named(text) => ("named", &**text),
        Value::Nameless => ("nameless", ""),
        Value::Overflow => ("overflow", ""),
    };
    format!("{}{kind} {}", prefix(name), serde_json::Value::from(text))
}

/// What all cells of a limit have in common.
fn prefix(name: &Name) -> String {
    let Name { owner, key, unit, turn, each } = name;
    let list = serde_json::json!([
        owner.kind(),
        &*owner.name(),
        key.as_str(),
        unit.as_str(),
        turn.map(super::Turn::as_str),
        each.map(super::Each::as_str)
    ]);
    format!("{list} ")
}

/// The name in the rest of a key; none where the cell needs no name to be found, or is found by nobody.
fn value_of(rest: &str) -> Option<Option<String>> {
    let (kind, text) = rest.split_once(' ')?;
    match kind {
        "named" => serde_json::from_str(text).ok().map(Some),
        "nameless" => Some(None),
        _ => None,
    }
}

/// What a lease counts of its own doing.
#[derive(Debug, Default)]
pub struct LeaseMeters {
    /// Transactions that the store took.
    pub written: Counter,
    /// Those that it did not.
    pub failed: Counter,
    /// Rows that it took.
    pub rows: Counter,
}

/// The ledger's side of a store.
pub(super) struct Lease {
    store: Mutex<Box<dyn Store>>,
    /// Rows of earlier processes whose cells nobody has asked for.
    unclaimed: Mutex<BTreeMap<String, Row>>,
    queue: Mutex<Queue>,
    /// The queue is no longer empty, or it is time to end.
    wake: Condvar,
    /// A turn is over.
    turned: Condvar,
    /// The same for callers that wait: the store has taken rows, or has failed.
    renewed: Arc<Notify>,
    down: AtomicBool,
    pub(super) meters: LeaseMeters,
}

/// What is to be written. Bounded: each cell is in it at most once, and each that is gone was a cell.
#[derive(Default)]
struct Queue {
    cells: Vec<Arc<Cell>>,
    gone: Vec<Arc<str>>,
    /// How many turns have begun, each of which took what there was, and how many are over.
    begun: u64,
    over: u64,
    /// Whether there is a thread that writes.
    is_kept: bool,
    ending: bool,
}

/// How long a settlement waits for a store that does not answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a store that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

impl Lease {
    /// Reads what the store has; what counts no more is removed with the first write.
    pub(super) fn open(mut store: Box<dyn Store>, now: Timestamp) -> Result<Self, StoreError> {
        let unclaimed = store.rows()?.into_iter().collect();
        let lease = Self {
            store: Mutex::new(store),
            unclaimed: Mutex::new(unclaimed),
            queue: Mutex::default(),
            wake: Condvar::new(),
            turned: Condvar::new(),
            renewed: Arc::default(),
            down: AtomicBool::new(false),
            meters: LeaseMeters::default(),
        };
        lease.sweep(now);
        Ok(lease)
    }

    /// Whether the store fails.
    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// Resolves when the store has taken rows or failed; what happens from its making on counts once it is enabled.
    pub(super) fn renewed(&self) -> OwnedNotified {
        Arc::clone(&self.renewed).notified_owned()
    }

    /// A cell is to be written; its own lock is held, so that it comes once.
    pub(super) fn push(&self, cell: Arc<Cell>) {
        self.queue.lock().cells.push(cell);
        self.wake.notify_one();
    }

    /// A cell's row is to be removed.
    pub(super) fn remove(&self, key: Arc<str>) {
        self.queue.lock().gone.push(key);
        self.wake.notify_one();
    }

    /// Forgets rows that count no more, and that nobody has claimed.
    pub(super) fn sweep(&self, now: Timestamp) {
        let mut gone = Vec::new();
        self.unclaimed.lock().retain(|key, row| {
            let counts = row.counts(now);
            if !counts {
                gone.push(Arc::from(key.as_str()));
            }
            counts
        });
        if !gone.is_empty() {
            self.queue.lock().gone.append(&mut gone);
            self.wake.notify_one();
        }
    }

    /// Returns when what is queued is written: for what was used beyond every lease. While the store fails nobody waits
    /// for it; the writer tries again.
    pub(super) fn write_through(&self) {
        if self.is_down() {
            return;
        }
        let mut queue = self.queue.lock();
        if !queue.is_kept {
            drop(queue);
            return self.turn();
        }
        // What is not in the queue any more is in the turn that took it last.
        let turn = queue.begun + u64::from(!queue.is_empty());
        let waited = self.turned.wait_while_for(&mut queue, |queue| queue.over < turn, PATIENCE);
        drop(queue);
        if waited.timed_out() {
            self.is_late();
        }
    }

    /// The store has not answered for too long.
    pub(super) fn is_late(&self) {
        self.fails(&StoreError::new("it does not answer"));
        self.renewed.notify_waiters();
    }

    /// Writes until it is ended; what the writing thread does.
    pub(super) fn run(&self) {
        loop {
            let mut queue = self.queue.lock();
            queue.is_kept = !queue.ending;
            self.wake.wait_while(&mut queue, |queue| queue.is_empty() && !queue.ending);
            if self.is_down() {
                self.wake.wait_while_for(&mut queue, |queue| !queue.ending, RETRY);
            }
            if queue.ending {
                queue.is_kept = false;
                return;
            }
            drop(queue);
            self.turn();
        }
    }

    /// Writes what is queued, in one transaction. Whoever calls it meanwhile waits for its end, and for its own rows.
    pub(super) fn turn(&self) {
        let Some(mut store) = self.store.try_lock_for(PATIENCE) else {
            return self.is_late();
        };
        let (cells, mut gone) = self.queue.lock().take();
        let kept: Vec<(Arc<str>, Row)> = cells.iter().filter_map(|cell| cell.prepare(&mut gone)).collect();
        let written = if kept.is_empty() && gone.is_empty() { Ok(()) } else { store.write(&gone, &kept) };
        match written {
            Ok(()) => {
                cells.iter().for_each(|cell| cell.commit());
                self.meters.written.increment();
                self.meters.rows.add(kept.len() as u64);
                self.succeeds();
            }
            Err(error) => {
                cells.iter().for_each(|cell| cell.abandon());
                self.queue.lock().gone.splice(0..0, gone);
                self.meters.failed.increment();
                self.fails(&error);
            }
        }
        // Before the next turn begins: they are told apart by their number.
        self.queue.lock().end_turn();
        drop(store);
        self.turned.notify_all();
        self.renewed.notify_waiters();
    }

    /// Ends the writer, and gives back what is ahead: each row becomes what its cell has used.
    pub(super) fn close(&self, cells: &[Arc<Cell>], now: Now) {
        self.queue.lock().ending = true;
        self.wake.notify_all();
        let Some(mut store) = self.store.try_lock_for(PATIENCE) else {
            return self.is_late();
        };
        // Kept until the end: the last of a cell looks for the queue.
        let (_queued, mut gone) = self.queue.lock().take();
        let mut kept = Vec::new();
        for cell in cells {
            cell.close(now, &mut kept, &mut gone);
        }
        if kept.is_empty() && gone.is_empty() {
            return;
        }
        match store.write(&gone, &kept) {
            Ok(()) => self.succeeds(),
            Err(error) => self.fails(&error),
        }
    }

    fn succeeds(&self) {
        if self.down.swap(false, Ordering::Relaxed) {
            tracing::warn!("the ledger's store is back: limits are counted durably again");
        }
    }

    fn fails(&self, error: &StoreError) {
        if !self.down.swap(true, Ordering::Relaxed) {
            let error = error as &dyn std::error::Error;
            tracing::error!(
                error,
                "the ledger's store fails: limits do as their onLedgerDown says until it is back"
            );
        }
    }
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.gone.is_empty()
    }

    fn take(&mut self) -> (Vec<Arc<Cell>>, Vec<Arc<str>>) {
        self.begun += 1;
        (std::mem::take(&mut self.cells), std::mem::take(&mut self.gone))
    }

    fn end_turn(&mut self) {
        self.over = self.begun;
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("down", &self.is_down()).finish_non_exhaustive()
    }
}
