//! Reads JSON by scan: where values stand and of what kind they are, without building them.
//!
//! Accepts exactly the texts that `serde_json` reads into a `Value`, given that they are UTF-8, so that what was
//! scanned here can be parsed anywhere else. Allocates nothing.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;

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

/// A member of an object.
#[derive(Clone)]
pub(crate) struct Member<'a> {
    /// With its quotes, and escapes as written.
    key: &'a [u8],
    pub(crate) value: Value<'a>,
}

/// A position in a JSON text.
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    depth: u8,
    /// No member of the object, or element of the array, that is being read has been given yet.
    fresh: bool,
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

    fn inside(&self, kind: Kind) -> Option<Scanner<'a>> {
        (self.kind == kind).then(|| Scanner::at_member(self.text, self.range.start + 1))
    }
}

impl<'a> Member<'a> {
    /// The key, its escapes resolved.
    pub(crate) fn name(&self) -> Cow<'a, str> {
        unquoted(self.key)
    }

    /// Whether the key is this name, which needs no escapes.
    pub(crate) fn is(&self, name: &str) -> bool {
        match self.key.get(1..self.key.len().saturating_sub(1)) {
            Some(inner) if inner == name.as_bytes() => true,
            Some(inner) if memchr::memchr(b'\\', inner).is_some() => self.name() == name,
            Some(_) | None => false,
        }
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

impl<'a> Scanner<'a> {
    /// Begins at a byte of the text.
    pub(crate) fn at(text: &'a [u8], at: usize) -> Self {
        Self {
            text,
            at,
            depth: 0,
            fresh: false,
        }
    }

    /// Begins inside of an object or array, at its first member or element, or at any other key as if it were the
    /// first.
    pub(crate) fn at_member(text: &'a [u8], at: usize) -> Self {
        Self {
            fresh: true,
            ..Self::at(text, at)
        }
    }

    /// Where it stands.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The next byte that is no space.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while matches!(self.text.get(self.at), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// Steps into the object that begins here; its members are read by [`Self::next_member`].
    pub(crate) fn open_object(&mut self) -> Result<(), Fault> {
        self.expect(b'{')?;
        self.depth += 1;
        self.fresh = true;
        Ok(())
    }

    /// The next member of the object stepped into; none at its end, which is then behind.
    pub(crate) fn next_member(&mut self) -> Result<Option<Member<'a>>, Fault> {
        if !self.another(b'}')? {
            return Ok(None);
        }
        let key = self.key()?;
        let value = self.value()?;
        Ok(Some(Member { key, value }))
    }

    /// Nothing but space may follow.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.syntax()),
        }
    }

    /// Steps over the value that begins here.
    pub(crate) fn value(&mut self) -> Result<Value<'a>, Fault> {
        let first = self.peek();
        let start = self.at;
        let kind = match first {
            Some(b'"') => self.string().map(|()| Kind::String),
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true", Kind::True),
            Some(b'f') => self.word(b"false", Kind::False),
            Some(b'n') => self.word(b"null", Kind::Null),
            Some(_) | None => Err(self.syntax()),
        }?;
        Ok(Value {
            kind,
            range: start..self.at,
            text: self.text,
        })
    }

    /// Whether another member or element follows; steps over the comma, or over the closing byte.
    fn another(&mut self, close: u8) -> Result<bool, Fault> {
        let fresh = std::mem::replace(&mut self.fresh, false);
        let next = self.peek();
        if next == Some(close) {
            self.at += 1;
            return Ok(false);
        }
        if !fresh {
            self.expect(b',')?;
        }
        Ok(true)
    }

    fn object(&mut self) -> Result<Kind, Fault> {
        self.enter()?;
        while self.another(b'}')? {
            self.key()?;
            self.value()?;
        }
        self.depth -= 1;
        Ok(Kind::Object)
    }

    fn array(&mut self) -> Result<Kind, Fault> {
        self.enter()?;
        while self.another(b']')? {
            self.value()?;
        }
        self.depth -= 1;
        Ok(Kind::Array)
    }

    fn enter(&mut self) -> Result<(), Fault> {
        if self.depth == MAX_DEPTH {
            return Err(Fault::TooDeep);
        }
        self.depth += 1;
        self.at += 1;
        self.fresh = true;
        Ok(())
    }

    /// A key with its quotes, and the colon behind it.
    fn key(&mut self) -> Result<&'a [u8], Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.syntax());
        }
        let start = self.at;
        self.string()?;
        let key = self.text.get(start..self.at).unwrap_or_default();
        self.expect(b':')?;
        Ok(key)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.peek() != Some(byte) {
            return Err(self.syntax());
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<Kind, Fault> {
        if !self.rest().starts_with(word) {
            return Err(self.syntax());
        }
        self.at += word.len();
        Ok(kind)
    }

    fn string(&mut self) -> Result<(), Fault> {
        self.at += 1;
        loop {
            let rest = self.rest();
            let Some(stop) = memchr2(b'"', b'\\', rest) else {
                return Err(Fault::Syntax(self.text.len()));
            };
            let (plain, stopped) = rest.split_at(stop);
            if has_control(plain) {
                return Err(self.syntax());
            }
            self.at += stop + 1;
            if stopped.first() == Some(&b'"') {
                return Ok(());
            }
            self.escape()?;
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<(), Fault> {
        match self.text.get(self.at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => match self.code_unit()? {
                0xD800..=0xDBFF => self.low_surrogate(),
                0xDC00..=0xDFFF => Err(self.syntax()),
                _ => Ok(()),
            },
            Some(_) | None => Err(self.syntax()),
        }
    }

    /// Half a character is refused, as `serde_json` does: it has no UTF-8.
    fn low_surrogate(&mut self) -> Result<(), Fault> {
        if !self.rest().starts_with(b"\\u") {
            return Err(self.syntax());
        }
        self.at += 1;
        match self.code_unit()? {
            0xDC00..=0xDFFF => Ok(()),
            _ => Err(self.syntax()),
        }
    }

    /// `u` and four hex digits.
    fn code_unit(&mut self) -> Result<u32, Fault> {
        let digits = self
            .text
            .get(self.at + 1..self.at + 5)
            .ok_or_else(|| self.syntax())?;
        let mut unit = 0;
        for digit in digits {
            let digit = char::from(*digit).to_digit(16).ok_or_else(|| self.syntax())?;
            unit = unit * 16 + digit;
        }
        self.at += 5;
        Ok(unit)
    }

    fn number(&mut self) -> Result<Kind, Fault> {
        let start = self.at;
        self.step_over(|b| b == b'-', 1);
        let leading_zero = self.text.get(self.at) == Some(&b'0');
        let digits = self.digits()?;
        if leading_zero && digits > 1 {
            return Err(self.syntax());
        }
        if self.step_over(|b| b == b'.', 1) == 1 {
            self.digits()?;
        }
        let exponent = self.step_over(|b| matches!(b, b'e' | b'E'), 1) == 1;
        if exponent {
            self.step_over(|b| matches!(b, b'+' | b'-'), 1);
            self.digits()?;
        }
        self.judge_size(start, exponent)
    }

    /// A number that no `f64` can hold is refused; only long ones and powers can be that large.
    fn judge_size(&self, start: usize, exponent: bool) -> Result<Kind, Fault> {
        let text = self.text.get(start..self.at).unwrap_or_default();
        if (exponent || text.len() > 300) && serde_json::from_slice::<f64>(text).is_err() {
            return Err(Fault::Syntax(start));
        }
        Ok(Kind::Number)
    }

    fn digits(&mut self) -> Result<usize, Fault> {
        match self.step_over(|b| b.is_ascii_digit(), usize::MAX) {
            0 => Err(self.syntax()),
            count => Ok(count),
        }
    }

    fn step_over(&mut self, accept: impl Fn(u8) -> bool, most: usize) -> usize {
        let count = self.rest().iter().take(most).take_while(|b| accept(**b)).count();
        self.at += count;
        count
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn syntax(&self) -> Fault {
        Fault::Syntax(self.at)
    }
}

/// Whether control characters stand in it. Looks at every byte rather than stopping at the first: that the compiler
/// turns into wide instructions.
fn has_control(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, byte| found | (*byte < 0x20))
}

#[cfg(test)]
mod tests;
