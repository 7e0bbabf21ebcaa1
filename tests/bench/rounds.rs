//! The rounds: every peer in every round, one after the other, so that what disturbs the machine disturbs all.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::Context;

use crate::load::LoadReport;
use crate::measure::{self, Core, Process, Scraper};
use crate::peers::{Peer, Setup, Started};
use crate::report::{Figure, Figures};

/// How much is measured.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RoundsArgs {
    /// Interleaved rounds; fewer than four say little.
    #[arg(long, default_value_t = 4)]
    rounds: u32,
    /// Seconds of each measured span.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Connections of the loaded spans.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Streams held for the memory figure.
    #[arg(long, default_value_t = 1000)]
    streams: usize,
}

/// Runs all rounds and prints the report.
pub(crate) fn run(args: &RoundsArgs, egret: PathBuf) -> anyhow::Result<()> {
    with_provider(egret, |setup| {
        let mut figures = Figures::default();
        for peer in Peer::ALL {
            if peer != Peer::Direct && setup.binary(peer).is_none() {
                figures.failed(peer, "not installed".to_owned());
            }
        }
        for round in 1..=args.rounds {
            eprintln!("bench: round {round} of {}", args.rounds);
            for peer in Peer::ALL {
                if figures.has_failed(peer) {
                    continue;
                }
                if let Err(why) = one(args, &setup, peer, &mut figures) {
                    // A peer with a wrong answer has no figures at all.
                    figures.failed(peer, format!("failed: {why:#}"));
                }
            }
        }
        println!("{}", figures.markdown(&conditions(args, &setup), |peer| binary_mib(&setup, peer)));
        Ok(())
    })
}

