//! The verbs of the command line: the only place that prints.

pub mod check;
pub mod cost;
pub mod diff;
pub mod explain;
pub mod key;
pub mod mock;
pub mod overlay_args;
mod place;
pub mod probe;
pub mod run;
pub mod schema;
pub mod test;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::clock::{Clock, TimeZone};
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

// What each does is said by its arguments.
#[derive(Debug, Subcommand)]
enum Verb {
    Run(Box<run::Args>),
    Check(check::CheckArgs),
    Test(test::Args),
    Explain(Box<explain::Args>),
    Diff(diff::DiffArgs),
    Schema(schema::Args),
    Cost(cost::Args),
    Key(key::Args),
    Probe(probe::Args),
    Mock(mock::Args),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let environment = Environment::process();
    let mut out = io::stdout();
    match Cli::parse().verb {
        Verb::Run(args) => run::run(*args, &environment),
        Verb::Check(args) => {
            let today = Clock::system().wall().to_zoned(TimeZone::UTC).date();
            let columns = terminal_size::terminal_size_of(&out).map(|(width, _)| width.0);
            let around =
                check::Around { environment: &environment, today, terminal: out.is_terminal(), columns };
            check::run(&args, &around, &mut io::stdin(), &mut out)
        }
        Verb::Test(args) => ended(test::run(&args, &mut out)),
        Verb::Explain(args) => ended(explain::run(&args, &mut io::stdin(), &mut out)),
        Verb::Diff(args) => diff::run(&args, &environment, &mut out, &mut io::stderr()),
        Verb::Schema(args) => ended(schema::run(&args, &mut out).map(|()| ExitCode::SUCCESS)),
        Verb::Cost(args) => cost::run(&args, &Clock::system(), &mut out),
        Verb::Key(args) => ended(key::run(&args, &mut io::stdin(), &mut out).map(|()| {
            if key::shows_keys(&args) && out.is_terminal() {
                // Where standard error is closed, nobody reads it.
                let _ = writeln!(io::stderr(), "{}", key::IN_A_TERMINAL);
            }
            ExitCode::SUCCESS
        })),
        Verb::Probe(args) => ended(probe::run(&args, &mut out)),
        Verb::Mock(args) => ended(mock::main(args, &mut out).map(|()| ExitCode::SUCCESS)),
    }
}

/// What came of writing results: who closed the pipe has read enough, and the exit code still tells.
fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A verb's end, or why it failed, on standard error.
fn ended(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        let closed = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
        // Who closed the pipe has read enough.
        if error.chain().filter_map(|cause| cause.downcast_ref()).any(closed) {
            return ExitCode::SUCCESS;
        }
        // Where standard error is closed, the exit code still tells.
        let _ = writeln!(io::stderr(), "egret: {error:#}");
        ExitCode::FAILURE
    })
}
