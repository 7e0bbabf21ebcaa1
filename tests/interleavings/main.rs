//! The ledger under orders of its threads that Shuttle chooses: the very files of `src/limits`, built against its locks
//! and atomics.
//!
//! ```sh
//! cargo run --example interleavings
//! ```
//!
//! At every lock and atomic another thread may go on. Not so within dashmap, which finds a limit by its name, nor at the
//! slot of a rule: both stand for a read that is atomic. Nor in the lease of a durable ledger, of which no fact here has
//! one; nor are there calls that wait in line. Cells are locked in the order of their addresses, which the
//! allocator chooses, so that a run which fails is not to be replayed, but soon found again. That it would be found is
//! shown on ledgers that are wrong (`wrong`).

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and this one prints what it found"
)]

mod scenarios;
mod sync;
mod wrong;

#[path = "../../src/limits/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "the rest of egret is not here to use all of it"
)]
mod limits;

// Where the files of `src/limits` look for them.
use egret::{clock, ids, meters, units};

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use parking_lot::Mutex;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, Runner};

/// Orders that are drawn evenly, and orders in which a thread is overtaken at few points, for each fact.
const RANDOM: usize = 2_000;
const OVERTAKEN: usize = 500;
/// At how many points.
const DEPTH: usize = 3;

/// What the first panic of a run said.
static FIRST: Mutex<Option<String>> = Mutex::new(None);

fn main() -> ExitCode {
    // A panic is what a fault looks like, and for the wrong ones it is what must come.
    panic::set_hook(Box::new(|panic| {
        FIRST.lock().get_or_insert_with(|| panic.to_string());
    }));
    let mut all = true;
    for (fact, scenario) in scenarios::FACTS {
        all &= told(fact, found(scenario).as_deref());
    }
    println!("What Shuttle says of a seed from here on is of the wrong ones.");
    for (fact, scenario, fault) in wrong::FACTS {
        let found = found(scenario);
        let is_so = found.as_ref().is_some_and(|found| found.contains(fault));
        let instead = found.as_deref().unwrap_or("nothing was found");
        all &= told(fact, (!is_so).then_some(instead));
    }
    println!("{} orders of threads each", RANDOM + OVERTAKEN);
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Says whether the fact holds; it does where there is no fault.
fn told(fact: &str, fault: Option<&str>) -> bool {
    match fault {
        None => println!("ok: {fact}"),
        Some(fault) => println!("not so: {fact}\n  {fault}"),
    }
    fault.is_none()
}

/// What goes wrong in some order; none where nothing does in any.
fn found(scenario: fn()) -> Option<String> {
    let pct = || PctScheduler::new(DEPTH, OVERTAKEN);
    run(RandomScheduler::new(RANDOM), scenario).or_else(|| run(pct(), scenario))
}

fn run(scheduler: impl Scheduler + 'static, scenario: fn()) -> Option<String> {
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::None;
    config.silence_warnings = true;
    let runner = Runner::new(scheduler, config);
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| runner.run(scenario))).is_err();
    panicked.then(|| FIRST.lock().take().unwrap_or_default())
}
