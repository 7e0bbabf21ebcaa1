//! `egret cost`: compares what a month's work costs at the models of a policy, and what its routes save.

mod amounts;
mod report;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use self::amounts::{Part, permille, share, tokens};
use self::report::Report;
use super::overlay_args::OverlayArgs;
use crate::clock::{Clock, Date, TimeZone, Timestamp};
use crate::policy::compile::compile;
use crate::policy::cost::{Comparison, CostError, Question, Share, compare};
use crate::policy::load;
use crate::pricing::workload::Workload;
use crate::units::Tokens;

/// Compares what a month's work costs at the models of a policy, by its prices.
///
/// How much work there is, is said as `--tokens 300M` with an `--output-share`, or as `--input 225M --output 75M`.
///
/// `--share` tells how the work is spread, and what that saves against one model for all of it: NAME is a model, a
/// route (a weighted one is split by its weights, a cheapest one goes where the work costs least) or ROUTE:TASK, the
/// first target of a route for such a task. Conditions that look at anything but the task and the length of a call are
/// taken not to hold, and the targets that have them are named.
///
/// Models without a price are named and left out. Nothing is asked of any provider, and no key is read.
///
/// Exit codes: 0 done; 1 the policy has errors, or no prices; 2 it cannot be read, or the command line is wrong.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = "Examples:
  egret cost policies/task-routing --tokens 300M
  egret cost policies/task-routing --input 225M --output 75M --cached-share 40% --baseline gpt-4.1
  egret cost policies/task-routing --tokens 300M --share chat:summarization=60% --share chat:code=40%
  egret cost policy.yaml --tokens 1.5B --share deepseek-v3.2=70% --share gpt-4.1=30% --format markdown")]
pub struct Args {
    /// A policy: one file, or a folder whose *.yaml and *.yml files make one policy together.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    #[command(flatten)]
    overlay: OverlayArgs,
    /// Tokens a month, input and output together: 300M; k, M and B are thousands, millions and billions.
    #[arg(long, value_name = "TOKENS", value_parser = tokens, required_unless_present = "input", conflicts_with_all = ["input", "output"])]
    tokens: Option<u64>,
    /// What of them is output.
    #[arg(long, value_name = "PERCENT", value_parser = permille, default_value = "25%", conflicts_with_all = ["input", "output"])]
    output_share: Part,
    /// Tokens of input a month.
    #[arg(long, value_name = "TOKENS", value_parser = tokens, requires = "output")]
    input: Option<u64>,
    /// Tokens of output a month.
    #[arg(long, value_name = "TOKENS", value_parser = tokens, requires = "input")]
    output: Option<u64>,
    /// What of the input is read from the provider's cache.
    #[arg(long, value_name = "PERCENT", value_parser = permille, default_value = "0%")]
    cached_share: Part,
    /// The model that the others are held against. Default: the dearest.
    #[arg(long, value_name = "MODEL")]
    baseline: Option<String>,
    /// A part of the work: a model, a route or ROUTE:TASK; may be said several times. Without a percentage it is all.
    #[arg(long = "share", value_name = "NAME[=PERCENT]", value_parser = share)]
    shares: Vec<Share>,
    /// The input of one call, for conditions on its length.
    #[arg(long, value_name = "TOKENS", value_parser = tokens, default_value = "1000")]
    call_input: u64,
    /// The day whose prices hold, in UTC: 2026-07-01. Default: today.
    #[arg(long, value_name = "DATE", value_parser = day)]
    at: Option<Timestamp>,
    /// How the comparison is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How the comparison is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for a terminal
    Text,
    /// For machines; money as decimal text
    Json,
    /// A table for a pull request
    Markdown,
}

/// Compares, and writes the comparison; what is wrong goes to standard error.
pub fn run(args: &Args, clock: &Clock, out: &mut impl Write) -> ExitCode {
    let written = compared(args, clock).and_then(|report| {
        let text = match args.format {
            Format::Text => report.text(),
            Format::Json => report.json(),
            Format::Markdown => report.markdown(),
        };
        // Who closed the pipe has read enough.
        out.write_all(text.as_bytes()).or_else(unless_closed).map_err(|error| (1, error.to_string()))
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, why)) => {
            // Where standard error is closed, the exit code still tells.
            let _ = writeln!(io::stderr(), "{why}");
            ExitCode::from(code)
        }
    }
}

fn unless_closed(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

/// The comparison; else the exit code and what is said of it.
fn compared(args: &Args, clock: &Clock) -> Result<Report, (u8, String)> {
    let sources = load::read_with(&args.path, &args.overlay.paths())
        .map_err(|error| (2, format!("error: {:#}", anyhow::Error::from(error))))?;
    let policy =
        compile(&sources).map_err(|found| (1, format!("{found}\n\n{}: not good", args.path.display())))?.0;
    let question = question(args, clock.wall());
    if question.month.is_empty() {
        return Err((
            2,
            "error: zero tokens cost nothing anywhere; say how many there are a month".to_owned(),
        ));
    }
    let found: Comparison =
        compare(&policy, &question).map_err(|error| (code(&error), format!("error: {error}")))?;
    Ok(Report { path: args.path.display().to_string(), question, found })
}

/// The midnight with which a day begins in UTC.
fn day(text: &str) -> Result<Timestamp, String> {
    let midnight = |day: Date| day.to_zoned(TimeZone::UTC).ok().filter(|day| day.year() > 0);
    let begins = text.parse().ok().and_then(midnight).map(|zoned| zoned.timestamp());
    begins.ok_or_else(|| "write a day: 2026-12-01".to_owned())
}

fn code(error: &CostError) -> u8 {
    match error {
        CostError::NothingPriced | CostError::Unpriced(_) => 1,
        CostError::Unknown { .. }
        | CostError::NotTheWhole(_)
        | CostError::Fastest(_)
        | CostError::NoTarget(_)
        | CostError::TooDear(_) => 2,
    }
}

fn question(args: &Args, today: Timestamp) -> Question {
    let (input, output) = match (args.tokens, args.input, args.output) {
        (Some(all), ..) => {
            let output = args.output_share.of(all);
            (all - output, output)
        }
        (None, input, output) => (input.unwrap_or(0), output.unwrap_or(0)),
    };
    Question {
        month: Workload {
            input: Tokens(input),
            cached: Tokens(args.cached_share.of(input)),
            output: Tokens(output),
        },
        at: args.at.unwrap_or(today),
        baseline: args.baseline.clone(),
        shares: args.shares.clone(),
        call_input: Tokens(args.call_input),
    }
}

#[cfg(test)]
mod tests;
