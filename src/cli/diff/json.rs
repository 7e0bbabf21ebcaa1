//! Changes for machines. What is described in policies/README.md stays; fields may be added.

use serde::Serialize;

use super::{Report, Side};
use crate::policy::diff::Place;
use crate::policy::diff::{Change, Direction, Subject};

/// Another one where a field goes or gets another meaning.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Told<'a> {
    version: u32,
    old: Policy<'a>,
    new: Policy<'a>,
    summary: Counts,
    subjects: Vec<About<'a>>,
}

#[derive(Serialize)]
struct Policy<'a> {
    source: &'a str,
    /// None of a faulty one.
    revision: Option<String>,
    label: Option<&'a str>,
}

#[derive(Serialize)]
struct Counts {
    loosening: usize,
    tightening: usize,
    mixed: usize,
    risk: usize,
    neutral: usize,
}

#[derive(Serialize)]
struct About<'a> {
    kind: &'static str,
    names: Vec<&'a str>,
    plan: Option<&'a str>,
    changes: Vec<One<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    direction: &'static str,
    what: &'a str,
    old: Option<&'a str>,
    new: Option<&'a str>,
    /// `file:line`, of each that has the change.
    old_at: Vec<String>,
    new_at: Vec<String>,
    note: Option<&'a str>,
    counts_start_anew: bool,
}

pub(super) fn shown(report: &Report<'_>) -> String {
    let count = |direction| report.changes.count(direction);
    let told = Told {
        version: VERSION,
        old: policy(&report.old),
        new: policy(&report.new),
        summary: Counts {
            loosening: count(Direction::Loosening),
            tightening: count(Direction::Tightening),
            mixed: count(Direction::Mixed),
            risk: count(Direction::Risk),
            neutral: count(Direction::Neutral),
        },
        subjects: report.changes.subjects.iter().map(|subject| about(report, subject)).collect(),
    };
    // Texts, numbers and lists can always be written.
    serde_json::to_string_pretty(&told).unwrap_or_default() + "\n"
}

fn policy<'a>(side: &Side<'a>) -> Policy<'a> {
    Policy {
        source: side.name,
        revision: side.policy.map(|policy| policy.snapshot.revision.to_string()),
        label: side.policy.and_then(|policy| policy.snapshot.label.as_deref()),
    }
}

fn about<'a>(report: &Report<'a>, subject: &'a Subject) -> About<'a> {
    let Subject { kind, names, plan, changes } = subject;
    About {
        kind: kind.as_str(),
        names: names.iter().map(AsRef::as_ref).collect(),
        plan: plan.as_deref(),
        changes: changes.iter().map(|change| one(report, subject, change)).collect(),
    }
}

fn one<'a>(report: &Report<'_>, subject: &Subject, change: &'a Change) -> One<'a> {
    let at = |places: Vec<Place>| places.iter().map(ToString::to_string).collect();
    let Change { direction, what, old, new, note, restarts } = change;
    One {
        direction: direction.as_str(),
        what,
        old: old.as_deref(),
        new: new.as_deref(),
        old_at: at(report.was_at(subject, change)),
        new_at: at(report.is_at(subject, change)),
        note: note.as_deref(),
        counts_start_anew: *restarts,
    }
}
