//! The ledger under random schedules, many of them: in memory against books kept beside it and compared after every step,
//! and in a store against what it counted before each crash.
//!
//! ```sh
//! cargo run --release --example soak -- --schedules 1000000
//! cargo run --example soak -- --seconds 60 --seed 7
//! ```
//!
//! A schedule is up to 120 steps: calls that begin, are written, charged, resized, settled or left at any point, policies
//! that change, remove or rename limits, time that passes, clocks that step back; of every other batch stores that fail,
//! crashes and clean stops. One that fails is made smaller until
//! nothing can be left out, and printed with the seed that gives it again; the exit code is 1 then.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and this one prints what it found"
)]

#[path = "../../src/limits/tests/books.rs"]
mod books;

#[path = "../../src/limits/tests/schedules.rs"]
mod schedules;

#[path = "../../src/limits/tests/crashes.rs"]
#[allow(dead_code, reason = "unit tests use more of it")]
mod crashes;

// Where the books look for them.
use egret::{clock, ids, limits, units};

use std::fmt::Debug;
use std::ops::AddAssign;
use std::panic;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use clap::Parser;
use egret::random::Random;
use parking_lot::Mutex;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

use clock::Instant;

/// Random schedules of calls against the ledger.
#[derive(Clone, Copy, Parser)]
struct Arguments {
    /// How many; without it as many as there is time for.
    #[arg(long)]
    schedules: Option<u64>,
    /// How long; where a number of schedules is given, until those are through.
    #[arg(long, default_value_t = 60, conflicts_with = "schedules")]
    seconds: u64,
    /// Gives the same schedules again; without it, new ones.
    #[arg(long)]
    seed: Option<u64>,
}

/// So many schedules come of one seed; the next seed gives the next.
const BATCH: u32 = 64;
/// Tries to make a schedule smaller that fails.
const SMALLER: u32 = 20_000;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| Random::from_os().u64() >> 16);
    // What a schedule panics of is told once, with the schedule.
    panic::set_hook(Box::new(|_| {}));
    let begun = Instant::now();
    let (all, failed) = run(arguments, seed);
    let seconds = begun.elapsed().as_secs_f64();
    let Tally { schedules, steps, grants, refusals } = all;
    println!(
        "seed {seed}: {schedules} schedules, {steps} steps, {grants} grants, {refusals} refusals in {seconds:.1} s"
    );
    match failed {
        None => {
            println!("ok: no schedule differs from its books, none loses or makes up anything in a crash");
            ExitCode::SUCCESS
        }
        Some(fault) => {
            println!(
                "not so: no schedule differs from its books, none loses or makes up anything in a crash\n{fault}"
            );
            ExitCode::FAILURE
        }
    }
}

/// On every core, until all is done or something failed.
fn run(arguments: Arguments, seed: u64) -> (Tally, Option<String>) {
    let until = Instant::now() + Duration::from_secs(arguments.seconds);
    let batches = arguments.schedules.map(|schedules| schedules.div_ceil(BATCH.into()));
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let (all, failed) = (Mutex::new(Tally::default()), Mutex::new(None));
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let batch = next.fetch_add(1, Ordering::Relaxed);
            if batches.map_or_else(|| Instant::now() >= until, |batches| batch >= batches) {
                return;
            }
            let (tally, fault) = run_batch(seed.wrapping_add(batch));
            *all.lock() += tally;
            if let Some(fault) = fault {
                stop.store(true, Ordering::Relaxed);
                failed.lock().get_or_insert(fault);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    (all.into_inner(), failed.into_inner())
}

/// The schedules of one seed; what failed, at its smallest. An odd one's are of crashes.
fn run_batch(seed: u64) -> (Tally, Option<String>) {
    if seed.is_multiple_of(2) {
        followed(seed, &schedules::steps(), |schedule| {
            let mut world = books::World::new();
            schedule.iter().for_each(|step| world.step(step));
            world.end();
            (world.grants, world.refusals)
        })
    } else {
        followed(seed, &crashes::steps(), |schedule| {
            let mut world = crashes::World::new();
            schedule.iter().for_each(|step| world.step(step));
            world.end();
            (world.grants, world.refusals)
        })
    }
}

/// Follows the schedules of a seed, of which each gives how much was granted and refused.
fn followed<S: Debug>(
    seed: u64,
    schedules: &impl Strategy<Value = Vec<S>>,
    follow: impl Fn(&[S]) -> (u64, u64),
) -> (Tally, Option<String>) {
    let mut runner = TestRunner::new(Config {
        cases: BATCH,
        max_shrink_iters: SMALLER,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..Config::default()
    });
    let tally = Mutex::new(Tally::default());
    let done = runner.run(schedules, |schedule| {
        let (grants, refusals) = follow(&schedule);
        *tally.lock() += Tally { schedules: 1, steps: schedule.len() as u64, grants, refusals };
        Ok(())
    });
    let fault = match done {
        Ok(()) => None,
        Err(TestError::Fail(why, schedule)) => {
            let steps: String = schedule.iter().map(|step| format!("  {step:?}\n")).collect();
            Some(format!(
                "{why}\nafter these steps, given again by `--seed {seed} --schedules {BATCH}`:\n{steps}"
            ))
        }
        Err(TestError::Abort(why)) => Some(why.to_string()),
    };
    (tally.into_inner(), fault)
}

/// What was done.
#[derive(Clone, Copy, Default)]
struct Tally {
    schedules: u64,
    steps: u64,
    grants: u64,
    refusals: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.schedules += other.schedules;
        self.steps += other.steps;
        self.grants += other.grants;
        self.refusals += other.refusals;
    }
}
