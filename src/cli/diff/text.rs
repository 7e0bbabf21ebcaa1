//! Changes for people: lines of 80 columns.

use std::fmt::Write as _;

use super::{Report, cut, few, shown as places};
use crate::policy::diff::{Change, Direction, Subject};

const WIDTH: usize = 80;
/// Where what is told begins, behind the direction.
const INDENT: usize = 14;
/// Longer values are cut.
const VALUE: usize = 320;
const NAMES: usize = 12;

pub(super) fn shown(report: &Report<'_>, colours: bool) -> String {
    let mut text = String::new();
    let paint = Paint(colours);
    let title = format!("{}: {} -> {}", report.counts(), report.old, report.new);
    wrapped(&mut text, &title, 0, 2);
    for subject in &report.changes.subjects {
        text.push('\n');
        // Where the names fill lines of their own, the first line is short.
        let title = title_of(subject);
        let mut lines = String::new();
        wrapped(&mut lines, &title, 0, 4);
        text += &paint.bold(lines.trim_end());
        text.push('\n');
        for change in &subject.changes {
            one(&mut text, change, &at(report, subject, change), &paint);
        }
    }
    text
}

fn title_of(subject: &Subject) -> String {
    if subject.names.len() == 1 {
        return subject.title();
    }
    format!("{}: {}", subject.title(), few(&subject.names, NAMES))
}

/// `[old.yaml:7 -> new.yaml:8]`
fn at(report: &Report<'_>, subject: &Subject, change: &Change) -> String {
    let (was, is) = (report.was_at(subject, change), report.is_at(subject, change));
    match (&*was, &*is) {
        ([], []) => String::new(),
        (only, []) | ([], only) => format!(" [{}]", places(only)),
        (was, is) => format!(" [{} -> {}]", places(was), places(is)),
    }
}

fn one(text: &mut String, change: &Change, at: &str, paint: &Paint) {
    let Change { direction, what, old, new, note, restarts: _ } = change;
    let mut told = match (old, new) {
        (Some(old), Some(new)) => format!("{what}: {} -> {}", cut(old, VALUE), cut(new, VALUE)),
        (None, Some(new)) => format!("{what} added: {}", cut(new, VALUE)),
        (Some(old), None) => format!("{what} removed: {}", cut(old, VALUE)),
        (None, None) => what.to_string(),
    };
    match (note, old.is_some() || new.is_some()) {
        (Some(note), true) => told += &format!(" ({note})"),
        (Some(note), false) => told += &format!(": {note}"),
        (None, _) => {}
    }
    told += at;
    let mut lines = String::new();
    wrapped(&mut lines, &told, INDENT, INDENT + 2);
    let word = direction.as_str();
    let gap = " ".repeat(INDENT.saturating_sub(2 + word.len()));
    let _ = write!(text, "  {}{gap}{}", paint.direction(*direction), lines.trim_start());
}

/// Breaks at spaces. A word that is longer than a line stands by itself.
fn wrapped(into: &mut String, text: &str, first: usize, others: usize) {
    let mut column = first;
    *into += &" ".repeat(first);
    let mut is_begin = true;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if !is_begin && column + 1 + length > WIDTH {
            into.push('\n');
            *into += &" ".repeat(others);
            column = others;
            is_begin = true;
        }
        if !is_begin {
            into.push(' ');
            column += 1;
        }
        *into += word;
        column += length;
        is_begin = false;
    }
    into.push('\n');
}

/// Colours, where they are wanted.
struct Paint(bool);

impl Paint {
    fn direction(&self, direction: Direction) -> String {
        let code = match direction {
            Direction::Loosening => "33",
            Direction::Tightening => "36",
            Direction::Mixed => "35",
            Direction::Risk => "31",
            Direction::Neutral => "2",
        };
        self.with(code, direction.as_str())
    }

    fn bold(&self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(&self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
