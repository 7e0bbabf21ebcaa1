//! Reads JSON by scan: where values stand and of what kind they are, without building them.
//!
//! Accepts exactly the texts that `serde_json` reads into a `Value`, given that they are UTF-8, so that what was
//! scanned here can be parsed anywhere else. Allocates nothing.

mod scanner;

use std::borrow::Cow;
use std::ops::Range;
use std::str::FromStr;

pub(crate) use self::scanner::Scanner;

/// `serde_json` refuses the 128th level.
pub(crate) const MAX_DEPTH: u8 = 127;

/// Why a text is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It breaks the grammar at this byte.
    Syntax(usize),
    /// It is nested deeper than [`MAX_DEPTH`].
    TooDeep,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    True,
    False,
    Number,
    String,
    Array,
    Object,
}

/// A value that was scanned: what it is and where it stands in its text.
///
/// Like all types here it has no `Debug`: its text is somebody's prompt or answer.
#[derive(Clone)]
pub(crate) struct Value<'a> {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
    text: &'a [u8],
}

/// A member's key.
#[derive(Clone)]
pub(crate) struct Key<'a> {
    /// With its quotes, and escapes as written.
    text: &'a [u8],
    escaped: bool,
}

/// A member of an object.
#[derive(Clone)]
pub(crate) struct Member<'a> {
    pub(crate) key: Key<'a>,
    pub(crate) value: Value<'a>,
}

/// The members of a scanned object, in order. Duplicates are given as often as they stand there.
pub(crate) struct Members<'a>(Option<Scanner<'a>>);

/// The elements of a scanned array, in order.
pub(crate) struct Elements<'a>(Option<Scanner<'a>>);

/// Scans a text that is one value, with space around it.
pub(crate) fn document(text: &[u8]) -> Result<Value<'_>, Fault> {
    let mut scanner = Scanner::at(text, 0);
    let value = scanner.value()?;
    scanner.end()?;
    Ok(value)
}

/// The text of a scanned string, quotes included.
pub(crate) fn unquoted(string: &[u8]) -> Cow<'_, str> {
    let inner = string.get(1..string.len().saturating_sub(1)).unwrap_or_default();
    if memchr::memchr(b'\\', inner).is_none() {
        return String::from_utf8_lossy(inner);
    }
    // It was scanned, so it parses; were it of another text, no name would match the empty one.
    Cow::Owned(serde_json::from_slice(string).unwrap_or_default())
}

impl<'a> Value<'a> {
    /// The bytes of the value.
    pub(crate) fn raw(&self) -> &'a [u8] {
        self.text.get(self.range.clone()).unwrap_or_default()
    }

    /// Its members; none where it is no object.
    pub(crate) fn members(&self) -> Members<'a> {
        Members(self.inside(Kind::Object))
    }

    /// Its elements; none where it is no array.
    pub(crate) fn elements(&self) -> Elements<'a> {
        Elements(self.inside(Kind::Array))
    }

    /// The value of its last member of this name, the one that JSON readers keep.
    pub(crate) fn member(&self, name: &str) -> Option<Self> {
        self.members().filter(|member| member.is(name)).last().map(|member| member.value)
    }

    /// The number, as far as the type holds it; none where it is no number.
    pub(crate) fn number<N: FromStr>(&self) -> Option<N> {
        if self.kind != Kind::Number {
            return None;
        }
        std::str::from_utf8(self.raw()).ok()?.parse().ok()
    }

    /// The text, its escapes resolved, where it is a string of at most so many ASCII characters.
    pub(crate) fn short_text(&self, longest: usize) -> Option<Cow<'a, str>> {
        // Every character may be written as `\u0000`.
        if self.kind != Kind::String || self.range.len() > longest * 6 + 2 {
            return None;
        }
        Some(unquoted(self.raw())).filter(|text| text.len() <= longest && text.is_ascii())
    }

    /// The one of these words that it is, where it is a string.
    pub(crate) fn one_of(&self, words: &[&'static str]) -> Option<&'static str> {
        let longest = words.iter().map(|word| word.len()).max()?;
        let text = self.short_text(longest)?;
        words.iter().copied().find(|word| *word == text)
    }

    /// Whether it is `""`, `[]`, `{}` or null: there, but saying nothing.
    pub(crate) fn is_blank(&self) -> bool {
        match self.kind {
            Kind::Null => true,
            Kind::True | Kind::False | Kind::Number => false,
            Kind::String => self.range.len() == 2,
            Kind::Array => self.elements().next().is_none(),
            Kind::Object => self.members().next().is_none(),
        }
    }

    /// A scanner at its first byte.
    pub(crate) fn scanner(&self) -> Scanner<'a> {
        Scanner::at(self.text, self.range.start)
    }

    fn inside(&self, kind: Kind) -> Option<Scanner<'a>> {
        (self.kind == kind).then(|| Scanner::at_member(self.text, self.range.start + 1))
    }
}

impl<'a> Member<'a> {
    /// The key, its escapes resolved.
    pub(crate) fn name(&self) -> Cow<'a, str> {
        self.key.name()
    }

    /// The key's bytes, if they are written without escapes.
    pub(crate) fn plain_name(&self) -> Option<&'a [u8]> {
        (!self.key.escaped).then(|| self.key.inner())
    }

    /// Whether the key is this name, which needs no escapes.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.key.is(name)
    }
}

impl<'a> Key<'a> {
    /// Whether the key is this name, which needs no escapes.
    pub(crate) fn is(&self, name: &str) -> bool {
        if self.escaped {
            return unquoted(self.text) == name;
        }
        self.inner() == name.as_bytes()
    }

    /// Its text, escapes resolved.
    pub(crate) fn name(&self) -> Cow<'a, str> {
        unquoted(self.text)
    }

    /// Without its quotes.
    fn inner(&self) -> &'a [u8] {
        self.text.get(1..self.text.len().saturating_sub(1)).unwrap_or_default()
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        self.0.as_mut()?.next_member().ok().flatten()
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let scanner = self.0.as_mut()?;
        if !scanner.another(b']').ok()? {
            return None;
        }
        scanner.value().ok()
    }
}

#[cfg(test)]
mod tests;
