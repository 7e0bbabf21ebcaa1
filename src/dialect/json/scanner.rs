//! The grammar, by hand: one step per token, judged as `serde_json` judges it.

use memchr::memchr2;

use super::{Fault, Key, Kind, MAX_DEPTH, Member, Value};

/// So many words of eight bytes are looked at before a search over the rest of the string begins.
const SHORT_WORDS: usize = 4;

/// A position in a JSON text.
#[derive(Clone)]
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    depth: u8,
    /// No member of the object, or element of the array, that is being read has been given yet.
    fresh: bool,
}

impl<'a> Scanner<'a> {
    /// Begins at a byte of the text.
    pub(crate) fn at(text: &'a [u8], at: usize) -> Self {
        Self { text, at, depth: 0, fresh: false }
    }

    /// Begins inside of an object or array, at its first member or element, or at any other key as if it were the
    /// first.
    pub(crate) fn at_member(text: &'a [u8], at: usize) -> Self {
        Self { fresh: true, ..Self::at(text, at) }
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
        let Some(key) = self.next_key()? else {
            return Ok(None);
        };
        let value = self.value()?;
        Ok(Some(Member { key, value }))
    }

    /// Like [`Self::next_member`], but stops before the value, which the caller reads: by [`Self::value`], or by
    /// stepping into it.
    pub(crate) fn next_key(&mut self) -> Result<Option<Key<'a>>, Fault> {
        if !self.another(b'}')? {
            return Ok(None);
        }
        self.key().map(Some)
    }

    /// Steps into the value that begins here, if it is an object, and reads each member by `read`, which has to step
    /// over the value; over any other value it steps at once.
    pub(crate) fn members(
        &mut self,
        mut read: impl FnMut(&Key<'a>, &mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.peek() != Some(b'{') {
            return self.value().map(drop);
        }
        if self.depth == MAX_DEPTH {
            return Err(Fault::TooDeep);
        }
        self.open_object()?;
        while let Some(key) = self.next_key()? {
            read(&key, self)?;
        }
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }

    /// The same for an array and its elements.
    pub(crate) fn elements(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.peek() != Some(b'[') {
            return self.value().map(drop);
        }
        self.enter()?;
        while self.another(b']')? {
            read(self)?;
        }
        self.depth = self.depth.saturating_sub(1);
        Ok(())
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
            Some(b'"') => self.string().map(|_| Kind::String),
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true", Kind::True),
            Some(b'f') => self.word(b"false", Kind::False),
            Some(b'n') => self.word(b"null", Kind::Null),
            Some(_) | None => Err(self.syntax()),
        }?;
        Ok(Value { kind, range: start..self.at, text: self.text })
    }

    /// Whether another member or element follows; steps over the comma, or over the closing byte.
    pub(super) fn another(&mut self, close: u8) -> Result<bool, Fault> {
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

    /// A key, and the colon behind it.
    fn key(&mut self) -> Result<Key<'a>, Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.syntax());
        }
        let start = self.at;
        let escaped = self.string()?;
        let text = self.text.get(start..self.at).unwrap_or_default();
        self.expect(b':')?;
        Ok(Key { text, escaped })
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

    /// Steps over a string; whether escapes are in it.
    fn string(&mut self) -> Result<bool, Fault> {
        self.at += 1;
        if self.short_string() {
            return Ok(false);
        }
        let mut escaped = false;
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
                return Ok(escaped);
            }
            escaped = true;
            self.escape()?;
        }
    }

    /// Steps over the rest of a plain string that ends soon, as keys do: there a search costs more than it saves.
    fn short_string(&mut self) -> bool {
        let rest = self.rest();
        let (words, _) = rest.as_chunks();
        for (before, word) in words.iter().take(SHORT_WORDS).enumerate() {
            let Some(stop) = first_stop(*word) else {
                continue;
            };
            let at = before * word.len() + stop;
            let ended = rest.get(at) == Some(&b'"');
            self.at += if ended { at + 1 } else { 0 };
            return ended;
        }
        false
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
        let digits = self.text.get(self.at + 1..self.at + 5).ok_or_else(|| self.syntax())?;
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
        self.step_over(|b| b == b'-');
        let leading_zero = self.text.get(self.at) == Some(&b'0');
        let digits = self.digits()?;
        if leading_zero && digits > 1 {
            return Err(self.syntax());
        }
        if self.step_over(|b| b == b'.') {
            self.digits()?;
        }
        let exponent = self.step_over(|b| matches!(b, b'e' | b'E'));
        if exponent {
            self.step_over(|b| matches!(b, b'+' | b'-'));
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
        let start = self.at;
        while self.step_over(|b| b.is_ascii_digit()) {}
        match self.at - start {
            0 => Err(self.syntax()),
            count => Ok(count),
        }
    }

    /// Steps over the next byte if it is one of these.
    fn step_over(&mut self, accept: impl Fn(u8) -> bool) -> bool {
        let accepted = self.text.get(self.at).is_some_and(|byte| accept(*byte));
        self.at += usize::from(accepted);
        accepted
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn syntax(&self) -> Fault {
        Fault::Syntax(self.at)
    }
}

/// Where plain text within a string ends: at the first quote, backslash or control character of eight bytes.
///
/// Looks at all of them at once. A byte that is 0, or below a bound, borrows into its own highest bit when 1, or the
/// bound, is taken from it. The borrow may reach bytes behind it, so only the first one found is certain.
fn first_stop(word: [u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHEST: u64 = 0x80 * ONES;
    let below = |word: u64, bound: u64| word.wrapping_sub(bound * ONES);
    let equal = |word: u64, byte: u8| below(word ^ (u64::from(byte) * ONES), 1);
    let word = u64::from_le_bytes(word);
    // A byte that had its highest bit before has not borrowed it, and is none of these.
    let stops = (below(word, 0x20) | equal(word, b'"') | equal(word, b'\\')) & !word & HIGHEST;
    (stops != 0).then(|| stops.trailing_zeros() as usize / 8)
}

/// Whether control characters stand in it. Looks at every byte rather than stopping at the first: that the compiler
/// turns into wide instructions.
fn has_control(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, byte| found | (*byte < 0x20))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn eight_bytes_at_once_stop_where_byte_by_byte_does(
            word in prop::array::uniform8(prop_oneof![any::<u8>(), 0x1e..0x24_u8, 0x5a..0x5e_u8, 0x7f..0x82_u8]),
        ) {
            let stops = |byte: &u8| matches!(byte, 0..0x20 | b'"' | b'\\');
            prop_assert_eq!(first_stop(word), word.iter().position(stops));
        }
    }
}
