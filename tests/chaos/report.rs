//! What is told: a line now and then, and the figures at the end.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::caller::{Score, World};
use crate::provider::Provider;

/// How often a line is told, on a terminal.
pub(crate) const EVERY: Duration = Duration::from_secs(5);

/// A line on how it stands.
pub(crate) fn line(world: &World, passed: Duration) {
    if !std::io::stdout().is_terminal() {
        return;
    }
    let (sum, (faults, _)) = (world.books.sum(), world.books.faults());
    println!(
        "{:>4} s: {} calls, {:.1} % whole, {} fallbacks, {} hedged away, {} MiB, {faults} faults",
        passed.as_secs(),
        of(&world.routed.calls) + of(&world.alone.calls),
        world.routed.percent(),
        sum.fallbacks,
        sum.hedged_away,
        memory() >> 20,
    );
}

/// Bytes of this process that are in memory; 0 where nobody tells.
pub(crate) fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    resident.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// The figures at the end.
pub(crate) struct Report<'a> {
    pub(crate) seed: u64,
    pub(crate) seconds: Duration,
    pub(crate) world: &'a World,
    pub(crate) providers: &'a [Provider],
    /// After the first fifth, and at the end.
    pub(crate) memory: (u64, u64),
}

impl Report<'_> {
    /// Tells them; fails where anything was wrong.
    pub(crate) fn tell(&self) -> ExitCode {
        let Self { seed, seconds, world, memory, .. } = self;
        let sum = world.books.sum();
        let calls = of(&world.routed.calls) + of(&world.alone.calls);
        println!("seed {seed}: {calls} calls in {:.1} s", seconds.as_secs_f64());
        tell("egret, routes:", &world.routed);
        tell("egret, p2:    ", &world.alone);
        for (number, direct) in (1..).zip(&world.direct) {
            println!("without, p{number}:   {:.2} % of {} whole", direct.percent(), direct.due());
        }
        println!("without, all:  {:.2} %", all(&world.direct));
        let asked: u64 = self.providers.iter().map(|provider| provider.weather.calls()).sum();
        println!(
            "tries:         {} of {} calls, {:.3} each ({asked} came to providers); {} fallbacks, {} hedged away; \
             the longest call {} ms",
            sum.tries,
            sum.tried,
            sum.tries as f64 / sum.tried.max(1) as f64,
            sum.fallbacks,
            sum.hedged_away,
            sum.longest_ms,
        );
        println!(
            "books:         {} calls as their callers heard them; memory {} MiB after a fifth, {} MiB at the end",
            sum.matched,
            memory.0 >> 20,
            memory.1 >> 20,
        );
        let [callers, egret] = &world.lags;
        println!("timers:        late by up to {:?} at callers, {:?} in egret", callers.most(), egret.most());
        self.verdict()
    }

    fn verdict(&self) -> ExitCode {
        let (count, faults) = self.world.books.faults();
        if count == 0 {
            println!("ok: every answer is whole or ends with an error, nothing is held or lost");
            return ExitCode::SUCCESS;
        }
        println!("not so: {count} faults; the first of them, given again perhaps by `--seed {}`:", self.seed);
        faults.iter().for_each(|fault| println!("  {fault}"));
        ExitCode::FAILURE
    }
}

/// How calls by way of egret ended.
fn tell(name: &str, score: &Score) {
    println!(
        "{name} {:.2} % of {} whole; {} broken off with an error event, {} answered by the policy; \
         apart from {} that left, {} beyond limits, {} beyond their own latency budget",
        score.percent(),
        score.due(),
        of(&score.broken),
        of(&score.busy),
        of(&score.left),
        of(&score.limited),
        of(&score.late),
    );
    for ((status, code), count) in &*score.errors.lock() {
        println!("               {count} x {status} {code}");
    }
}

/// Percent that were whole, over all providers.
fn all(direct: &[Score]) -> f64 {
    let whole: u64 = direct.iter().map(|score| of(&score.whole)).sum();
    100.0 * whole as f64 / direct.iter().map(Score::due).sum::<u64>().max(1) as f64
}

fn of(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}
