//! Where something stands, and how it is shown: a line of the text with a caret, secrets masked.

use std::fmt;
use std::sync::Arc;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{Diagnostic, Span, mask};

/// A place in a policy's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: Arc<str>,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// The column behind its last character, on the same line.
    pub end_column: u32,
    pub(super) excerpt: Option<Excerpt>,
}

/// The part of a line around a place, secrets masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    text: Vec<char>,
    caret: usize,
    length: usize,
    /// Whether the line goes on before and after it.
    goes_on: (bool, bool),
}

/// How findings are written: escape sequences around their parts, and a width.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    error: &'static str,
    warning: &'static str,
    frame: &'static str,
    strong: &'static str,
    end: &'static str,
    /// Excerpts are cut to it.
    width: usize,
    /// Whether sentences are folded at it, too.
    folds: bool,
}

impl Paint {
    /// No colours, a line for each sentence, and excerpts that fit most screens.
    pub const PLAIN: Self =
        Self { error: "", warning: "", frame: "", strong: "", end: "", width: 140, folds: false };
    /// Those that terminals know: red, yellow, blue, bold.
    pub const COLOURED: Self = Self {
        error: "\x1b[1;31m",
        warning: "\x1b[1;33m",
        frame: "\x1b[1;34m",
        strong: "\x1b[1m",
        end: "\x1b[0m",
        ..Self::PLAIN
    };

    /// The same for a terminal of so many columns.
    #[must_use]
    pub fn within(self, columns: usize) -> Self {
        Self { width: columns.max(NARROWEST), folds: true, ..self }
    }

    /// A sentence that begins in a column; its further lines are indented.
    fn folded(self, text: &str, begins: usize, indent: usize) -> String {
        if !self.folds {
            return text.to_owned();
        }
        let (mut folded, mut column) = (String::new(), begins);
        for word in text.split(' ') {
            let width = word.width();
            if !folded.is_empty() && column + 1 + width > self.width {
                folded.push_str(&format!("\n{:indent$}", ""));
                column = indent;
            } else if !folded.is_empty() {
                folded.push(' ');
                column += 1;
            }
            folded.push_str(word);
            column += width;
        }
        folded
    }
}

/// Narrower terminals fold excerpts themselves.
const NARROWEST: usize = 40;

/// A finding as it is written.
pub struct Painted<'d> {
    pub(super) of: &'d Diagnostic,
    pub(super) paint: Paint,
}

impl fmt::Display for Painted<'_> {
    /// As rustc does it: the sentence, the place, the line, a caret, the hint. A warning with the name by which it may
    /// be allowed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Paint { error, warning, frame, strong, end, .. } = self.paint;
        let Diagnostic { severity, code, message, place, hint, other } = self.of;
        let (colour, kind) = match severity {
            super::Severity::Error => (error, severity.name().to_owned()),
            super::Severity::Warning => (warning, format!("{}[{}]", severity.name(), code.name())),
        };
        let message = self.paint.folded(message, kind.len() + 2, 2);
        write!(f, "{colour}{kind}{end}{strong}: {message}{end}")?;
        let gutter = place.as_ref().map_or(1, Place::gutter);
        if let Some(place) = place {
            writeln!(f)?;
            place.write(f, self.paint, colour)?;
        }
        if let Some(hint) = hint {
            let begins = gutter + " = help: ".len();
            let hint = self.paint.folded(hint, begins, begins);
            write!(f, "\n{:gutter$} {frame}={end} {strong}help{end}: {hint}", "")?;
        }
        if let Some((how, place)) = other {
            write!(f, "\n{strong}note{end}: {how}\n")?;
            place.write(f, self.paint, frame)?;
        }
        Ok(())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, Paint::PLAIN, "")
    }
}

