//! Changes as a comment on a pull request: a table for each tenant, route, model and provider.

use super::{Report, counts, cut, few, shown as places};
use crate::policy::diff::{Change, Direction, Place, Subject};

/// GitHub takes no comment of more than 65,536 characters.
const MOST: usize = 65_000;
/// Room for what closes a comment that is cut.
const END: usize = 400;
/// With more changes than these, each table is folded away below its title.
const UNFOLDED: usize = 30;
/// Longer values are cut.
const VALUE: usize = 240;
const NAMES: usize = 8;

pub(super) fn shown(report: &Report<'_>) -> String {
    let mut text = format!(
        "## egret diff: {}\n\n{} → {}\n",
        report.counts(),
        code_of(&report.old.to_string()),
        code_of(&report.new.to_string())
    );
    let folded = report.changes.iter().count() > UNFOLDED;
    let mut told = 0;
    for subject in &report.changes.subjects {
        let (begin, end) = frame(subject, folded);
        let mut section = begin;
        for change in &subject.changes {
            let row = row(report, subject, change);
            if text.len() + section.len() + row.len() + end.len() + END > MOST {
                if told > 0 {
                    text += &section;
                    text += &end;
                }
                return cut_off(text, report.changes.iter().count() - told);
            }
            section += &row;
            told += 1;
        }
        text += &section;
        text += &end;
    }
    text
}

fn cut_off(mut text: String, left: usize) -> String {
    let plural = if left == 1 { " is" } else { "s are" };
    text += &format!(
        "\n**{left} more change{plural} left out: a comment has no room for more.** `egret diff` tells all.\n"
    );
    text
}

/// What stands before and after the rows.
fn frame(subject: &Subject, folded: bool) -> (String, String) {
    let title = match &*subject.names {
        [name] => format!("{} {}", capital(subject.kind.as_str()), code_of(name)),
        names => {
            let names: Vec<_> = names.iter().map(|name| code_of(name)).collect();
            format!("{}: {}", capital(&subject.title()), few(&names, NAMES))
        }
    };
    let table = "| | what | before | after |\n|---|---|---|---|\n";
    if folded {
        let counts = counts(subject.changes.iter());
        // Markdown is read again below the blank line only.
        let title = html(&title.replace('`', ""));
        let begin = format!("\n<details><summary>{title}: {counts}</summary>\n\n{table}");
        return (begin, "\n</details>\n".into());
    }
    (format!("\n### {title}\n\n{table}"), String::new())
}

fn row(report: &Report<'_>, subject: &Subject, change: &Change) -> String {
    let Change { direction, what, old, new, note, restarts: _ } = change;
    let value = |value: &Option<Box<str>>, at: Vec<Place>| {
        let value = value.as_ref().map(|value| code_of(&cut(value, VALUE)));
        let at = (!at.is_empty()).then(|| format!("<sub>{}</sub>", plain(&places(&at))));
        value.into_iter().chain(at).collect::<Vec<_>>().join("<br>")
    };
    let (was, is) = (report.was_at(subject, change), report.is_at(subject, change));
    let word = match direction {
        Direction::Loosening | Direction::Tightening | Direction::Mixed | Direction::Risk => {
            format!("**{}**", direction.as_str())
        }
        Direction::Neutral => direction.as_str().into(),
    };
    let note = note.as_ref().map(|note| format!("<br>{}", plain(note))).unwrap_or_default();
    format!("| {word} | {}{note} | {} | {} |\n", code_of(what), value(old, was), value(new, is))
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// As code, which is shown as it is; a bar would end the cell, a backtick the code.
fn code_of(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("`{}`", text.replace('`', "'").replace('|', "\\|"))
}

/// As words: nothing of it is markup, a mention or the end of a cell.
fn plain(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => told += "&amp;",
            '<' => told += "&lt;",
            '>' => told += "&gt;",
            '@' => told += "@<!-- -->",
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' => told.extend(['\\', c]),
            c if c.is_control() => told.push(' '),
            c => told.push(c),
        }
    }
    told
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
