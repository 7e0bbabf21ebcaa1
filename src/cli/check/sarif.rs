//! Findings as SARIF 2.1.0, for code scanning.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::Report;
use crate::policy::diagnostic::{Code, Diagnostic, Level, Place, Severity};

pub(super) fn write(reports: &[Report], out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &log(reports))?;
    writeln!(out)
}

fn log(reports: &[Report]) -> Value {
    let findings = || reports.iter().filter_map(Report::found).flat_map(|found| found.iter());
    let codes: BTreeSet<Code> = findings().map(|finding| finding.code).collect();
    let codes: Vec<Code> = codes.into_iter().collect();
    let unreadable = reports.iter().filter_map(|report| report.outcome.as_ref().err());
    let unreadable: Vec<_> =
        unreadable.map(|error| json!({ "level": "error", "message": { "text": error } })).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "egret",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": codes.iter().map(|code| rule(*code)).collect::<Vec<_>>(),
            } },
            "invocations": [{
                "executionSuccessful": unreadable.is_empty(),
                "toolExecutionNotifications": unreadable,
            }],
            "columnKind": "unicodeCodePoints",
            "results": findings().map(|finding| result(finding, &codes)).collect::<Vec<_>>(),
        }],
    })
}

fn rule(code: Code) -> Value {
    let level = match code.level() {
        Level::Error | Level::Both => "error",
        Level::Warning | Level::Review => "warning",
    };
    json!({
        "id": code.name(),
        "shortDescription": { "text": code.says() },
        "help": { "text": format!("{} The policy language is told in policies/README.md.", code.says()) },
        "defaultConfiguration": { "level": level },
    })
}

fn result(finding: &Diagnostic, codes: &[Code]) -> Value {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    // What to write instead is a sentence, no edit that a machine could make.
    let text = match &finding.hint {
        Some(hint) => format!("{}\nhelp: {hint}", finding.message),
        None => finding.message.clone(),
    };
    let mut result = json!({
        "ruleId": finding.code.name(),
        "ruleIndex": codes.iter().position(|code| *code == finding.code),
        "level": level,
        "message": { "text": text },
        "locations": finding.place.iter().map(location).collect::<Vec<_>>(),
    });
    if let Some((how, place)) = &finding.other {
        let mut other = location(place);
        other["id"] = json!(1);
        other["message"] = json!({ "text": how });
        result["relatedLocations"] = json!([other]);
    }
    result
}

fn location(place: &Place) -> Value {
    let Place { file, line, column, end_column, .. } = place;
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(file) },
        "region": { "startLine": line, "startColumn": column, "endColumn": end_column },
    } })
}

/// A path as a URI reference: relative to where the command ran, or a `file:` URI.
fn uri(path: &str) -> String {
    const KEPT: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    let encoded = utf8_percent_encode(path, KEPT);
    if Path::new(path).is_absolute() { format!("file://{encoded}") } else { encoded.to_string() }
}
