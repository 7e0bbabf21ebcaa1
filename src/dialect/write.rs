//! Writes JSON: members in the order in which they are named, text and values as they were written elsewhere.

use super::neutral::{Literal, Raw};

/// The members of an object that is being written.
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    any: bool,
}

/// The elements of an array that is being written.
pub(crate) struct Array<'o> {
    out: &'o mut Vec<u8>,
    any: bool,
}

/// Writes an object.
pub(crate) fn object(out: &mut Vec<u8>, members: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    members(&mut Object { out, any: false });
    out.push(b'}');
}

/// Writes the rest of an object whose beginning stands elsewhere: members and the end, without a comma before.
pub(crate) fn rest_of_object(out: &mut Vec<u8>, members: impl FnOnce(&mut Object<'_>)) {
    members(&mut Object { out, any: false });
    out.push(b'}');
}

/// Writes an array.
pub(crate) fn array(out: &mut Vec<u8>, elements: impl FnOnce(&mut Array<'_>)) {
    out.push(b'[');
    elements(&mut Array { out, any: false });
    out.push(b']');
}

/// Writes a text as a JSON string.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    // A vector takes every write, and a text is always a string.
    let _ = serde_json::to_writer(out, text);
}

/// Writes the text of a literal as it is, in quotes.
pub(crate) fn literal(out: &mut Vec<u8>, text: &Literal<'_>) {
    out.push(b'"');
    out.extend_from_slice(text.raw());
    out.push(b'"');
}

impl Object<'_> {
    /// Begins a member; its value has to follow.
    fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if std::mem::replace(&mut self.any, true) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A word of ours that needs no escapes.
    pub(crate) fn word(&mut self, name: &str, word: &str) {
        let out = self.key(name);
        out.push(b'"');
        out.extend_from_slice(word.as_bytes());
        out.push(b'"');
    }

    /// A text, escaped.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        string(self.key(name), text);
    }

    pub(crate) fn literal(&mut self, name: &str, text: &Literal<'_>) {
        literal(self.key(name), text);
    }

    pub(crate) fn raw(&mut self, name: &str, value: &Raw<'_>) {
        self.key(name).extend_from_slice(value.raw());
    }

    /// JSON of ours.
    pub(crate) fn json(&mut self, name: &str, json: &str) {
        self.key(name).extend_from_slice(json.as_bytes());
    }

    pub(crate) fn number(&mut self, name: &str, number: u64) {
        let mut digits = itoa::Buffer::new();
        self.key(name).extend_from_slice(digits.format(number).as_bytes());
    }

    pub(crate) fn signed(&mut self, name: &str, number: i64) {
        let mut digits = itoa::Buffer::new();
        self.key(name).extend_from_slice(digits.format(number).as_bytes());
    }

    pub(crate) fn flag(&mut self, name: &str, flag: bool) {
        self.key(name).extend_from_slice(if flag { b"true" } else { b"false" });
    }

    pub(crate) fn null(&mut self, name: &str) {
        self.key(name).extend_from_slice(b"null");
    }

    pub(crate) fn object(&mut self, name: &str, members: impl FnOnce(&mut Object<'_>)) {
        object(self.key(name), members);
    }

    pub(crate) fn array(&mut self, name: &str, elements: impl FnOnce(&mut Array<'_>)) {
        array(self.key(name), elements);
    }
}

impl Array<'_> {
    /// Whether nothing was written yet.
    pub(crate) fn is_empty(&self) -> bool {
        !self.any
    }

    fn next(&mut self) -> &mut Vec<u8> {
        if std::mem::replace(&mut self.any, true) {
            self.out.push(b',');
        }
        self.out
    }

    pub(crate) fn literal(&mut self, text: &Literal<'_>) {
        literal(self.next(), text);
    }

    pub(crate) fn raw(&mut self, value: &Raw<'_>) {
        self.next().extend_from_slice(value.raw());
    }

    pub(crate) fn object(&mut self, members: impl FnOnce(&mut Object<'_>)) {
        object(self.next(), members);
    }
}
