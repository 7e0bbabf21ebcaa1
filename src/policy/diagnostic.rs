//! What is wrong with a policy, where, and what to write instead. Nothing here shows a secret.

mod mask;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::load::Sources;
pub(super) use mask::{is_secret_field, looks_secret, masked_line, quoted, shown};

/// Whether a policy with this finding may serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It may not.
    Error,
    /// It may, but its author probably meant something else.
    Warning,
}

impl Severity {
    /// The word in front of the message.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One finding. Holds its excerpt, so it outlives the text it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// Where; none where no single place is at fault ("no tenants").
    pub place: Option<Place>,
    /// What to write instead.
    pub hint: Option<String>,
    /// Another place that has to do with it, and how.
    pub other: Option<(String, Place)>,
}

impl Diagnostic {
    /// Says what to write instead.
    pub(super) fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what to write instead, if anything is known.
    pub(super) fn maybe_hint(&mut self, hint: Option<String>) -> &mut Self {
        self.hint = hint.or_else(|| self.hint.take());
        self
    }

    /// Names another place that has to do with it.
    pub(super) fn other(&mut self, how: &str, place: Place) -> &mut Self {
        self.other = Some((how.to_owned(), place));
        self
    }
}

impl fmt::Display for Diagnostic {
    /// As rustc does it: the sentence, the place, the line, a caret, the hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity.name(), self.message)?;
        let mut gutter = 1;
        if let Some(place) = &self.place {
            gutter = place.gutter();
            write!(f, "\n{place}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n{:gutter$} = help: {hint}", "")?;
        }
        if let Some((how, place)) = &self.other {
            write!(f, "\nnote: {how}\n{place}")?;
        }
        Ok(())
    }
}

/// A place in a policy's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: Arc<str>,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    excerpt: Option<Excerpt>,
}

/// A line as it is shown: cut to a width, secrets masked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    text: String,
    caret: usize,
    length: usize,
}

impl Place {
    fn gutter(&self) -> usize {
        self.line.to_string().len()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gutter = self.gutter();
        let Self { file, line, column, .. } = self;
        write!(f, "{:gutter$}--> {file}:{line}:{column}", "")?;
        if let Some(Excerpt { text, caret, length }) = &self.excerpt {
            write!(f, "\n{:gutter$} |\n{line} | {text}\n{:gutter$} | ", "", "")?;
            write!(f, "{:caret$}{}", "", "^".repeat(*length))?;
        }
        Ok(())
    }
}

/// Every finding about a policy that may not serve: at least one error, and the warnings beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    errors: usize,
    left_out: usize,
}

impl Diagnostics {
    /// How many errors and warnings there are, those left out included.
    pub fn counts(&self) -> (usize, usize) {
        (self.errors, self.list.len() + self.left_out - self.errors)
    }

    /// The findings: errors first, then by place.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// How many more there were than are kept.
    pub fn left_out(&self) -> usize {
        self.left_out
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.list.iter().enumerate() {
            write!(f, "{}{diagnostic}", if i == 0 { "" } else { "\n\n" })?;
        }
        if self.left_out > 0 {
            write!(f, "\n\n... and {} more", self.left_out)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// Where something stands in the sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Index of the file.
    pub file: u32,
    /// From 1; 0: nowhere in particular.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// In characters; may reach over the end of the line.
    pub length: u32,
}

/// Collects findings while a policy is compiled.
pub(super) struct Findings<'a> {
    sources: &'a Sources,
    /// Where each line of each file begins; made when a file has its first finding.
    lines: Vec<Option<Vec<usize>>>,
    /// Where an overlay deleted a name, by its section and itself.
    deleted: BTreeMap<(String, String), Span>,
    list: Vec<(Span, Diagnostic)>,
    errors: usize,
    left_out: usize,
    /// Takes what comes after the cap.
    spill: Diagnostic,
}

/// A file of nothing but faults would otherwise be answered by one many times its size.
const MAX_FINDINGS: usize = 200;
/// Longer lines are not shown, only named.
const MAX_LINE: usize = 8 * 1024;
/// How many characters of a line are shown, and how many of them before the caret.
const WIDTH: usize = 140;
const BEFORE: usize = 70;

impl<'a> Findings<'a> {
    pub(super) fn new(sources: &'a Sources) -> Self {
        Self {
            sources,
            lines: vec![None; sources.files().len()],
            deleted: BTreeMap::new(),
            list: Vec::new(),
            errors: 0,
            left_out: 0,
            spill: diagnostic(Severity::Error, String::new()),
        }
    }

    /// Adds an error at a place.
    pub(super) fn error(&mut self, at: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.add(at, Severity::Error, message.into(), false)
    }

    /// Adds an error at a place where a secret may stand: the line is shown up to there.
    pub(super) fn error_at_secret(&mut self, at: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.add(at, Severity::Error, message.into(), true)
    }

    /// Adds a warning at a place.
    pub(super) fn warning(&mut self, at: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.add(at, Severity::Warning, message.into(), false)
    }

