//! Results for people.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::report::{Report, Suite};
use crate::scenario::{Coverage, Failure, Outcome};

/// Parts that no test has seen: so many are named.
const NAMED: usize = 20;

/// Writes every test, what failed and why, what is not covered, and a last line with the counts.
pub(super) fn write(report: &Report, filtered: bool, out: &mut impl Write) -> io::Result<()> {
    for suite in &report.suites {
        // Several policies may have their tests in one folder.
        let others = report.suites.iter().filter(|other| other.path == suite.path).count() > 1;
        let of = if others { format!(", of {}", suite.policy) } else { String::new() };
        writeln!(out, "{}{of}", suite.path.display())?;
        for outcome in &suite.outcomes {
            writeln!(
                out,
                "  {}  {}",
                if outcome.passed() { "ok  " } else { "FAIL" },
                printable(&outcome.name)
            )?;
            for failure in &outcome.failures {
                write!(out, "{}", indented(&shown(failure)))?;
            }
        }
        if !filtered {
            write!(out, "{}", coverage(&suite.coverage))?;
        }
        writeln!(out)?;
    }
    for fault in &report.faults {
        writeln!(out, "{fault}\n")?;
    }
    for suite in report.lacking() {
        writeln!(out, "{}", lacks(suite, report.demanded))?;
    }
    writeln!(out, "{}", summary(report))
}

/// A name as a terminal may be shown it.
fn printable(name: &str) -> String {
    name.replace(|c: char| c.is_control(), "\u{fffd}")
}

/// As rustc does it: the sentence, the place, the line, a caret, and what came of the call.
fn shown(failure: &Failure) -> String {
    let Failure { place, field, wanted, got, which } = failure;
    let gutter = place.line.to_string().len();
    format!("{field}: expected {wanted}, got {got}\n{place}\n{:gutter$} = {which}\n", "")
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "        {line}");
        all
    })
}

fn coverage(coverage: &Coverage) -> String {
    let of = |kind: &str| {
        let all = coverage.all.iter().filter(|part| part.kind() == kind).count();
        let missed = coverage.missed.iter().filter(|part| part.kind() == kind).count();
        format!("{kind}s {} of {all}", all - missed)
    };
    let kinds = ["tenant", "limit", "target", "condition"].map(of).join(", ");
    let mut text = format!("  coverage {} %: {kinds}\n", coverage.percent());
    for part in coverage.missed.iter().take(NAMED) {
        let _ = writeln!(text, "    not covered: {part}");
    }
    let more = coverage.missed.len().saturating_sub(NAMED);
    if more > 0 {
        let _ = writeln!(text, "    .. and {more} more");
    }
    text
}

/// Why coverage is a failure.
pub(super) fn lacks(suite: &Suite, demanded: Option<u8>) -> String {
    format!(
        "{}: the tests cover {} % of {}, and at least {} % are asked for",
        suite.path.display(),
        suite.coverage.percent(),
        suite.policy,
        demanded.unwrap_or_default()
    )
}

fn summary(report: &Report) -> String {
    let (passed, failed) = report.counts();
    let outcomes = || report.suites.iter().flat_map(|suite| &suite.outcomes);
    let calls: u64 = outcomes().map(|outcome: &Outcome| outcome.calls).sum();
    let seconds = outcomes().map(|outcome| outcome.took).sum::<std::time::Duration>().as_secs();
    let faults = match report.faults.len() {
        0 => String::new(),
        faults => format!(", {faults} that could not run"),
    };
    format!(
        "{passed} passed, {failed} failed{faults}; {calls} {}, {} of virtual time",
        if calls == 1 { "call" } else { "calls" },
        time(seconds)
    )
}

/// `45 s`, `12 min`, `3 h`, `40 d`.
fn time(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        172_800.. => format!("{} d", seconds / 86_400),
    }
}
