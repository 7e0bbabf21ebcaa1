//! Findings as one JSON document. Its fields are documented in `policies/README.md`: they stay, others may come.

use std::io::{self, Write};

use serde::Serialize;

use super::Report;
use crate::policy::diagnostic::{Diagnostic, Place};

#[derive(Serialize)]
struct Document<'r> {
    version: u32,
    policies: Vec<Policy<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Policy<'r> {
    path: &'r str,
    verdict: &'static str,
    revision: Option<String>,
    error: Option<&'r str>,
    errors: usize,
    warnings: usize,
    left_out: usize,
    diagnostics: Vec<Finding<'r>>,
}

#[derive(Serialize)]
struct Finding<'r> {
    severity: &'static str,
    code: &'static str,
    message: &'r str,
    hint: Option<&'r str>,
    #[serde(flatten)]
    place: At<'r>,
    other: Option<Other<'r>>,
}

#[derive(Serialize)]
struct Other<'r> {
    message: &'r str,
    #[serde(flatten)]
    place: At<'r>,
}

/// A place, or four times nothing.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct At<'r> {
    file: Option<&'r str>,
    line: Option<u32>,
    column: Option<u32>,
    end_column: Option<u32>,
}

pub(super) fn write(reports: &[Report], out: &mut impl Write) -> io::Result<()> {
    let document = Document { version: 1, policies: reports.iter().map(policy).collect() };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn policy(report: &Report) -> Policy<'_> {
    let (errors, warnings) = report.found().map_or((0, 0), |found| found.counts());
    let snapshot = report.outcome.as_ref().ok().and_then(|checked| checked.snapshot.as_ref());
    Policy {
        path: &report.path,
        verdict: report.verdict.name(),
        revision: snapshot.map(|snapshot| snapshot.revision.to_string()),
        error: report.outcome.as_ref().err().map(String::as_str),
        errors,
        warnings,
        left_out: report.found().map_or(0, |found| found.left_out()),
        diagnostics: report.found().iter().flat_map(|found| found.iter()).map(finding).collect(),
    }
}

fn finding(of: &Diagnostic) -> Finding<'_> {
    Finding {
        severity: of.severity.name(),
        code: of.code.name(),
        message: &of.message,
        hint: of.hint.as_deref(),
        place: of.place.as_ref().map(at).unwrap_or_default(),
        other: of.other.as_ref().map(|(message, place)| Other { message, place: at(place) }),
    }
}

fn at(place: &Place) -> At<'_> {
    let Place { file, line, column, end_column, .. } = place;
    At { file: Some(file), line: Some(*line), column: Some(*column), end_column: Some(*end_column) }
}
