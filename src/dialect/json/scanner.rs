//! The grammar, by hand: one step per token, judged as `serde_json` judges it.

use memchr::memchr2;

use super::{Fault, Key, Kind, MAX_DEPTH, Member, Value};

/// Strings up to this length are read byte by byte.
const SHORT: usize = 28;

/// The bytes at which plain text within a string ends.
static STOPS: [bool; 256] = {
    let mut stops = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        stops[byte] = true;
        byte += 1;
    }
    stops[b'"' as usize] = true;
    stops[b'\\' as usize] = true;
    stops
};

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
        let near = rest.get(..SHORT).unwrap_or(rest);
        let stop = near.iter().position(|byte| STOPS[usize::from(*byte)]);
        let ended = stop.filter(|at| near.get(*at) == Some(&b'"'));
        self.at += ended.map_or(0, |at| at + 1);
        ended.is_some()
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