    /// Adds an error for which no single place is at fault.
    pub(super) fn error_overall(&mut self, message: impl Into<String>) -> &mut Diagnostic {
        self.add(Span::default(), Severity::Error, message.into(), false)
    }

    fn add(&mut self, at: Span, severity: Severity, message: String, conceal: bool) -> &mut Diagnostic {
        match severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => {}
        }
        let mut added = diagnostic(severity, message);
        if self.list.len() >= MAX_FINDINGS {
            self.left_out += 1;
            self.spill = added;
            return &mut self.spill;
        }
        added.place = (at.line > 0).then(|| self.make_place(at, conceal));
        self.list.push((at, added));
        self.list.last_mut().map_or(&mut self.spill, |(_, added)| added)
    }

    /// Notes that an overlay deleted a name: who still refers to it learns where it went.
    pub(super) fn deleted(&mut self, section: &str, name: &str, at: Span) {
        self.deleted.insert((section.to_owned(), name.to_owned()), at);
    }

    /// Where an overlay deleted a name, if one did.
    pub(super) fn place_deleted(&mut self, section: &str, name: &str) -> Option<Place> {
        let at = self.deleted.get(&(section.to_owned(), name.to_owned())).copied()?;
        Some(self.make_place(at, false))
    }

    /// A place, for a finding's other place or for `Rule::place`.
    pub(super) fn place(&mut self, at: Span) -> Place {
        self.make_place(at, false)
    }

    /// `file:line`
    pub(super) fn file_and_line(&self, at: Span) -> Arc<str> {
        format!("{}:{}", self.file(at), at.line).into()
    }

    /// The character at a place, as written: tells a quoted scalar from a plain one.
    pub(super) fn first_char(&mut self, at: Span) -> Option<char> {
        let line = self.line(at)?;
        line.chars().nth((at.column as usize).checked_sub(1)?)
    }

    pub(super) fn errors(&self) -> usize {
        self.errors
    }

    /// The value with its warnings, or everything that is wrong.
    pub(super) fn finish<T>(mut self, value: Option<T>) -> Result<(T, Vec<Diagnostic>), Diagnostics> {
        // Errors first. What has no place comes last: it often follows from what stands before.
        self.list.sort_by_key(|(at, found)| (found.severity, at.line == 0, *at));
        let list = self.list.into_iter().map(|(_, diagnostic)| diagnostic).collect();
        match value {
            Some(value) if self.errors == 0 => Ok((value, list)),
            Some(_) | None => Err(Diagnostics { list, errors: self.errors, left_out: self.left_out }),
        }
    }

    fn make_place(&mut self, at: Span, conceal: bool) -> Place {
        Place {
            file: self.file(at),
            line: at.line,
            column: at.column,
            excerpt: self.line(at).and_then(|line| excerpt(line, at, conceal)),
        }
    }

    fn file(&self, at: Span) -> Arc<str> {
        let file = self.sources.files().get(at.file as usize);
        file.map_or_else(|| "policy".into(), |file| Arc::clone(&file.name))
    }

    fn line(&mut self, at: Span) -> Option<&'a str> {
        let file = at.file as usize;
        let bytes = &*self.sources.files().get(file)?.bytes;
        let starts = self.lines.get_mut(file)?.get_or_insert_with(|| {
            std::iter::once(0).chain(memchr::memchr_iter(b'\n', bytes).map(|newline| newline + 1)).collect()
        });
        let nth = (at.line as usize).checked_sub(1)?;
        let start = *starts.get(nth)?;
        let end = starts.get(nth + 1).map_or(bytes.len(), |next| next - 1);
        let line = bytes.get(start..end)?;
        let line = if start == 0 { line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line) } else { line };
        (line.len() <= MAX_LINE).then(|| std::str::from_utf8(line).ok())?
    }
}

fn diagnostic(severity: Severity, message: String) -> Diagnostic {
    Diagnostic { severity, message, place: None, hint: None, other: None }
}

fn excerpt(line: &str, at: Span, conceal: bool) -> Option<Excerpt> {
    let caret = (at.column as usize).checked_sub(1)?;
    let mut shown = mask::masked(line.trim_end());
    if conceal {
        // Not even how long it is.
        shown.truncate(caret);
        shown.extend("***".chars());
    }
    let cut = if shown.len() > WIDTH { caret.saturating_sub(BEFORE) } else { 0 };
    let rest = shown.len().saturating_sub(caret);
    let text: String = shown.iter().skip(cut).take(WIDTH).collect();
    Some(Excerpt {
        text,
        caret: caret - cut,
        length: if conceal { 1 } else { (at.length as usize).min(rest).clamp(1, WIDTH - BEFORE) },
    })
}

/// The candidate that was probably meant, as a sentence.
pub fn did_you_mean<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    let lower = name.to_lowercase();
    // A word twice as long is another word; comparing it would cost the product of both lengths.
    let near = |candidate: &&str| candidate.len().abs_diff(name.len()) <= 3 && candidate.len() <= 128;
    candidates
        .into_iter()
        .filter(near)
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).clamp(1, 3))
        .min()
        .map(|(_, candidate)| format!("did you mean {}?", quoted(candidate)))
}

#[cfg(test)]
mod tests;
