//! Random schedules of a ledger that outlives its process: calls, a store that fails, crashes and clean stops. Here for the
//! unit tests and for the soak (`tests/soak`), as the books.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;

use super::schedules::{later, rule, start, windowed};
use crate::clock::{Now, TimeZone};
use crate::ids::{ModelId, UserId};
use crate::limits::store::{Lapse, Row, Store, StoreError};
use crate::limits::{
    Amounts, Ask, Calendar, CellUse, Each, Exceeded, Lack, Ledger, Reservation, Rule, Turn, Unit, Window,
};
use crate::units::{NanoUsd, Tokens};

const MINUTE: Duration = Duration::from_secs(60);

/// What survives a crash, and how it fails on demand.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    pub(super) rows: Arc<Mutex<BTreeMap<String, Row>>>,
    fails: Arc<AtomicBool>,
    /// A failure after the rows were taken.
    pub(super) takes_and_fails: Arc<AtomicBool>,
    writes: Arc<AtomicUsize>,
    /// Whether the process that has it has crashed; of one process.
    unplugged: Arc<AtomicBool>,
}

impl Store for Disk {
    fn rows(&mut self) -> Result<Vec<(String, Row)>, StoreError> {
        Ok(self.rows.lock().clone().into_iter().collect())
    }

    fn write(&mut self, gone: &[Arc<str>], kept: &[(Arc<str>, Row)]) -> Result<(), StoreError> {
        if self.unplugged.load(Ordering::Relaxed) {
            return Err(StoreError::new("the process is no more"));
        }
        if self.fails.load(Ordering::Relaxed) {
            return Err(StoreError::new("the disk is full"));
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        let mut rows = self.rows.lock();
        rows.retain(|key, _| !gone.iter().any(|gone| **gone == **key));
        rows.extend(kept.iter().map(|(key, row)| (key.to_string(), *row)));
        match self.takes_and_fails.load(Ordering::Relaxed) {
            true => Err(StoreError::new("the disk did not say")),
            false => Ok(()),
        }
    }
}

impl Disk {
    /// The ledger of a process that begins.
    pub(super) fn ledger(&self, now: Now) -> Arc<Ledger> {
        Arc::new(Ledger::durable(Box::new(self.clone()), now).unwrap())
    }

    /// The process crashes: the disk takes nothing more of it.
    fn unplug(&mut self) {
        self.unplugged.store(true, Ordering::Relaxed);
        self.unplugged = Arc::default();
    }

    pub(super) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }

    pub(super) fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.rows.lock().keys().cloned().collect()
    }
}

fn used(n: u64) -> Amounts {
    Amounts { input: Tokens(n), output: Tokens(0), usd: NanoUsd(0) }
}

/// Asks, lets the store take what it is asked for, and asks again: what the relay does.
pub(super) fn admit(
    ledger: &Arc<Ledger>,
    rules: &Arc<[Rule]>,
    ask: &Ask<'_>,
    now: Now,
) -> Result<Reservation, Exceeded> {
    for _ in 0..3 {
        match ledger.reserve(rules, ask, now) {
            Err(exceeded) if exceeded.lack == Lack::Lease => ledger.write(),
            answer => return answer,
        }
    }
    ledger.reserve(rules, ask, now)
}

/// What happens.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Call { user: u8, ask: u64 },
    Settle { call: usize, used: u64 },
    Charge { call: usize, used: u64 },
    Drop { call: usize },
    Pass { secs: u64 },
    Writer,
    Fail(bool),
    Unsure(bool),
    Reload { rate: u64, budget: u64 },
    Crash,
    Stop,
}

/// Schedules.
pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let call = 0..6_usize;
    let step = prop_oneof![
        8 => (0..3_u8, 1..400_u64).prop_map(|(user, ask)| Step::Call { user, ask }),
        6 => (call.clone(), 0..600_u64).prop_map(|(call, used)| Step::Settle { call, used }),
        2 => (call.clone(), 0..600_u64).prop_map(|(call, used)| Step::Charge { call, used }),
        1 => call.prop_map(|call| Step::Drop { call }),
        2 => prop_oneof![0..90_u64, 0..200_000_u64].prop_map(|secs| Step::Pass { secs }),
        3 => Just(Step::Writer),
        1 => any::<bool>().prop_map(Step::Fail),
        1 => any::<bool>().prop_map(Step::Unsure),
        1 => (500..5_000_u64, 500..50_000_u64).prop_map(|(rate, budget)| Step::Reload { rate, budget }),
        1 => Just(Step::Crash),
        1 => Just(Step::Stop),
    ];
    prop::collection::vec(step, 1..120)
}

/// A machine on which egret runs, crashes and starts again.
pub(crate) struct World {
    disk: Disk,
    ledger: Arc<Ledger>,
    rules: Arc<[Rule]>,
    now: Now,
    calls: Vec<Reservation>,
    pub(crate) grants: u64,
    pub(crate) refusals: u64,
}

impl World {
    fn rules(rate: u64, budget: u64) -> Arc<[Rule]> {
        let day = Window::Calendar(Calendar { turn: Turn::Day, zone: Arc::new(TimeZone::UTC) });
        [
            rule("tpm", windowed(Unit::Tokens, rate, Window::Rolling(MINUTE)), Some(Each::User)),
            rule("day", windowed(Unit::Tokens, budget, day), None),
            rule("rpm", windowed(Unit::Requests, 300, Window::Rolling(MINUTE)), None),
        ]
        .into()
    }