/// Starts a provider and hands what it takes to start the peers.
pub(crate) fn with_provider(
    egret: PathBuf,
    work: impl FnOnce(Setup) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let pin = measure::can_pin();
    if pin {
        measure::pin_self();
    }
    let address = measure::free_port()?;
    let mut command = measure::command(std::env::current_exe()?, Core::Load, pin);
    command.args(["provider", "--listen", &address.to_string()]);
    let since = Instant::now();
    let mut provider = Process::start(&mut command)?;
    measure::first_answer(address, &mut provider, since).context("starting the provider")?;
    let dir = std::env::temp_dir().join(format!("egret-bench-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let result = work(Setup { provider: address, egret, dir: dir.clone(), pin, under: Vec::new() });
    fs::remove_dir_all(&dir)?;
    result
}

/// One peer's turn: start-up and idle memory, the loaded spans, and the held streams.
fn one(args: &RoundsArgs, setup: &Setup, peer: Peer, figures: &mut Figures) -> anyhow::Result<()> {
    let started = setup.start(peer)?;
    let idle_kib = match &started.process {
        Some(process) => {
            let idle_kib = measure::rss_kib(process.id())?;
            figures.add(peer, Figure::StartUp, started.first_answer.as_secs_f64() * 1000.0);
            figures.add(peer, Figure::IdleRss, idle_kib as f64 / 1024.0);
            idle_kib
        }
        None => 0,
    };
    // Held streams first: a proxy that has been under load keeps memory that would hide them.
    if started.process.is_some() {
        let held_kib = held_kib(args, setup, &started)?;
        let per_thousand = 1000.0 / args.streams as f64 / 1024.0;
        figures.add(peer, Figure::StreamsRss, (held_kib as f64 - idle_kib as f64) * per_thousand);
    }
    let _scraped = started.metrics.map(Scraper::start);
    let plain = load(args, setup, &started, "plain", args.connections)?;
    figures.add(peer, Figure::CallsPerSecond, plain.calls as f64 / plain.seconds);
    figures.add(peer, Figure::P50, plain.p50_us);
    figures.add(peer, Figure::P99, plain.p99_us);
    let stream = load(args, setup, &started, "stream", args.connections)?;
    if started.process.is_some() {
        figures.add(peer, Figure::CpuPerCall, plain.cpu_us / plain.calls.max(1) as f64);
        figures.add_chunks(peer, stream.cpu_us, stream.calls);
    }
    if peer == Peer::EgretUntraced {
        let translated = load(args, setup, &started, "translated", args.connections)?;
        figures.add_translated(peer, translated.cpu_us, translated.calls);
    }
    let lone = load(args, setup, &started, "plain", 1)?;
    logged(&started, plain.calls + stream.calls)?;
    if let Some(lost) = spans_lost(&started)? {
        figures.add(peer, Figure::SpansLost, lost);
    }
    figures.add(peer, Figure::LoneP50, lone.p50_us);
    figures.add(peer, Figure::LoneP99, lone.p99_us);
    Ok(())
}

/// A proxy that drops its log lines would look cheaper than it is.
fn logged(started: &Started, calls: u64) -> anyhow::Result<()> {
    if let Some(lines) = &started.log_lines {
        let lines = lines.load(Ordering::Relaxed);
        anyhow::ensure!(lines >= calls, "the access log has {lines} lines for at least {calls} calls");
    }
    Ok(())
}

/// The share of spans that were dropped, in percent: a proxy that drops them looks cheaper than it is. None where
/// nothing was traced.
fn spans_lost(started: &Started) -> anyhow::Result<Option<f64>> {
    let Some(at) = started.metrics else { return Ok(None) };
    let page = measure::metrics(at)?;
    let of = |name| measure::sum(&page, name).unwrap_or_default();
    let (exported, dropped) = (of("egret_spans_exported_total"), of("egret_spans_dropped_total"));
    let failed = of("egret_spans_failed_total");
    anyhow::ensure!(failed == 0.0, "{failed} spans were not taken");
    Ok((exported > 0.0).then(|| 100.0 * dropped / (exported + dropped)))
}

fn load(
    args: &RoundsArgs,
    setup: &Setup,
    started: &Started,
    kind: &str,
    connections: usize,
) -> anyhow::Result<LoadReport> {
    let mut words = words(started, kind, connections);
    words.extend(["--seconds".into(), args.seconds.to_string().into()]);
    if let Some(process) = &started.process {
        words.extend(["--watch".into(), process.id().to_string().into()]);
    }
    Ok(serde_json::from_str(&measure::again(&words, setup.pin)?)?)
}

/// Resident memory of the proxy while `args.streams` streams are open.
fn held_kib(args: &RoundsArgs, setup: &Setup, started: &Started) -> anyhow::Result<u64> {
    let mut command = measure::command(std::env::current_exe()?, Core::Load, setup.pin);
    command.args(words(started, "hold", args.streams)).stdout(Stdio::piped());
    let mut load = Process::start(&mut command)?;
    let mut line = String::new();
    BufReader::new(load.stdout().context("no pipe")?).read_line(&mut line)?;
    anyhow::ensure!(line.trim() == format!("held {}", args.streams), "streams could not be held");
    measure::rss_kib(started.process.as_ref().context("no process")?.id())
}

fn words(started: &Started, kind: &str, connections: usize) -> Vec<OsString> {
    [
        "load",
        "--target",
        &started.address.to_string(),
        "--kind",
        kind,
        "--connections",
        &connections.to_string(),
    ]
    .map(OsString::from)
    .to_vec()
}

fn conditions(args: &RoundsArgs, setup: &Setup) -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "Linux {}, {} rounds of {} s, {} connections, {}; every answer compared.",
        kernel.trim(),
        args.rounds,
        args.seconds,
        args.connections,
        if setup.pin { "proxy on core 1, provider and load on core 0" } else { "NOT pinned to cores" },
    )
}

fn binary_mib(setup: &Setup, peer: Peer) -> Option<f64> {
    // The floor's binary holds the whole benchmark: its size would say nothing.
    let path = setup.binary(peer).filter(|_| peer != Peer::Floor)?;
    Some(fs::metadata(path).ok()?.len() as f64 / (1024.0 * 1024.0))
}
