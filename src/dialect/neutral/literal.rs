//! Text as JSON writes it.

use std::borrow::Cow;
#[cfg(test)]
use std::fmt;

use crate::dialect::json::{self, Kind, Value};

/// What stands between the quotes of a JSON string: its escapes stay as they were written.
///
/// So a text goes from one dialect to another without being read.
#[derive(Clone, Default)]
pub(crate) struct Literal<'a>(Cow<'a, [u8]>);

/// A JSON value as it was written.
#[derive(Clone)]
pub(crate) struct Raw<'a>(Cow<'a, [u8]>);

impl<'a> Literal<'a> {
    /// The text of a value; none where it is no string.
    pub(crate) fn of(value: &Value<'a>) -> Option<Self> {
        if value.kind != Kind::String {
            return None;
        }
        let quoted = value.raw();
        quoted.get(1..quoted.len().saturating_sub(1)).map(|inner| Self(Cow::Borrowed(inner)))
    }

    /// A text of ours, or one that was read.
    pub(crate) fn from_text(text: &str) -> Self {
        let quoted = serde_json::Value::from(text).to_string().into_bytes();
        Self(Cow::Owned(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_vec()))
    }

    /// A word of ours that needs no escapes.
    pub(crate) const fn word(word: &'static str) -> Self {
        Self(Cow::Borrowed(word.as_bytes()))
    }

    /// As it stands between the quotes.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.0
    }

    /// What it says, escapes resolved.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        if memchr::memchr(b'\\', &self.0).is_none() {
            return String::from_utf8_lossy(&self.0);
        }
        // What was scanned parses.
        Cow::Owned(serde_json::from_slice(&[b"\"", &*self.0, b"\""].concat()).unwrap_or_default())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is nothing but space in it.
    pub(crate) fn is_blank(&self) -> bool {
        self.text().trim().is_empty()
    }

    /// Whether it says this.
    pub(crate) fn is(&self, text: &str) -> bool {
        *self.0 == *text.as_bytes() || self.text() == text
    }

    /// Goes on with another one.
    pub(crate) fn push(&mut self, more: &Literal<'_>) {
        self.0.to_mut().extend_from_slice(&more.0);
    }

    /// What stands before and behind the first of these words of ours, where it is written without escapes.
    /// The word must not begin with a letter or digit, which could end an escape.
    pub(crate) fn split_once(&self, word: &str) -> Option<(Self, Self)> {
        let at = memchr::memmem::find(&self.0, word.as_bytes())?;
        let part = |from: usize, to: usize| match &self.0 {
            Cow::Borrowed(text) => text.get(from..to).map(|part| Self(Cow::Borrowed(part))),
            Cow::Owned(text) => text.get(from..to).map(|part| Self(Cow::Owned(part.to_vec()))),
        };
        Some((part(0, at)?, part(at + word.len(), self.0.len())?))
    }

    /// The same, borrowing nothing.
    pub(crate) fn into_owned(self) -> Literal<'static> {
        Literal(Cow::Owned(self.0.into_owned()))
    }

    /// The same, borrowed from this one.
    pub(crate) fn reborrow(&self) -> Literal<'_> {
        Literal(Cow::Borrowed(&self.0))
    }
}

impl<'a> Raw<'a> {
    /// A value as it stands.
    pub(crate) fn of(value: &Value<'a>) -> Self {
        Self(Cow::Borrowed(value.raw()))
    }

    /// JSON that we have written.
    pub(crate) fn written(json: Vec<u8>) -> Self {
        Self(Cow::Owned(json))
    }

    /// JSON of ours.
    pub(crate) const fn word(json: &'static str) -> Self {
        Self(Cow::Borrowed(json.as_bytes()))
    }

    /// As it was written.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.0
    }

    /// It, scanned; none where it is no JSON.
    pub(crate) fn value(&self) -> Option<Value<'_>> {
        json::document(&self.0).ok()
    }
}

/// By what they say: the same text may be escaped in several ways.
impl PartialEq for Literal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.text() == other.text()
    }
}

/// By what they say.
impl PartialEq for Raw<'_> {
    fn eq(&self, other: &Self) -> bool {
        let read = |raw: &Self| serde_json::from_slice::<serde_json::Value>(&raw.0).ok();
        self.0 == other.0 || read(self) == read(other)
    }
}

#[cfg(test)]
impl fmt::Debug for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}
