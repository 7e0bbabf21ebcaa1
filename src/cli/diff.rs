//! `egret diff`: what a change of policy means for callers.

mod git;
mod json;
mod markdown;
mod text;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

use super::unless_closed;
use crate::environment::Environment;
use crate::policy::Snapshot;
use crate::policy::compile::compile;
use crate::policy::diagnostic::Diagnostics;
use crate::policy::diff::{self, Change, Changes, Direction, Place, Places, Subject};
use crate::policy::load::{self, LoadError, Sources};

/// Tells what a change of policy means for callers: what they gain and lose.
///
/// OLD and NEW are policies: a file, a folder whose *.yaml and *.yml files make one policy together, or git:REV:PATH, which
/// is one of these at a revision of the git repository around the current folder. As in git, PATH is seen from the top of
/// the repository, with ./ or ../ before it from the current folder.
///
/// Each change goes one way: loosening (callers may do or spend more), tightening (less), mixed (more in some cases and
/// less in others), risk (neither, but someone should look), neutral. policies/README.md says which goes which way. Texts
/// that mean the same have no changes. Behind each change is the file and line where it is written.
///
/// Exit codes: 0 there is no change that --fail-on names; 1 there is one; 2 a policy cannot be read or is faulty, or the
/// command line is wrong. Where OLD alone is faulty, all of NEW is shown as new, and the exit code is 2. Colours are for
/// terminals, unless NO_COLOR is set.
#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    /// The policy that holds.
    #[arg(value_name = "OLD", value_parser = NonEmptyStringValueParser::new())]
    pub old: String,
    /// The policy that is to hold.
    #[arg(value_name = "NEW", value_parser = NonEmptyStringValueParser::new())]
    pub new: String,
    /// What is laid over both policies, such as overlays/prod.yaml; of one at a git revision, as it is there. Several:
    /// repeat it.
    #[arg(long = "overlay", value_name = "PATH")]
    pub overlays: Vec<PathBuf>,
    /// End with 1 where there is such a change; several with commas between. What is mixed counts as loosening and as
    /// tightening.
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    pub fail_on: Vec<FailOn>,
    /// How it is told: to people, as a comment in Markdown, or to machines.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
}

/// Which changes make it fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Callers may do or spend more
    Loosening,
    /// Callers may do or spend less
    Tightening,
    /// Someone should look
    Risk,
    /// Any change of meaning
    Any,
}

impl FailOn {
    fn is_met(self, changes: &Changes) -> bool {
        changes.iter().any(|Change { direction, .. }| match self {
            Self::Loosening => direction.loosens(),
            Self::Tightening => direction.tightens(),
            Self::Risk => *direction == Direction::Risk,
            Self::Any => true,
        })
    }
}

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Lines of 80 columns
    Text,
    /// For a comment on a pull request
    Markdown,
    /// For machines
    Json,
}

/// Two policies, and what the newer one changes.
struct Report<'a> {
    old: Side<'a>,
    new: Side<'a>,
    changes: &'a Changes,
}

/// One of the policies.
struct Side<'a> {
    /// As it was asked for.
    name: &'a str,
    /// None of a faulty one.
    policy: Option<&'a Policy>,
}

/// One that is good, and where its parts are written.
struct Policy {
    snapshot: Snapshot,
    places: Places,
}

impl Report<'_> {
    /// `3 loosening, 1 risk`; `no change of meaning`.
    fn counts(&self) -> String {
        counts(self.changes.iter())
    }

    /// Where that is written which held before a change. Empty where nothing did, or where it is not known.
    fn was_at(&self, subject: &Subject, change: &Change) -> Vec<Place> {
        let was = change.old.is_some() || change.new.is_none();
        let policy = self.old.policy.filter(|_| was);
        policy.map_or_else(Vec::new, |old| old.places.of_change(subject, change, diff::Side::Old))
    }

    /// Where that is written which holds after it.
    fn is_at(&self, subject: &Subject, change: &Change) -> Vec<Place> {
        let is = change.new.is_some() || change.old.is_none();
        let policy = self.new.policy.filter(|_| is);
        policy.map_or_else(Vec::new, |new| new.places.of_change(subject, change, diff::Side::New))
    }
}

/// `tenants.yaml:7`, and how many more.
fn shown(places: &[Place]) -> String {
    let places: Vec<_> = places.iter().map(ToString::to_string).collect();
    few(&places, 2)
}

fn counts<'a>(changes: impl Iterator<Item = &'a Change>) -> String {
    let mut of: BTreeMap<Direction, usize> = BTreeMap::new();
    changes.for_each(|change| *of.entry(change.direction).or_default() += 1);
    let told: Vec<_> = of.iter().map(|(direction, n)| format!("{n} {}", direction.as_str())).collect();
    if told.is_empty() { "no change of meaning".into() } else { told.join(", ") }
}

