//! The arguments of a function call: the text of a JSON object, whole or bit by bit.

use crate::dialect::json::{self, Kind};
use crate::dialect::neutral::{Literal, Raw};

/// The object that a text is, where it is one. No text at all is an empty object.
pub(super) fn read(text: &Literal<'_>) -> Option<Raw<'static>> {
    let text = text.text();
    if text.trim().is_empty() {
        return Some(Raw::word("{}"));
    }
    let object = json::document(text.as_bytes()).is_ok_and(|value| value.kind == Kind::Object);
    object.then(|| Raw::written(text.into_owned().into_bytes()))
}

/// Whether arguments that come bit by bit are whole by now, told by their brackets alone.
#[derive(Default)]
pub(super) struct Brackets {
    open: usize,
    in_text: bool,
    escaped: bool,
    whole: bool,
}

impl Brackets {
    pub(super) fn take(&mut self, piece: &Literal<'_>) {
        for byte in piece.text().bytes() {
            if self.in_text {
                self.in_text = self.escaped || byte != b'"';
                self.escaped = !self.escaped && byte == b'\\';
                continue;
            }
            match byte {
                b'"' => self.in_text = true,
                b'{' | b'[' => self.open += 1,
                b'}' | b']' => self.open = self.open.saturating_sub(1),
                _ => {}
            }
            self.whole |= self.open == 0 && byte == b'}';
        }
    }

    /// Whether nothing can follow.
    pub(super) fn are_closed(&self) -> bool {
        self.whole
    }
}
