//! The benchmark: egret beside a bare hyper relay and nginx, in one run.
//!
//! `README.md` beside this file says how to run it and what its figures mean.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark prints, measures the wall clock and runs its peers outside egret's own rules"
)]

mod callgrind;
mod floor;
mod ledger;
mod load;
mod measure;
mod peers;
mod provider;
mod reload;
mod report;
mod rounds;
mod wire;

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};

/// egret beside a bare hyper relay and nginx, in interleaved rounds.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    rounds: rounds::RoundsArgs,
    /// egret's binary; by default the one built with this profile.
    #[arg(long, global = true)]
    egret: Option<PathBuf>,
}

/// What one process of the benchmark does; without one, it runs the rounds.
#[derive(Subcommand)]
enum Part {
    /// Count instructions per call under callgrind.
    Callgrind(callgrind::CallgrindArgs),
    /// What calls notice of reloads of a large policy.
    Reload(reload::ReloadArgs),
    /// Time and allocations of the ledger alone.
    Ledger(ledger::LedgerArgs),
    /// The bare hyper relay.
    Floor {
        /// Its address.
        #[arg(long)]
        listen: SocketAddr,
        /// The provider's.
        #[arg(long)]
        upstream: SocketAddr,
    },
    /// The provider.
    Provider {
        /// Its address.
        #[arg(long)]
        listen: SocketAddr,
    },
    /// The closed-loop client; prints one JSON line.
    Load(load::LoadArgs),
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.part {
        None => rounds::run(&arguments.rounds, egret(arguments.egret)?),
        Some(Part::Callgrind(args)) => {
            rounds::with_provider(egret(arguments.egret)?, |setup| callgrind::run(&args, setup))
        }
        Some(Part::Reload(args)) => {
            rounds::with_provider(egret(arguments.egret)?, |setup| reload::run(&args, &setup))
        }
        Some(Part::Ledger(args)) => ledger::run(&args),
        Some(Part::Floor { listen, upstream }) => on_one_thread(floor::run(listen, upstream)),
        Some(Part::Provider { listen }) => on_one_thread(async move { Ok(provider::run(listen).await?) }),
        Some(Part::Load(args)) => on_one_thread(async move {
            if args.kind == wire::Kind::Hold {
                let held = load::hold(&args).await?;
                println!("held {}", held.len());
                return std::future::pending().await;
            }
            println!("{}", serde_json::to_string(&load::run(&args).await?)?);
            Ok(())
        }),
    }
}

/// egret's binary: the one named, or the one that Cargo puts one directory above this example.
fn egret(named: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path);
    }
    let me = std::env::current_exe()?;
    let profile =
        me.parent().and_then(|examples| examples.parent()).context("this program is in no directory")?;
    Ok(profile.join("egret"))
}

/// One single-threaded runtime, as each worker of egret has.
fn on_one_thread<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}
