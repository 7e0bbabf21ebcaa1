//! `egret check`: says everything that is wrong with policies, and where.

mod github;
mod json;
mod merged;
mod sarif;
mod tests_of;
mod text;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::overlay_args::OverlayArgs;
use super::place::from_here;
use super::unless_closed;
use crate::clock::Date;
use crate::environment::Environment;
use crate::policy::diagnostic::{Code, Diagnostics, Level, Paint};
use crate::policy::lint::{self, Checked, Settings};
use crate::policy::load::{self, LoadError, MAX_BYTES, Role, Sources};
use crate::secret::{SecretRef, Secrets};

/// Checks policies, offline: says everything that is wrong, with file, line and what to write instead.
///
/// Each PATH is a policy of its own: one file, a folder whose *.yaml and *.yml files make one policy together, or `-` for
/// standard input. Overlays are laid over each of them. No provider is asked and no key is read.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{EXIT_CODES}\n\n{}", lints()))]
pub struct CheckArgs {
    /// Files, folders, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Takes warnings for errors
    #[arg(long)]
    pub deny_warnings: bool,

    /// What is laid over each.
    #[command(flatten)]
    pub overlay: OverlayArgs,

    /// Prints each good policy as one YAML document, its overlays laid over it, with the file and line of every value
    /// behind it; what else is said of it stands in comments. What looks like a secret is masked
    #[arg(long, conflicts_with = "format")]
    pub show_merged: bool,

    /// Leaves out warnings of this code, such as single-target-route; may be said several times
    #[arg(long, value_name = "CODE", value_parser = code)]
    pub allow: Vec<Code>,

    /// Warns of prices that hold for longer, such as 180d; of those with `effectiveFrom`
    #[arg(long, value_name = "DAYS", value_parser = days)]
    pub max_price_age: Option<u32>,

    /// The day on which prices are judged, instead of today
    #[arg(long, value_name = "DATE")]
    pub at: Option<Date>,

    /// Looks up every `fromEnv` and `fromFile`, and warns of those that hold no key; none is ever shown
    #[arg(long)]
    pub with_secrets: bool,

    /// How findings are told
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Whether text is coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    pub color: Color,
}

/// How findings are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One document, for machines
    Json,
    /// Annotations of GitHub Actions
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// When text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  every policy is good
  1  a policy has errors, or warnings with --deny-warnings
  2  a path cannot be read, or the command line is wrong";

/// The warnings that may be allowed, for `--help`.
fn lints() -> String {
    let lints = Code::ALL.iter().filter(|code| code.is_lint());
    let lines = lints.map(|code| {
        let star = if code.level() == Level::Review { '*' } else { ' ' };
        format!(" {star}{:<24} {}", code.name(), code.says())
    });
    let lines: Vec<_> = lines.collect();
    format!("Warnings (those with * are not told at the start of `egret run`):\n{}", lines.join("\n"))
}

fn code(name: &str) -> Result<Code, String> {
    Code::named(name).filter(|code| code.is_lint()).ok_or_else(|| {
        let known = Code::ALL.iter().filter(|code| code.is_lint()).map(|code| code.name());
        format!("no warning has this code; there are {}", known.collect::<Vec<_>>().join(", "))
    })
}

/// `180d`
fn days(text: &str) -> Result<u32, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse().ok());
    days.ok_or_else(|| "needs a number of days, as in 180d".to_owned())
}

/// What `check` takes from around it.
pub struct Around<'a> {
    /// Where secrets are looked up, and `NO_COLOR` and `TERM`.
    pub environment: &'a Environment,
    /// Today in UTC.
    pub today: Date,
    /// Whether it writes to a terminal.
    pub terminal: bool,
    /// How many columns that has, if it is known.
    pub columns: Option<u16>,
}

/// Checks every path, also after one that is faulty. The worst of them decides the exit code.
pub fn run(args: &CheckArgs, around: &Around<'_>, input: &mut impl Read, out: &mut impl Write) -> ExitCode {
    let reports: Vec<_> = args.paths.iter().map(|path| report(path, args, around, input)).collect();
    let told = match args.format {
        Format::Text => text::write(&reports, args.deny_warnings, paint(args.color, around), out),
        Format::Json => json::write(&reports, out),
        Format::Github => github::write(&reports, args.deny_warnings, out),
        Format::Sarif => sarif::write(&reports, out),
    };
    if let Err(error) = unless_closed(told.and_then(|()| out.flush())) {
        // Where standard error is closed, the exit code still tells.
        let _ = writeln!(std::io::stderr(), "egret: {error}");
        return Verdict::Unreadable.exit_code();
    }
    let worst = reports.iter().map(|report| report.verdict).max().unwrap_or(Verdict::Good);
    worst.exit_code()
}