/// A line about a side: its name and revision.
impl fmt::Display for Side<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.policy {
            Some(policy) => {
                let Snapshot { revision, label, .. } = &policy.snapshot;
                let label = label.as_ref().map(|label| format!(", {label}")).unwrap_or_default();
                write!(f, "{} (revision {revision}{label})", self.name)
            }
            None => write!(f, "{} (faulty: all is shown as new)", self.name),
        }
    }
}

/// Prints the changes to `out` and faults to `faults`.
pub fn run(
    args: &DiffArgs,
    environment: &Environment,
    out: &mut io::Stdout,
    faults: &mut impl Write,
) -> ExitCode {
    let colours = out.is_terminal() && environment.var("NO_COLOR").is_none_or(|said| said.is_empty());
    let code = diff(args, Path::new("."), colours, out, faults).unwrap_or_else(|error| {
        // Where standard error is closed, the exit code still tells.
        let _ = writeln!(faults, "egret: {error}");
        2
    });
    ExitCode::from(code)
}

fn diff(
    args: &DiffArgs,
    folder: &Path,
    colours: bool,
    out: &mut impl Write,
    faults: &mut impl Write,
) -> io::Result<u8> {
    let old = read(&args.old, &args.overlays, folder);
    let new = read(&args.new, &args.overlays, folder);
    for (which, name, side) in [("OLD", &args.old, &old), ("NEW", &args.new, &new)] {
        if let Err(fault) = side {
            fault.tell(which, name, faults)?;
        }
    }
    let nothing = Snapshot::default();
    let (old, new) = match (&old, &new) {
        (Ok(old), Ok(new)) => (Some(old), new),
        // One that an older egret accepted: what is to hold can still be shown.
        (Err(Fault::Faulty(_)), Ok(new)) => (None, new),
        (Err(Fault::Unreadable(_)), _) | (_, Err(_)) => return Ok(2),
    };
    let changes = Changes::between(old.map_or(&nothing, |old| &old.snapshot), &new.snapshot);
    let report = Report {
        old: Side { name: &args.old, policy: old },
        new: Side { name: &args.new, policy: Some(new) },
        changes: &changes,
    };
    let text = match args.format {
        Format::Text => text::shown(&report, colours),
        Format::Markdown => markdown::shown(&report),
        Format::Json => json::shown(&report),
    };
    let fails = args.fail_on.iter().any(|what| what.is_met(&changes));
    unless_closed(out.write_all(text.as_bytes()).and_then(|()| out.flush()))?;
    Ok(if old.is_none() { 2 } else { u8::from(fails) })
}

/// Why there is no policy on one side.
enum Fault {
    /// It cannot be read; rendered.
    Unreadable(String),
    /// It was read, and is faulty.
    Faulty(Diagnostics),
}

/// The policy of a name. Its warnings are for `check` to tell.
fn read(name: &str, overlays: &[PathBuf], folder: &Path) -> Result<Policy, Fault> {
    let sources = sources(name, overlays, folder).map_err(Fault::Unreadable)?;
    let (snapshot, _) = compile(&sources).map_err(Fault::Faulty)?;
    Ok(Policy { snapshot, places: Places::of(&sources) })
}

/// The one place that knows what OLD and NEW may be.
fn sources(name: &str, overlays: &[PathBuf], folder: &Path) -> Result<Sources, String> {
    match name.strip_prefix("git:") {
        Some(at) => at_revision(at, overlays, folder).map_err(|fault| fault.to_string()),
        None => {
            let overlays: Vec<_> = overlays.iter().map(|overlay| folder.join(overlay)).collect();
            load::read_with(&folder.join(name), &overlays).map_err(|fault| told(&fault))
        }
    }
}

fn at_revision(at: &str, overlays: &[PathBuf], folder: &Path) -> Result<Sources, git::GitFault> {
    let mut sources = git::read(at, folder)?;
    let revision = at.split_once(':').map_or(at, |(revision, _)| revision);
    for overlay in overlays {
        // Flags name files from the current folder.
        let files = git::read(&format!("{revision}:./{}", overlay.display()), folder)?;
        let files = files.files().iter().map(|file| (Arc::clone(&file.name), file.bytes.clone()));
        sources = sources.overlaid(files);
    }
    Ok(sources)
}

fn told(fault: &LoadError) -> String {
    let cause = std::error::Error::source(fault).map(|cause| format!(": {cause}"));
    format!("{fault}{}", cause.unwrap_or_default())
}

impl Fault {
    fn tell(&self, which: &str, name: &str, faults: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Unreadable(why) => writeln!(faults, "egret: {which} cannot be read: {why}"),
            Self::Faulty(found) => {
                let errors = found.counts().0;
                let plural = if errors == 1 { "" } else { "s" };
                writeln!(faults, "{found}\n\negret: {which}, {name}, is not good: {errors} error{plural}")
            }
        }
    }
}

/// A text cut to so many characters.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(2)).collect();
    format!("{kept}..")
}

/// Several names with commas between, the first of them where they are many.
fn few<T: AsRef<str>>(names: &[T], most: usize) -> String {
    let named: Vec<_> = names.iter().take(most).map(AsRef::as_ref).collect();
    let more = names.len().saturating_sub(most);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", named.join(", "))
}
