//! Results for machines: one object. Members are added, never renamed.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::report::{Report, Suite};
use crate::policy::diagnostic::Place;
use crate::scenario::{Coverage, Failure, Outcome};

/// Writes `{ passed, failed, suites: [..], faults: [..], minCoverage }`.
pub(super) fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let (passed, failed) = report.counts();
    let value = json!({
        "passed": passed,
        "failed": failed,
        "suites": report.suites.iter().map(suite).collect::<Vec<_>>(),
        "faults": report.faults,
        "minCoverage": report.demanded,
    });
    writeln!(out, "{value:#}")
}

fn suite(suite: &Suite) -> Value {
    let Suite { path, policy, outcomes, coverage } = suite;
    json!({
        "path": path.display().to_string(),
        "policy": policy,
        "tests": outcomes.iter().map(outcome).collect::<Vec<_>>(),
        "coverage": self::coverage(coverage),
    })
}

fn outcome(outcome: &Outcome) -> Value {
    json!({
        "name": outcome.name,
        "place": place(&outcome.place),
        "passed": outcome.passed(),
        "calls": outcome.calls,
        "virtualMs": u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
        "failures": outcome.failures.iter().map(failure).collect::<Vec<_>>(),
    })
}

fn failure(failure: &Failure) -> Value {
    let Failure { place, field, wanted, got, which } = failure;
    json!({ "field": field, "expected": wanted, "got": got, "place": self::place(place), "call": which })
}

fn place(place: &Place) -> Value {
    json!({ "file": place.file, "line": place.line, "column": place.column })
}

fn coverage(coverage: &Coverage) -> Value {
    let missed = coverage.missed.iter().map(|part| json!({ "kind": part.kind(), "what": part.to_string() }));
    json!({
        "percent": coverage.percent(),
        "parts": coverage.all.len(),
        "missed": missed.collect::<Vec<_>>(),
    })
}
