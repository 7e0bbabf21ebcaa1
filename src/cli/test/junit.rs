//! Results as JUnit's XML, in the form that GitLab, Jenkins and GitHub's reporters read.

use std::io::{self, Write};

use super::report::{Report, Suite};
use super::text::lacks;
use crate::scenario::{Failure, Outcome};

/// Writes one `testsuite` for each path; what could not run is a suite of errors.
pub(super) fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let (passed, failed) = report.counts();
    let (errors, lacking) = (report.faults.len(), report.lacking().count());
    let tests = passed + failed + errors + lacking;
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(
        out,
        "<testsuites name=\"egret test\" tests=\"{tests}\" failures=\"{}\" errors=\"{errors}\">",
        failed + lacking
    )?;
    for suite in &report.suites {
        let lack = report.lacking().find(|lacking| std::ptr::eq(*lacking, suite));
        write_suite(suite, lack.map(|suite| lacks(suite, report.demanded)), out)?;
    }
    if errors > 0 {
        writeln!(out, "  <testsuite name=\"egret\" tests=\"{errors}\" failures=\"0\" errors=\"{errors}\">")?;
        for (number, fault) in (1..).zip(&report.faults) {
            let first = fault.lines().next().unwrap_or_default();
            writeln!(out, "    <testcase name=\"could not run {number}\" classname=\"egret\">")?;
            writeln!(out, "      <error message=\"{}\">{}</error>", escaped(first), escaped(fault))?;
            writeln!(out, "    </testcase>")?;
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

fn write_suite(suite: &Suite, lack: Option<String>, out: &mut impl Write) -> io::Result<()> {
    let name = escaped(&suite.path.display().to_string());
    let failed =
        suite.outcomes.iter().filter(|outcome| !outcome.passed()).count() + usize::from(lack.is_some());
    let tests = suite.outcomes.len() + usize::from(lack.is_some());
    writeln!(out, "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failed}\" errors=\"0\">")?;
    for outcome in &suite.outcomes {
        write_case(&name, outcome, out)?;
    }
    if let Some(lack) = lack {
        writeln!(out, "    <testcase name=\"coverage\" classname=\"{name}\">")?;
        writeln!(out, "      <failure message=\"{}\"/>", escaped(&lack))?;
        writeln!(out, "    </testcase>")?;
    }
    writeln!(out, "  </testsuite>")
}

fn write_case(suite: &str, outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let Outcome { name, place, failures, .. } = outcome;
    let (file, name) = (escaped(&place.file), escaped(name));
    let head =
        format!("<testcase name=\"{name}\" classname=\"{suite}\" file=\"{file}\" line=\"{}\"", place.line);
    if failures.is_empty() {
        return writeln!(out, "    {head}/>");
    }
    writeln!(out, "    {head}>")?;
    for Failure { place, field, wanted, got, which } in failures {
        let message = escaped(&format!("{field}: expected {wanted}, got {got}"));
        writeln!(
            out,
            "      <failure message=\"{message}\">{}</failure>",
            escaped(&format!("{place}\n{which}"))
        )?;
    }
    writeln!(out, "    </testcase>")
}

/// Text as XML 1.0 carries it, in attributes too. Characters that it cannot carry become a replacement.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut all, c| {
        match c {
            '&' => all.push_str("&amp;"),
            '<' => all.push_str("&lt;"),
            '>' => all.push_str("&gt;"),
            '"' => all.push_str("&quot;"),
            '\n' => all.push_str("&#10;"),
            '\t' => all.push_str("&#9;"),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => all.push('\u{fffd}'),
            c => all.push(c),
        }
        all
    })
}
