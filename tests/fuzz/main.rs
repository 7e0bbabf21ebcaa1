//! Bytes of any kind against what reads them: the samples of this repository, changed at random.
//!
//! ```sh
//! cargo run --release --example fuzz -- --target all --seconds 600 --seed 1
//! cargo run --example fuzz -- --target edit --replay target/fuzz/edit.bin
//! ```
//!
//! A target panics where what it promises does not hold. The input is saved then, and the exit code is 1. An input that
//! says something to a target joins the samples, so that changes of it are tried as well.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and this one prints what it found"
)]

mod change;
mod corpus;
mod targets;

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use egret::clock::Instant;
use egret::random::Random;
use parking_lot::Mutex;

use self::corpus::Corpus;
use self::targets::{TARGETS, Target};

/// Changed samples against what reads them.
#[derive(Parser)]
struct Arguments {
    /// One of sse, edit, errors, decode-chat, decode-responses, decode-messages, decode-generate; or all.
    #[arg(long, default_value = "all")]
    target: String,
    /// How long, all targets together.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Gives the same inputs again, as far as the time goes; without it, new ones.
    #[arg(long)]
    seed: Option<u64>,
    /// Only this input.
    #[arg(long)]
    replay: Option<PathBuf>,
}

/// What the last panic said.
static SAID: Mutex<String> = Mutex::new(String::new());

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let chosen: Vec<_> = TARGETS
        .iter()
        .filter(|target| arguments.target == "all" || arguments.target == target.name)
        .collect();
    if chosen.is_empty() {
        println!("there is no target `{}`", arguments.target);
        return ExitCode::FAILURE;
    }
    panic::set_hook(Box::new(|panic| *SAID.lock() = panic.to_string()));
    if let Some(path) = &arguments.replay {
        let input = fs::read(path).unwrap();
        let held = chosen.iter().filter(|target| holds(target, &input)).count();
        return if held == chosen.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let seed = arguments.seed.unwrap_or_else(|| Random::from_os().u64() >> 16);
    let time = Duration::from_secs(arguments.seconds) / u32::try_from(chosen.len()).unwrap();
    println!("seed {seed}");
    let held = chosen.iter().filter(|target| fuzz(target, seed, time)).count();
    if held == chosen.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether a target held for so long.
fn fuzz(target: &Target, seed: u64, time: Duration) -> bool {
    let random = Random::seeded(seed);
    let mut corpus = Corpus::of_samples();
    let (begun, mut executions) = (Instant::now(), 0_u64);
    let mut last = None;
    // The samples themselves first.
    for input in corpus.inputs.clone() {
        executions += 1;
        if run(target, &input).is_none() {
            last = Some(input);
            break;
        }
    }
    while last.is_none() && begun.elapsed() < time {
        let input = change::changed(&corpus, &random);
        executions += 1;
        match run(target, &input) {
            Some(said) => corpus.note(input, said, &random),
            None => last = Some(input),
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{}: {executions} executions in {seconds:.1} s, {} inputs", target.name, corpus.inputs.len());
    last.is_none_or(|input| {
        save(target, &input);
        false
    })
}

fn holds(target: &Target, input: &[u8]) -> bool {
    let held = run(target, input).is_some();
    println!("{}: {}", target.name, if held { "ok".to_owned() } else { SAID.lock().clone() });
    held
}

/// Whether the input said something to the target; none where it panicked.
fn run(target: &Target, input: &[u8]) -> Option<bool> {
    panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input))).ok()
}

fn save(target: &Target, input: &[u8]) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz");
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join(format!("{}.bin", target.name));
    fs::write(&path, input).unwrap();
    println!("{}\nsaved: {}", SAID.lock(), path.display());
}
