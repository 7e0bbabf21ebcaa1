//! Userspace instructions per call: the difference of two runs of different length, under callgrind.
//!
//! Unlike times they do not depend on the machine's mood: two builds of the same code differ by less than a percent.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::Context;

use crate::measure;
use crate::peers::{Peer, Setup};
use crate::wire::{CHUNKS, Kind};

/// How long the two runs are.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CallgrindArgs {
    /// Calls of the shorter run.
    #[arg(long, default_value_t = 200)]
    short: u64,
    /// Calls of the longer run.
    #[arg(long, default_value_t = 2200)]
    long: u64,
    /// Connections of the load.
    #[arg(long, default_value_t = 8)]
    connections: usize,
}

/// Prints a Markdown table of instructions per plain call and per streamed call, floor and egret.
pub(crate) fn run(args: &CallgrindArgs, mut setup: Setup) -> anyhow::Result<()> {
    println!("| proxy | instructions per call | / floor | per 50-chunk stream | per chunk | / floor |");
    println!("|---|---:|---:|---:|---:|---:|");
    let mut floor = None;
    for peer in [Peer::Floor, Peer::EgretUntraced, Peer::Egret, Peer::EgretTraced] {
        match per_call(args, &mut setup, peer) {
            Ok((call, stream)) => {
                let (base_call, base_stream) = *floor.get_or_insert((call, stream));
                println!(
                    "| {} | {call:.0} | {:.2} | {stream:.0} | {:.0} | {:.2} |",
                    peer.name(),
                    call / base_call,
                    stream / CHUNKS as f64,
                    stream / base_stream
                );
            }
            Err(why) => println!("| {} | {why:#} |", peer.name()),
        }
    }
    let same = of_each(args, &mut setup, Peer::EgretUntraced, Kind::Stream)?;
    let translated = of_each(args, &mut setup, Peer::EgretUntraced, Kind::Translated)?;
    println!(
        "\nA 50-chunk stream translated from Anthropic's dialect: {translated:.0} instructions, {:.2} of one in the same \
         dialect (untraced).",
        translated / same
    );
    Ok(())
}

fn per_call(args: &CallgrindArgs, setup: &mut Setup, peer: Peer) -> anyhow::Result<(f64, f64)> {
    Ok((of_each(args, setup, peer, Kind::Plain)?, of_each(args, setup, peer, Kind::Stream)?))
}

fn of_each(args: &CallgrindArgs, setup: &mut Setup, peer: Peer, kind: Kind) -> anyhow::Result<f64> {
    let short = instructions(args, setup, peer, kind, args.short)?;
    let long = instructions(args, setup, peer, kind, args.long)?;
    Ok((long - short) / (args.long - args.short) as f64)
}

/// All instructions of a proxy from its start, over `calls` calls, to its end.
fn instructions(
    args: &CallgrindArgs,
    setup: &mut Setup,
    peer: Peer,
    kind: Kind,
    calls: u64,
) -> anyhow::Result<f64> {
    let out: PathBuf = setup.dir.join(format!("callgrind.{}.{calls}", peer.name()));
    setup.under = ["valgrind", "-q", "--tool=callgrind"].map(str::to_owned).to_vec();
    setup.under.push(format!("--callgrind-out-file={}", out.display()));
    let mut started = setup.start(peer)?;
    let words = load_words(started.address, kind, args.connections, calls);
    measure::again(&words, setup.pin)?;
    started.process.take().context("no process")?.terminate()?;
    let text = fs::read_to_string(&out).context("reading callgrind's output")?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    Ok(total.context("callgrind wrote no total")?.trim().parse()?)
}

fn load_words(target: std::net::SocketAddr, kind: Kind, connections: usize, calls: u64) -> Vec<OsString> {
    let kind = match kind {
        Kind::Plain => "plain",
        Kind::Stream => "stream",
        Kind::Translated => "translated",
        Kind::Hold => "hold",
    };
    ["load", "--target", &target.to_string(), "--kind", kind, "--connections", &connections.to_string()]
        .into_iter()
        .chain(["--calls", &calls.to_string()])
        .map(OsString::from)
        .collect()
}
