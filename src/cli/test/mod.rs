//! `egret test`: runs the tests of a policy.

mod json;
mod junit;
mod progress;
mod report;
mod suite;
mod text;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use super::unless_closed;
use progress::Progress;
use report::Report;
pub(super) use suite::{overlays_of, policy_of};

/// Runs the tests of a policy, offline and in virtual time: an hour of retries takes milliseconds.
///
/// Tests are documents of `kind: PolicyTest`. They go through the stages and the attempt loop of serving; every provider
/// is played by a script, so that no key is read and nobody is asked. Each PATH is a file, or a folder whose *.yaml and
/// *.yml files are taken together.
///
/// Exit codes: 0 every test passed; 1 a test failed, or less was covered than --min-coverage asks for; 2 a path cannot be
/// read, tests or their policy are faulty, there is no test, or the command line is wrong.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Files or folders.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// What is printed: text for people; junit and json for machines.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Only tests with this in their name; nothing is said of coverage then.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// How much of each policy its tests have to see, in percent of its tenants, limits, targets and conditions.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100), conflicts_with = "filter")]
    min_coverage: Option<u8>,
}

/// How results are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// JUnit's XML, as CI systems read it.
    Junit,
    /// One object.
    Json,
}

/// Runs the tests of every path, also after one that is faulty.
///
/// # Errors
/// The system gives no runtime.
pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    let mut progress = Progress::on_terminal(args.format == Format::Text);
    for path in &args.paths {
        suite::run(path, args.filter.as_deref(), &mut report, &mut progress)?;
    }
    progress.end();
    if let (Some(text), (0, 0), true) = (&args.filter, report.counts(), report.faults.is_empty()) {
        report.faults.push(format!("error: no test has `{text}` in its name"));
    }
    report.demand(args.min_coverage.filter(|_| args.filter.is_none()));
    let told = match args.format {
        Format::Text => text::write(&report, args.filter.is_some(), out),
        Format::Junit => junit::write(&report, out),
        Format::Json => json::write(&report, out),
    };
    // Who closed the pipe has read enough; the exit code still tells.
    unless_closed(told.and_then(|()| out.flush()))?;
    Ok(ExitCode::from(report.exit_code()))
}

#[cfg(test)]
mod tests;
