//! `egret check`: says everything that is wrong with a policy, and where.

mod merged;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::overlay_args::OverlayArgs;
use crate::policy::compile::compile;
use crate::policy::load::{self, LoadError, Sources};
use crate::policy::snapshot::Snapshot;

/// Checks policies, offline: says everything that is wrong, with file, line and what to write instead.
///
/// Each PATH is a policy of its own: one file, or a folder whose *.yaml and *.yml files make one policy together. Overlays
/// are laid over each of them.
///
/// Exit codes: 0 every policy is good; 1 a policy has errors (or, with --deny-warnings, warnings); 2 a path cannot
/// be read, or the command line is wrong.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// Files or folders.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Takes warnings for errors.
    #[arg(long)]
    pub deny_warnings: bool,
    /// What is laid over each.
    #[command(flatten)]
    pub overlay: OverlayArgs,
    /// Prints each good policy as one YAML document, its overlays laid over it, with the file and line of every value
    /// behind it; what else is said of it stands in comments. What looks like a secret is masked.
    #[arg(long)]
    pub show_merged: bool,
}

/// Checks every path, also after one that is faulty. The worst of them decides the exit code.
pub fn run(args: &CheckArgs, out: &mut impl Write) -> ExitCode {
    let mut worst = Verdict::Good;
    for path in &args.paths {
        // Who closed the pipe has read enough; the exit code still tells.
        worst = worst.max(check(path, args, out).unwrap_or(Verdict::Unreadable));
    }
    worst.exit_code()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Good,
    Faulty,
    Unreadable,
}

impl Verdict {
    fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Good => 0,
            Self::Faulty => 1,
            Self::Unreadable => 2,
        })
    }
}

fn check(path: &Path, args: &CheckArgs, out: &mut impl Write) -> io::Result<Verdict> {
    let sources = match load::read_with(path, &args.overlay.overlays) {
        Ok(sources) => sources,
        Err(error) => return unreadable(&error, out),
    };
    if !args.show_merged {
        return judge(path, &sources, args.deny_warnings, out);
    }
    let mut said = Vec::new();
    let verdict = judge(path, &sources, args.deny_warnings, &mut said)?;
    match verdict {
        Verdict::Good => merged::write(&sources, &String::from_utf8_lossy(&said), out)?,
        Verdict::Faulty | Verdict::Unreadable => out.write_all(&said)?,
    }
    Ok(verdict)
}

fn judge(path: &Path, sources: &Sources, deny_warnings: bool, out: &mut impl Write) -> io::Result<Verdict> {
    let at = path.display();
    match compile(sources) {
        Ok((snapshot, warnings)) => {
            for warning in &warnings {
                writeln!(out, "{warning}\n")?;
            }
            if deny_warnings && !warnings.is_empty() {
                writeln!(
                    out,
                    "{at}: not good: {}, and warnings are denied",
                    counted(warnings.len(), "warning")
                )?;
                return Ok(Verdict::Faulty);
            }
            writeln!(out, "{at}: good, {}", summary(&snapshot))?;
            Ok(Verdict::Good)
        }
        Err(found) => {
            writeln!(out, "{found}\n")?;
            let (errors, warnings) = found.counts();
            let warnings =
                if warnings > 0 { format!(", {}", counted(warnings, "warning")) } else { String::new() };
            writeln!(out, "{at}: not good: {}{warnings}", counted(errors, "error"))?;
            Ok(Verdict::Faulty)
        }
    }
}

fn unreadable(error: &LoadError, out: &mut impl Write) -> io::Result<Verdict> {
    write!(out, "error: {error}")?;
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        write!(out, ": {inner}")?;
        cause = inner.source();
    }
    writeln!(out)?;
    Ok(Verdict::Unreadable)
}

fn summary(snapshot: &Snapshot) -> String {
    let counts = [
        counted(snapshot.providers.len(), "provider"),
        counted(snapshot.models.len(), "model"),
        counted(snapshot.routes.len(), "name") + " to ask for",
        counted(snapshot.tenants.len(), "tenant"),
    ];
    format!("revision {}: {}", snapshot.revision, counts.join(", "))
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn args(deny_warnings: bool) -> CheckArgs {
        CheckArgs { paths: Vec::new(), deny_warnings, overlay: OverlayArgs::default(), show_merged: false }
    }

    fn checked(files: &[(&str, &str)], deny_warnings: bool) -> (Verdict, String) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let mut out = Vec::new();
        let verdict = check(folder.path(), &args(deny_warnings), &mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        (verdict, shown.replace(&folder.path().display().to_string(), "policies"))
    }

    const GOOD: &str = include_str!("../../policies/quickstart.yaml");

    #[test]
    fn a_good_policy_is_one_line_with_its_revision_and_counts() {
        let (verdict, shown) = checked(&[("policy.yaml", GOOD)], true);
        assert_eq!(verdict, Verdict::Good, "{shown}");
        assert_eq!(shown.lines().count(), 1);
        assert!(shown.starts_with("policies: good, revision "), "{shown}");
        assert!(shown.ends_with(": 1 provider, 2 models, 3 names to ask for, 1 tenant\n"), "{shown}");
    }

    #[test]
    fn a_faulty_policy_shows_its_findings_and_counts_them() {
        let (verdict, shown) =
            checked(&[("policy.yaml", &GOOD.replace("local: true", "lokal: true"))], false);
        assert_eq!(verdict, Verdict::Faulty);
        assert!(shown.contains("error: unknown field `lokal`\n"), "{shown}");
        assert!(shown.contains("policies: not good: 1 error, 1 warning\n"), "{shown}");
    }

    #[test]
    fn warnings_fail_only_where_they_are_denied() {
        let policy = [("policy.yaml", &*GOOD.replace("\"gpt-*\"", "\"gpd-*\""))];
        assert_eq!(checked(&policy, false).0, Verdict::Good);
        assert_eq!(checked(&policy, true).0, Verdict::Faulty);
    }

    #[test]
    fn a_path_that_cannot_be_read_is_named_with_its_cause() {
        let mut out = Vec::new();
        let verdict = check(Path::new("nowhere/policy.yaml"), &args(false), &mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        assert_eq!(verdict, Verdict::Unreadable);
        assert!(shown.starts_with("error: cannot read nowhere/policy.yaml: "), "{shown}");
    }
}
