//! What calls notice of reloads of a large policy: spans without any and spans with one after the other, by turns.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;

use crate::load::LoadReport;
use crate::measure;
use crate::peers::{Setup, Started};

/// How much is measured.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ReloadArgs {
    /// Tenants of the policy, with five limits each, beside the one that calls.
    #[arg(long, default_value_t = 10_000)]
    tenants: usize,
    /// Rounds of a span without reloads and one with them.
    #[arg(long, default_value_t = 4)]
    rounds: u32,
    /// Seconds of each span.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Calls in flight.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// From one change of the file to the next.
    #[arg(long, default_value_t = 2_000)]
    every_ms: u64,
}

/// Runs the rounds and prints a table.
pub(crate) fn run(args: &ReloadArgs, setup: &Setup) -> anyhow::Result<()> {
    let policy = large(&setup.policy(), args.tenants);
    let path = setup.dir.join("large.yaml");
    change(&path, &policy, 0)?;
    let started = setup.start_under(&path)?;
    println!("| | p50 | p99 | calls/s | reloads |\n|---|---:|---:|---:|---:|");
    let mut number = 0;
    for _ in 0..args.rounds {
        span(args, setup, &started, "quiet")?;
        let before = reloads(&started)?;
        let changing = Changing::begin(path.clone(), policy.clone(), number, args.every_ms);
        let report = load(args, setup, &started)?;
        number = changing.end()?;
        show("reloads", &report, reloads(&started)? - before);
    }
    Ok(())
}

fn span(args: &ReloadArgs, setup: &Setup, started: &Started, name: &str) -> anyhow::Result<()> {
    show(name, &load(args, setup, started)?, 0.0);
    Ok(())
}

fn show(name: &str, report: &LoadReport, reloads: f64) {
    let LoadReport { calls, seconds, p50_us, p99_us, .. } = report;
    let per_second = *calls as f64 / seconds;
    println!("| {name} | {p50_us:.0} µs | {p99_us:.0} µs | {per_second:.0} | {reloads:.0} |");
}

/// The policy with so many tenants more.
fn large(policy: &str, tenants: usize) -> String {
    let mut text = policy.to_owned();
    for at in 0..tenants {
        let limits = "rpm: { requests: 600, per: 1m }, tpm: { tokens: 2000000, per: 1m, each: key }, \
                      open: { concurrent: 20 }, day: { requests: 10000, per: day, timeZone: UTC }, \
                      month: { usd: \"500.00\", per: month, timeZone: UTC }";
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "  tenant-{at}: {{ match: [{{ apiKeySha256: \"{at:064x}\" }}], access: {{ allow: [chat] }}, limits: {{ {limits} }} }}"
        );
    }
    text
}

/// Puts the policy there at once, as another revision.
fn change(path: &Path, policy: &str, number: u32) -> anyhow::Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, format!("{policy}# {number}\n"))?;
    fs::rename(&beside, path).context("the policy's file")
}

/// Changes of the file, one after the other, until they are ended.
struct Changing {
    over: Arc<AtomicBool>,
    thread: thread::JoinHandle<anyhow::Result<u32>>,
}

impl Changing {
    fn begin(path: PathBuf, policy: String, mut number: u32, every_ms: u64) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let thread = thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                number += 1;
                change(&path, &policy, number)?;
                thread::sleep(Duration::from_millis(every_ms));
            }
            Ok(number)
        });
        Self { over, thread }
    }

    /// The number of the last one.
    fn end(self) -> anyhow::Result<u32> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the thread that changes the policy panicked"))?
    }
}

/// Reloads that were accepted so far.
fn reloads(started: &Started) -> anyhow::Result<f64> {
    let page = measure::metrics(started.metrics.context("egret has metrics")?)?;
    measure::sum(&page, "egret_policy_reloads_total").context("egret counts its reloads")
}

fn load(args: &ReloadArgs, setup: &Setup, started: &Started) -> anyhow::Result<LoadReport> {
    let words = [
        "load".to_owned(),
        "--target".to_owned(),
        started.address.to_string(),
        "--kind".to_owned(),
        "plain".to_owned(),
        "--connections".to_owned(),
        args.connections.to_string(),
        "--seconds".to_owned(),
        args.seconds.to_string(),
    ];
    let words: Vec<_> = words.into_iter().map(Into::into).collect();
    Ok(serde_json::from_str(&measure::again(&words, setup.pin)?)?)
}
