//! Whether JSON that comes in pieces is whole yet.

/// How deep a text stands in an object. The text comes as JSON strings write it.
#[derive(Default)]
pub(super) struct Balance {
    depth: usize,
    opened: bool,
    in_string: bool,
    /// A backslash of the text itself stands before.
    escaped: bool,
}

impl Balance {
    /// Whether an object was opened and is closed.
    pub(super) fn is_whole(&self) -> bool {
        self.opened && self.depth == 0
    }

    /// Goes on with a piece: what stands between the quotes of a JSON string.
    pub(super) fn push(&mut self, piece: &[u8]) {
        let mut bytes = piece.iter().copied();
        while let Some(byte) = bytes.next() {
            let meant = if byte == b'\\' { unescaped(&mut bytes) } else { byte };
            self.read(meant);
        }
    }

    fn read(&mut self, byte: u8) {
        if self.in_string {
            let escaped = std::mem::take(&mut self.escaped);
            self.escaped = !escaped && byte == b'\\';
            self.in_string = escaped || byte != b'"';
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => {
                self.opened = true;
                self.depth += 1;
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// The character that an escape means, as far as it could be one of JSON's own.
fn unescaped(bytes: &mut impl Iterator<Item = u8>) -> u8 {
    match bytes.next() {
        Some(byte @ (b'"' | b'\\')) => byte,
        Some(b'u') => {
            let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0);
            let code = bytes.take(4).fold(0, |code, byte| code * 16 + digit(byte));
            u8::try_from(code).unwrap_or(b' ')
        }
        Some(_) | None => b' ',
    }
}
