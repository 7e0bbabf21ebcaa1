//! Findings as workflow commands of GitHub Actions, which shows them beside the lines of a pull request.

use std::io::{self, Write};

use super::{Report, summary};
use crate::policy::diagnostic::{Diagnostic, Place, Severity};

pub(super) fn write(reports: &[Report], deny_warnings: bool, out: &mut impl Write) -> io::Result<()> {
    for report in reports {
        for finding in report.found().iter().flat_map(|found| found.iter()) {
            writeln!(out, "{}", command(finding))?;
        }
        match &report.outcome {
            Ok(_) => writeln!(out, "{}", summary(report, deny_warnings))?,
            Err(error) => writeln!(out, "::error title=egret check::{}", data(error))?,
        }
    }
    Ok(())
}

fn command(finding: &Diagnostic) -> String {
    let kind = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut properties = Vec::new();
    if let Some(Place { file, line, column, end_column, .. }) = &finding.place {
        properties.push(format!("file={}", property(file)));
        properties.push(format!("line={line},col={column},endColumn={end_column}"));
    }
    properties.push(format!("title={}", property(&format!("egret {}", finding.code.name()))));
    let mut text = finding.message.clone();
    if let Some(hint) = &finding.hint {
        text = format!("{text}\nhelp: {hint}");
    }
    if let Some((how, Place { file, line, column, .. })) = &finding.other {
        text = format!("{text}\nnote: {how}: {file}:{line}:{column}");
    }
    format!("::{kind} {}::{}", properties.join(","), data(&text))
}

/// A command's text, as the runner decodes it.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property's value.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
