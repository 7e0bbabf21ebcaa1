//! The verbs of the command line: the only place that prints.

pub mod check;
pub mod key;
pub mod mock;
pub mod probe;
pub mod run;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::environment::Environment;

/// A sidecar proxy for LLM API calls: policy in git, failover, limits, traces.
///
/// egret runs beside an app. The app keeps its SDK and only changes the base URL to http://127.0.0.1:4100/v1; egret
/// holds the providers' keys and enforces what a YAML policy says.
///
/// Every flag of `run` is also an environment variable: --policy is EGRET_POLICY, and so on.
#[derive(Debug, Parser)]
#[command(name = "egret", version, arg_required_else_help = true, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Relay calls under a policy
    Run(Box<run::Args>),
    /// Check a policy without running it
    Check(check::CheckArgs),
    /// Make a caller's key and its hash
    Key(key::Args),
    /// Ask a running egret for its health; for exec probes
    Probe(probe::Args),
    /// Serve a scripted fake provider
    Mock(mock::Args),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let environment = Environment::process();
    let mut out = io::stdout();
    match Cli::parse().verb {
        Verb::Run(args) => run::run(*args, &environment),
        Verb::Check(args) => check::run(&args, &mut out),
        Verb::Key(args) => ended(key::run(&args, &mut io::stdin(), &mut out).map(|()| ExitCode::SUCCESS)),
        Verb::Probe(args) => ended(probe::run(&args, &mut out)),
        Verb::Mock(args) => ended(mock::main(args, &mut out).map(|()| ExitCode::SUCCESS)),
    }
}

/// A verb's end, or why it failed, on standard error.
fn ended(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        // Where standard error is closed, the exit code still tells.
        let _ = writeln!(io::stderr(), "egret: {error:#}");
        ExitCode::FAILURE
    })
}