fn paint(color: Color, around: &Around<'_>) -> Paint {
    let says = |name| around.environment.var(name).filter(|value| !value.is_empty());
    let coloured = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            around.terminal && says("NO_COLOR").is_none() && says("TERM").as_deref() != Some("dumb")
        }
    };
    let paint = if coloured { Paint::COLOURED } else { Paint::PLAIN };
    // What is piped is read by other programs: it keeps a line for each sentence.
    around.columns.filter(|_| around.terminal).map_or(paint, |columns| paint.within(columns.into()))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Good,
    Faulty,
    Unreadable,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Faulty => "faulty",
            Self::Unreadable => "unreadable",
        }
    }

    fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Good => 0,
            Self::Faulty => 1,
            Self::Unreadable => 2,
        })
    }
}

/// What there is to say of one path.
struct Report {
    /// As it was given.
    path: String,
    verdict: Verdict,
    /// What it is made of, if that is to be shown.
    merged: Option<Sources>,
    /// How many tests lie there.
    tests: usize,
    /// What was found, or why the path cannot be read.
    outcome: Result<Checked, String>,
}

impl Report {
    /// What was found; nothing where the path cannot be read.
    fn found(&self) -> Option<&Diagnostics> {
        self.outcome.as_ref().ok().map(|checked| &checked.found)
    }
}

fn report(path: &Path, args: &CheckArgs, around: &Around<'_>, input: &mut impl Read) -> Report {
    let is_input = path.as_os_str() == "-";
    let overlays = &args.overlay.paths();
    let sources = if is_input { standard_input(input, overlays) } else { load::read_with(path, overlays) };
    let shown = if is_input { STANDARD_INPUT.to_owned() } else { path.display().to_string() };
    let sources = match sources {
        Ok(sources) => sources,
        Err(error) => {
            let outcome = Err(crate::app::chain(&error));
            return Report { path: shown, verdict: Verdict::Unreadable, tests: 0, merged: None, outcome };
        }
    };
    let look = |at: &SecretRef| {
        let missing = Secrets::new(around.environment.clone()).adopt(std::iter::once(at));
        missing.first().map(|missing| missing.fault)
    };
    let settings = Settings {
        allowed: args.allow.clone(),
        today: args.at.unwrap_or(around.today),
        max_price_age: args.max_price_age,
        secrets: if args.with_secrets { Some(&look) } else { None },
    };
    let mut checked = lint::check(&sources, &settings);
    let tests = tests_of::check(path, &sources, &mut checked);
    if !is_input {
        for place in checked.found.iter_mut().flat_map(|found| found.places_mut()) {
            if sources.files().iter().any(|file| file.role == Role::Base && file.name == place.file) {
                place.file = from_here(path, &place.file);
            }
        }
    }
    let (errors, warnings) = checked.found.counts();
    let faulty = errors > 0 || (args.deny_warnings && warnings > 0);
    let verdict = if faulty { Verdict::Faulty } else { Verdict::Good };
    let merged =
        (args.show_merged && verdict == Verdict::Good && checked.snapshot.is_some()).then_some(sources);
    Report { path: shown, verdict, tests, merged, outcome: Ok(checked) }
}

/// The name of a policy that comes in on standard input.
const STANDARD_INPUT: &str = "<stdin>";

fn standard_input(input: &mut impl Read, overlays: &[PathBuf]) -> Result<Sources, LoadError> {
    let path = || PathBuf::from("standard input");
    let mut bytes = Vec::new();
    let read = input.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|cause| LoadError::Io { path: path(), cause })?;
    if bytes.len() > MAX_BYTES {
        return Err(LoadError::TooLarge { path: path() });
    }
    load::laid_over(Sources::single(STANDARD_INPUT, bytes), overlays)
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// `not good: 1 error, 2 warnings`, or what a good policy holds.
fn summary(report: &Report, deny_warnings: bool) -> String {
    let checked = match &report.outcome {
        Ok(checked) => checked,
        Err(error) => return format!("error: {error}"),
    };
    let at = &report.path;
    let (errors, warnings) = checked.found.counts();
    let also = if warnings > 0 { format!(", {}", counted(warnings, "warning")) } else { String::new() };
    let tests = (report.tests > 0).then(|| counted(report.tests, "test"));
    match &checked.snapshot {
        Some(_) if deny_warnings && warnings > 0 => {
            format!("{at}: not good: {}, and warnings are denied", counted(warnings, "warning"))
        }
        Some(_) if errors > 0 => format!("{at}: not good: {}{also}", counted(errors, "error")),
        Some(snapshot) => {
            let counts = [
                counted(snapshot.providers.len(), "provider"),
                counted(snapshot.models.len(), "model"),
                counted(snapshot.routes.len(), "name") + " to ask for",
                counted(snapshot.tenants.len(), "tenant"),
            ];
            let counts: Vec<_> = counts.into_iter().chain(tests).collect();
            format!("{at}: good, revision {}: {}{also}", snapshot.revision, counts.join(", "))
        }
        None if errors == 0 => format!("{at}: good: {}{also}", tests.unwrap_or_default()),
        None => format!("{at}: not good: {}{also}", counted(errors, "error")),
    }
}

#[cfg(test)]
mod tests;
