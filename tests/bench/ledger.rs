//! The ledger alone: what it takes to admit a call to six cells and to settle it, in time and in allocations.

use std::num::{NonZeroU32, NonZeroU64};
use std::process::Command;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use egret::clock::{Instant, Now, TimeZone};
use egret::ids::{ModelId, UserId};
use egret::limits::{Amounts, Ask, Calendar, Each, Ledger, Owner, Quota, Rule, Turn, Unit, Window};
use egret::units::{NanoUsd, Tokens};

/// What is measured; all of it without flags.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LedgerArgs {
    /// Calls of each thread in a round.
    #[arg(long, default_value_t = 1_000_000)]
    calls: u64,
    /// Rounds, of which the median counts.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Only so many threads, and no table: what valgrind runs.
    #[arg(long, requires = "keys")]
    threads: Option<usize>,
    /// Only so many users.
    #[arg(long, requires = "threads")]
    keys: Option<usize>,
}

/// From one call to the next, as the ledger is told.
const STEP: Duration = Duration::from_millis(10);
/// Calls of the two runs whose allocations are compared.
const SHORT: u64 = 1_000;
const LONG: u64 = 11_000;

/// Prints a Markdown table, by threads and users.
pub(crate) fn run(args: &LedgerArgs) -> anyhow::Result<()> {
    if let (Some(threads), Some(keys)) = (args.threads, args.keys) {
        println!("{:.0} ns", Bench::new(keys).round(threads, args.calls)?);
        return Ok(());
    }
    println!("| threads | users | ns per call | allocations per call |");
    println!("|---:|---:|---:|---:|");
    for (threads, keys) in [(1, 1), (1, 100_000), (2, 1), (2, 100_000)] {
        let mut bench = Bench::new(keys);
        let mut rounds = Vec::new();
        for _ in 0..args.rounds.max(1) {
            rounds.push(bench.round(threads, args.calls)?);
        }
        rounds.sort_by(f64::total_cmp);
        let (least, median) = (rounds[0], rounds[rounds.len() / 2]);
        let most = rounds[rounds.len() - 1];
        let allocations = match (threads, allocations_per_call(keys)) {
            (1, Ok(count)) => format!("{count:.2}"),
            (1, Err(why)) => format!("{why:#}"),
            // The same code: who else is there makes none.
            _ => "-".to_owned(),
        };
        println!("| {threads} | {keys} | {median:.0} ({least:.0}–{most:.0}) | {allocations} |");
    }
    Ok(())
}

/// A ledger in which every user has its cells, and the rules of a call.
struct Bench {
    ledger: Arc<Ledger>,
    rules: Arc<[Rule]>,
    users: Vec<UserId>,
    model: ModelId,
    now: Now,
}

impl Bench {
    fn new(keys: usize) -> Self {
        let rolling = |unit, amount| windowed(unit, amount, Window::Rolling(Duration::from_secs(60)));
        let month = Window::Calendar(Calendar { turn: Turn::Month, zone: Arc::new(TimeZone::UTC) });
        // Room for every call: 6,000 of 400 tokens come in a minute of each thread, and at first one of every user.
        let rules = [
            rule("rpm", rolling(Unit::Requests, 600_000), None),
            rule("tpm", rolling(Unit::Tokens, 240_000_000), None),
            rule("month", windowed(Unit::Usd, 1 << 60, month), None),
            rule("open", Quota::Concurrent { amount: NonZeroU32::MIN.saturating_add(63) }, None),
            rule("user-rpm", rolling(Unit::Requests, 600_000), Some(Each::User)),
            rule("user-tpm", rolling(Unit::Tokens, 240_000_000), Some(Each::User)),
        ];
        let bench = Self {
            ledger: Arc::new(Ledger::new()),
            rules: rules.into(),
            users: (0..keys).map(|key| UserId::from(format!("user-{key}").as_str())).collect(),
            model: "gpt".into(),
            now: Now { instant: Instant::now(), wall: "2026-11-01T00:00:00Z".parse().unwrap_or_default() },
        };
        for at in 0..keys as u64 {
            bench.call(at, bench.now);
        }
        bench
    }

    /// Nanoseconds of a call, of which every thread makes so many.
    fn round(&mut self, threads: usize, calls: u64) -> anyhow::Result<f64> {
        let (bench, start) = (&*self, Barrier::new(threads));
        let work = |thread: u64| {
            start.wait();
            let (begun, mut now) = (Instant::now(), bench.now);
            let mut admitted = 0;
            for call in 0..calls {
                // Far from the last one in memory, and another one than the other thread's.
                admitted += u64::from(bench.call(call.wrapping_mul(7_919) + thread * 50_021, now));
                now = later(now, 1);
            }
            (begun.elapsed().as_nanos() as f64 / calls as f64, admitted)
        };
        let rounds: Vec<(f64, u64)> = thread::scope(|scope| {
            let running: Vec<_> =
                (0..threads as u64).map(|thread| scope.spawn(move || work(thread))).collect();
            running.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        self.now = later(self.now, calls);
        anyhow::ensure!(rounds.iter().all(|(_, admitted)| *admitted == calls), "a call was refused");
        Ok(rounds.iter().map(|(nanos, _)| nanos).sum::<f64>() / threads as f64)
    }

    /// One call, admitted, written and settled; whether it was.
    fn call(&self, at: u64, now: Now) -> bool {
        let user = &self.users[at as usize % self.users.len()];
        let ask = Ask { user: Some(user), app: None, key: None, model: &self.model, amounts: amounts(400) };
        let Ok(mut call) = self.ledger.reserve(&self.rules, &ask, now) else { return false };
        call.written(now);
        call.settle(&amounts(300), now);
        true
    }
}

/// Calls of malloc and its kin, as valgrind counts them: what two runs of different length differ by.
fn allocations_per_call(keys: usize) -> anyhow::Result<f64> {
    let (short, long) = (allocations(keys, SHORT)?, allocations(keys, LONG)?);
    Ok(long.saturating_sub(short) as f64 / (LONG - SHORT) as f64)
}

fn allocations(keys: usize, calls: u64) -> anyhow::Result<u64> {
    let (keys, calls) = (keys.to_string(), calls.to_string());
    let run = Command::new("valgrind")
        .args(["--tool=memcheck", "--leak-check=no"])
        .arg(std::env::current_exe()?)
        .args(["ledger", "--threads", "1", "--keys", &keys, "--calls", &calls])
        .output()
        .context("needs valgrind")?;
    let said = String::from_utf8_lossy(&run.stderr);
    let count = said.split("total heap usage: ").nth(1).and_then(|rest| rest.split(' ').next());
    Ok(count.context("valgrind told no heap usage")?.replace(',', "").parse()?)
}

fn later(now: Now, calls: u64) -> Now {
    let span = STEP * u32::try_from(calls).unwrap_or(u32::MAX);
    Now { instant: now.instant + span, wall: now.wall + span }
}

fn amounts(tokens: u64) -> Amounts {
    Amounts { input: Tokens(tokens / 4), output: Tokens(tokens - tokens / 4), usd: NanoUsd(tokens * 2_000) }
}

fn windowed(unit: Unit, amount: u64, window: Window) -> Quota {
    Quota::Windowed { unit, amount: NonZeroU64::MIN.saturating_add(amount - 1), window }
}

fn rule(key: &str, quota: Quota, each: Option<Each>) -> Rule {
    Rule { each, ..Rule::new(Owner::Tenant("checkout".into()), key.into(), quota) }
}
