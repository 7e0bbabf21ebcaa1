//! Findings for people.

use std::io::{self, Write};

use super::{Report, merged, summary};
use crate::policy::diagnostic::Paint;

pub(super) fn write(
    reports: &[Report],
    deny_warnings: bool,
    paint: Paint,
    out: &mut impl Write,
) -> io::Result<()> {
    for report in reports {
        if let Some(sources) = &report.merged {
            let mut said = Vec::new();
            tell(report, deny_warnings, Paint::PLAIN, &mut said)?;
            merged::write(sources, &String::from_utf8_lossy(&said), out)?;
        } else {
            tell(report, deny_warnings, paint, out)?;
        }
    }
    Ok(())
}

fn tell(report: &Report, deny_warnings: bool, paint: Paint, out: &mut impl Write) -> io::Result<()> {
    for finding in report.found().iter().flat_map(|found| found.iter()) {
        writeln!(out, "{}\n", finding.painted(paint))?;
    }
    let left_out = report.found().map_or(0, |found| found.left_out());
    if left_out > 0 {
        writeln!(out, "... and {left_out} more\n")?;
    }
    writeln!(out, "{}", summary(report, deny_warnings))
}
