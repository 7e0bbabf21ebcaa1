//! What is wrong with a policy, where, and what to write instead. Nothing here shows a secret.

mod code;
mod mask;
mod place;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::load::Sources;
pub use code::{Code, Level};
pub(super) use mask::{is_secret_field, looks_secret, masked_line, quoted, secrets_in, shown};
pub use place::{Paint, Painted, Place};

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
    /// Which kind of finding it is.
    pub code: Code,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// Where; none where the fault is not in the text (no memory to read it with).
    pub place: Option<Place>,
    /// What to write instead.
    pub hint: Option<String>,
    /// Another place that has to do with it, and how.
    pub other: Option<(String, Place)>,
}

impl Diagnostic {
    /// As text, in colours.
    pub fn painted(&self, paint: Paint) -> Painted<'_> {
        Painted { of: self, paint }
    }

    /// Its places, to name their files otherwise.
    pub fn places_mut(&mut self) -> impl Iterator<Item = &mut Place> {
        self.place.iter_mut().chain(self.other.iter_mut().map(|(_, place)| place))
    }

    /// Says which kind of error it is.
    pub(super) fn code(&mut self, code: Code) -> &mut Self {
        self.code = code;
        self
    }

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
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.painted(Paint::PLAIN).fmt(f)
    }
}

/// Every finding about a policy, as far as they are kept.
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

    /// Adds those that are not among them.
    pub fn add(&mut self, more: Self) {
        for found in more.list {
            if !self.list.contains(&found) {
                self.errors += usize::from(found.severity == Severity::Error);
                self.list.push(found);
            }
        }
        self.left_out += more.left_out;
        self.list.sort_by_key(|found| found.severity);
    }

    /// Takes out those of a kind. Gives whether there were any.
    pub fn take(&mut self, code: Code) -> bool {
        let (taken, kept): (Vec<_>, Vec<_>) = self.list.drain(..).partition(|found| found.code == code);
        self.list = kept;
        self.errors -= taken.iter().filter(|found| found.severity == Severity::Error).count();
        !taken.is_empty()
    }

    /// The same, to name their files otherwise.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Diagnostic> {
        self.list.iter_mut()
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
    /// Kinds of warnings that are not told.
    allowed: Vec<Code>,
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

impl<'a> Findings<'a> {
    pub(super) fn new(sources: &'a Sources) -> Self {
        Self {
            sources,
            lines: vec![None; sources.files().len()],
            deleted: BTreeMap::new(),
            allowed: Vec::new(),
            list: Vec::new(),
            errors: 0,
            left_out: 0,
            spill: diagnostic(Severity::Error, Code::MakesNoSense, String::new()),
        }
    }

    /// Leaves out warnings of these kinds.
    pub(super) fn allow(&mut self, codes: &[Code]) {
        self.allowed.extend_from_slice(codes);
    }

    /// Adds an error at a place: something out of its range, or contradicted, unless its kind is said.
    pub(super) fn error(&mut self, at: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.add(at, diagnostic(Severity::Error, Code::MakesNoSense, message.into()), false)
    }

    /// Adds an error at a place where a secret may stand: the line is shown up to there.
    pub(super) fn error_at_secret(&mut self, at: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.add(at, diagnostic(Severity::Error, Code::KeyInPolicy, message.into()), true)
    }

    /// Adds a warning at a place.
    pub(super) fn warning(&mut self, code: Code, at: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.add(at, diagnostic(Severity::Warning, code, message.into()), false)
    }

    /// Adds an error for which no single place is at fault.
    pub(super) fn error_overall(&mut self, message: impl Into<String>) -> &mut Diagnostic {
        self.add(Span::default(), diagnostic(Severity::Error, Code::NoPolicy, message.into()), false)
    }

    fn add(&mut self, at: Span, mut added: Diagnostic, conceal: bool) -> &mut Diagnostic {
        match added.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning if self.allowed.contains(&added.code) => return self.spilt(added),
            Severity::Warning => {}
        }
        if self.list.len() >= MAX_FINDINGS {
            self.left_out += 1;
            if !self.has_room_for(&added) {
                return self.spilt(added);
            }
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

    /// Takes what is not told.
    fn spilt(&mut self, added: Diagnostic) -> &mut Diagnostic {
        self.spill = added;
        &mut self.spill
    }

    /// Makes room for an error in the place of a warning, however many there are.
    fn has_room_for(&mut self, added: &Diagnostic) -> bool {
        let is_warning = |(_, found): &(Span, Diagnostic)| found.severity == Severity::Warning;
        let last = self.list.iter().rposition(is_warning).filter(|_| added.severity == Severity::Error);
        last.map(|last| self.list.remove(last)).is_some()
    }

    /// A place, for a finding's other place or for `Rule::place`.
    pub(super) fn place(&mut self, at: Span) -> Place {
        self.make_place(at, false)
    }

    /// `file:line`
    pub(super) fn file_and_line(&self, at: Span) -> Arc<str> {
        format!("{}:{}", self.file(at), at.line).into()
    }

    /// A line of a file, as written; none where there is no such line, or one that is no text.
    pub(super) fn text(&mut self, file: u32, line: u32) -> Option<&'a str> {
        self.line(Span { file, line, ..Span::default() })
    }

    /// The character at a place, as written: tells a quoted scalar from a plain one.
    pub(super) fn first_char(&mut self, at: Span) -> Option<char> {
        let line = self.line(at)?;
        line.chars().nth((at.column as usize).checked_sub(1)?)
    }

    /// Whether something of that kind was told of the same line.
    pub(super) fn told_on_line(&self, code: Code, at: Span) -> bool {
        let is_there = |told: &Span| told.file == at.file && told.line == at.line;
        self.list.iter().any(|(told, found)| found.code == code && is_there(told))
    }

    pub(super) fn errors(&self) -> usize {
        self.errors
    }

    /// The value with its warnings, or everything that is wrong.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<(T, Vec<Diagnostic>), Diagnostics> {
        let found = self.told();
        match value {
            Some(value) if found.errors == 0 => Ok((value, found.list)),
            Some(_) | None => Err(found),
        }
    }

    /// All of them: errors first, then by place. What is missing as a whole comes last: it often follows from what stands
    /// before.
    pub(super) fn told(mut self) -> Diagnostics {
        self.list.sort_by_key(|(at, found)| (found.severity, found.code == Code::NoPolicy, *at));
        let list = self.list.into_iter().map(|(_, diagnostic)| diagnostic).collect();
        Diagnostics { list, errors: self.errors, left_out: self.left_out }
    }

    fn make_place(&mut self, at: Span, conceal: bool) -> Place {
        let line = self.line(at);
        Place {
            file: self.file(at),
            line: at.line,
            column: at.column,
            end_column: place::end_column(line, at, conceal),
            excerpt: line.and_then(|line| place::excerpt(line, at, conceal)),
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

fn diagnostic(severity: Severity, code: Code, message: String) -> Diagnostic {
    Diagnostic { severity, code, message, place: None, hint: None, other: None }
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
        .filter(|(distance, candidate)| {
            let length = candidate.chars().count();
            *distance <= (length / 3).clamp(1, 3) && *distance < length
        })
        .min()
        .map(|(_, candidate)| format!("did you mean {}?", quoted(candidate)))
}

#[cfg(test)]
mod tests;