impl Place {
    fn gutter(&self) -> usize {
        self.line.to_string().len()
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, paint: Paint, caret_in: &str) -> fmt::Result {
        let Paint { frame, end, width, .. } = paint;
        let gutter = self.gutter();
        let Self { file, line, column, .. } = self;
        write!(f, "{:gutter$}{frame}-->{end} {file}:{line}:{column}", "")?;
        if let Some(excerpt) = &self.excerpt {
            let (text, before, carets) = excerpt.within(width.saturating_sub(gutter + " | ".len()));
            write!(f, "\n{:gutter$} {frame}|{end}\n{frame}{line} |{end} {text}", "")?;
            write!(f, "\n{:gutter$} {frame}|{end} {:before$}", "", "")?;
            write!(f, "{caret_in}{}{end}", "^".repeat(carets))?;
        }
        Ok(())
    }
}

/// How many characters of a line are kept, and how many of them before the caret.
const KEPT: usize = 400;
const BEFORE: usize = 200;
/// Stands where a line is cut.
const CUT: &str = "...";

/// What is kept of a line; none where the place is not in it.
pub(super) fn excerpt(line: &str, at: Span, conceal: bool) -> Option<Excerpt> {
    let caret = (at.column as usize).checked_sub(1)?;
    let mut shown = mask::masked(line.trim_end());
    if conceal {
        // Not even how long it is.
        shown.truncate(caret);
        shown.extend("***".chars());
    }
    let from = if shown.len() > KEPT { caret.saturating_sub(BEFORE) } else { 0 };
    if shown.is_empty() {
        return None;
    }
    let rest = shown.len().saturating_sub(caret);
    let text: Vec<char> = shown.iter().skip(from).take(KEPT).copied().collect();
    Some(Excerpt {
        caret: caret - from,
        length: if conceal { 1 } else { (at.length as usize).min(rest).max(1) },
        goes_on: (from > 0, shown.len() > from + text.len()),
        text,
    })
}

impl Excerpt {
    /// What is shown of it in so many columns, the columns before the carets, and how many carets there are.
    fn within(&self, columns: usize) -> (String, usize, usize) {
        let width = |chars: &[char]| chars.iter().map(|c| c.width().unwrap_or(0)).sum::<usize>();
        let (mut before, mut after) = self.goes_on;
        let (left, right) = self.text.split_at(self.caret.min(self.text.len()));
        // A place behind the line's end has nothing to stand under.
        let beyond = self.caret - left.len();
        let mut from = 0;
        if before || width(&self.text) > columns {
            // The place in the middle, but no more than is needed to see what it is.
            let wanted = width(right.get(..self.length).unwrap_or(right)).min(columns / 2);
            while from < left.len()
                && width(left.get(from..).unwrap_or_default()) + wanted + CUT.len() > columns
            {
                from += 1;
            }
            if from > 0 || before {
                from = from.max(left.len().saturating_sub(columns / 2));
            }
            before |= from > 0;
        }
        let left = left.get(from..).unwrap_or_default();
        let (lead, room) = if before { (CUT, columns.saturating_sub(CUT.len())) } else { ("", columns) };
        let mut right = right;
        if after || width(left) + width(right) > room {
            after = true;
            while !right.is_empty() && width(left) + width(right) + CUT.len() > room {
                right = right.split_last().map_or(right, |(_, rest)| rest);
            }
        }
        let carets = width(right.get(..self.length).unwrap_or(right)).max(1);
        let text: String = left.iter().chain(right).collect();
        let tail = if after { CUT } else { "" };
        (format!("{lead}{text}{tail}"), lead.len() + width(left) + beyond, carets)
    }
}

/// The column behind what stands there, at most the line's end.
pub(super) fn end_column(line: Option<&str>, at: Span, conceal: bool) -> u32 {
    let rest = line.map_or(1, |line| {
        let characters = line.trim_end().chars().count();
        u32::try_from(characters).unwrap_or(u32::MAX).saturating_sub(at.column.saturating_sub(1))
    });
    let length = if conceal { 1 } else { at.length.min(rest).max(1) };
    at.column.saturating_add(length)
}