    pub(crate) fn new() -> Self {
        let (disk, now) = (Disk::default(), start());
        Self {
            ledger: disk.ledger(now),
            disk,
            rules: Self::rules(3_000, 20_000),
            now,
            calls: Vec::new(),
            grants: 0,
            refusals: 0,
        }
    }

    fn count(&mut self, granted: bool) {
        if granted {
            self.grants += 1;
        } else {
            self.refusals += 1;
        }
    }

    fn counts(&self) -> BTreeMap<(String, Option<String>), (u64, u64)> {
        let cells = self.ledger.usage(self.now).into_iter();
        cells
            .map(|cell| ((cell.key.as_str().to_owned(), cell.value), (cell.settled, cell.reserved)))
            .collect()
    }

    /// What a process that began now would count at most.
    fn told(&self, cell: &CellUse) -> u64 {
        let rows = self.disk.rows.lock();
        let value =
            cell.value.as_ref().map_or_else(|| "whole \"\"".to_owned(), |value| format!("named \"{value}\""));
        let of = |key: &str| key.contains(&format!("\"{}\"", cell.key)) && key.ends_with(&value);
        rows.iter().find(|(key, _)| of(key)).map_or(0, |(_, row)| match row.lapse {
            Lapse::Leaks { per, .. } => {
                row.ahead + row.remaining_parts(self.now.wall).div_ceil(per.into()) as u64
            }
            Lapse::Turns { at } if self.now.wall < at => row.settled + row.ahead,
            Lapse::Turns { .. } => 0,
        })
    }

    pub(crate) fn step(&mut self, step: &Step) {
        match *step {
            Step::Call { user, ask: n } => {
                let user = UserId::from(format!("user {user}"));
                let model = ModelId::from("model");
                let ask = Ask { user: Some(&user), app: None, key: None, model: &model, amounts: used(n) };
                let admitted = admit(&self.ledger, &self.rules, &ask, self.now);
                self.count(admitted.is_ok());
                if let Ok(mut call) = admitted {
                    let own = Some(user.as_str());
                    for cell in self.ledger.usage(self.now) {
                        let is_asked = cell.value.is_none() || cell.value.as_deref() == own;
                        assert!(!is_asked || cell.settled + cell.reserved <= cell.limit, "{cell:?}");
                        assert!(!is_asked || self.told(&cell) >= cell.settled + cell.reserved, "{cell:?}");
                    }
                    call.written(self.now);
                    self.calls.push(call);
                }
            }
            Step::Settle { call, used: n } if call < self.calls.len() => {
                let mut call = self.calls.swap_remove(call);
                call.settle(&used(n), self.now);
            }
            Step::Charge { call, used: n } if call < self.calls.len() => {
                self.calls[call].charge(&used(n), self.now);
            }
            Step::Drop { call } if call < self.calls.len() => drop(self.calls.swap_remove(call)),
            Step::Settle { .. } | Step::Charge { .. } | Step::Drop { .. } => {}
            Step::Pass { secs } => {
                // The writer needs no second.
                self.ledger.write();
                self.now = later(self.now, Duration::from_secs(secs));
            }
            Step::Writer => self.ledger.write(),
            Step::Fail(fails) => {
                self.disk.fail(fails);
                self.ledger.write();
            }
            Step::Unsure(unsure) => {
                self.disk.takes_and_fails.store(unsure, Ordering::Relaxed);
                self.ledger.write();
            }
            Step::Reload { rate, budget } => {
                self.rules = Self::rules(rate, budget);
                self.ledger.restore(self.rules.iter(), self.now);
            }
            Step::Crash => self.restart(false),
            Step::Stop => self.restart(true),
        }
    }

    /// What it counts afterwards is what it counted before: less in no case, and more at most by what was ahead.
    fn restart(&mut self, cleanly: bool) {
        let was_down = self.ledger.is_down() || self.disk.fails.load(Ordering::Relaxed);
        let unsure = self.disk.takes_and_fails.load(Ordering::Relaxed);
        if cleanly {
            self.calls.clear();
            self.ledger.close(self.now);
        }
        let before = self.counts();
        // Calls that a crash cuts say nothing any more, nor does their process.
        self.disk.unplug();
        self.calls.clear();
        self.ledger = self.disk.ledger(self.now);
        self.ledger.restore(self.rules.iter(), self.now);
        let after = self.counts();
        let nothing = (0, 0);
        for (cell, (settled, reserved)) in &before {
            let (found, _) = after.get(cell).unwrap_or(&nothing);
            // While the store fails, what is beyond the leases is in memory alone.
            assert!(was_down || found >= settled, "{cell:?}: {found} of {settled}");
            let block = if cleanly && !was_down { 0 } else { 2_500 };
            let most = if cleanly && !was_down { *settled } else { settled + reserved + block };
            assert!(was_down || unsure || *found <= most, "{cell:?}: {found}, {settled} and {reserved}");
        }
    }

    /// The store works again; then a crash, and a clean stop.
    pub(crate) fn end(&mut self) {
        self.disk.fail(false);
        self.disk.takes_and_fails.store(false, Ordering::Relaxed);
        self.ledger.write();
        self.ledger.write();
        self.restart(false);
        self.restart(true);
    }
}
