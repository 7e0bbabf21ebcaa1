//! Protocol Buffers, as far as spans need them: written in one pass, without a message type in between.
//!
//! The SDK's way (span data, message types, encoding) took 76,000 instructions per call for its two spans, as many as
//! all the rest of a call.

use smallvec::SmallVec;

/// A message in the making; it ends with the text so far.
pub(super) struct Message<'a> {
    out: &'a mut Vec<u8>,
}

/// The type of a field on the wire (protobuf.dev, "Encoding").
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Length = 2,
    Fixed32 = 5,
}

/// The keys of a first and a second field that are messages or texts.
const FIRST: u8 = 1 << 3 | Wire::Length as u8;
const SECOND: u8 = 2 << 3 | Wire::Length as u8;

impl<'a> Message<'a> {
    /// A message, or a part of one, that is appended to `out`.
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// A number of variable length.
    pub(super) fn varint(&mut self, field: u32, value: u64) {
        self.key(field, Wire::Varint);
        varint(value, |byte| self.out.push(byte));
    }

    /// Eight bytes.
    pub(super) fn fixed64(&mut self, field: u32, value: u64) {
        self.key(field, Wire::Fixed64);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// Four bytes.
    pub(super) fn fixed32(&mut self, field: u32, value: u32) {
        self.key(field, Wire::Fixed32);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// Bytes, or text.
    pub(super) fn bytes(&mut self, field: u32, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        self.key(field, Wire::Length);
        varint(value.len() as u64, |byte| self.out.push(byte));
        self.out.extend_from_slice(value);
    }

    /// Text in pieces.
    pub(super) fn joined(&mut self, field: u32, pieces: &[&str]) {
        self.key(field, Wire::Length);
        varint(pieces.iter().map(|piece| piece.len() as u64).sum(), |byte| self.out.push(byte));
        pieces.iter().for_each(|piece| self.out.extend_from_slice(piece.as_bytes()));
    }

    /// Text, unless there is none: what is left out is empty.
    pub(super) fn text(&mut self, field: u32, value: &str) {
        if !value.is_empty() {
            self.bytes(field, value);
        }
    }

    /// A message of two texts, the second in a message of its own: an attribute. As [`Self::message`] would write it,
    /// but short ones, as most are, in one go.
    pub(super) fn pair(&mut self, field: u32, key: &str, value: &str) {
        const LONGEST: usize = 0x7f;
        let inner = 2 + value.len();
        let length = 2 + key.len() + 2 + inner;
        if length > LONGEST {
            return self.message(field, |pair| {
                pair.bytes(1, key);
                pair.message(2, |any| any.bytes(1, value));
            });
        }
        self.key(field, Wire::Length);
        // None is longer than the whole, which is short.
        self.out.extend_from_slice(&[length as u8, FIRST, key.len() as u8]);
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(&[SECOND, inner as u8, FIRST, value.len() as u8]);
        self.out.extend_from_slice(value.as_bytes());
    }

    /// Fields that are written already.
    pub(super) fn fields(&mut self, fields: &[u8]) {
        self.out.extend_from_slice(fields);
    }

    /// A message in this one.
    pub(super) fn message(&mut self, field: u32, write: impl FnOnce(&mut Message<'_>)) {
        self.key(field, Wire::Length);
        self.out.push(0);
        let start = self.out.len();
        write(&mut Message::new(self.out));
        let length = self.out.len() - start;
        match (u8::try_from(length), self.out.get_mut(start - 1)) {
            // Most are short.
            (Ok(length @ ..0x80), Some(room)) => *room = length,
            _ => self.make_room(start, length as u64),
        }
    }

    /// Moves what was written up, where its length takes more than the one byte before it.
    #[cold]
    fn make_room(&mut self, start: usize, length: u64) {
        let mut bytes: SmallVec<[u8; 10]> = SmallVec::new();
        varint(length, |byte| bytes.push(byte));
        let (more, end) = (bytes.len() - 1, self.out.len());
        self.out.resize(end + more, 0);
        self.out.copy_within(start..end, start + more);
        if let Some(room) = self.out.get_mut(start - 1..start + more) {
            room.copy_from_slice(&bytes);
        }
    }

    fn key(&mut self, field: u32, wire: Wire) {
        varint(u64::from(field) << 3 | wire as u64, |byte| self.out.push(byte));
    }
}

fn varint(mut value: u64, mut push: impl FnMut(u8)) {
    while value >= 0x80 {
        push(value as u8 | 0x80);
        value >>= 7;
    }
    push(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    /// The same fields, as the library reads them.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Read {
        #[prost(uint64, tag = "1")]
        number: u64,
        #[prost(fixed64, tag = "2")]
        wide: u64,
        #[prost(string, tag = "3")]
        text: String,
        #[prost(fixed32, tag = "16")]
        narrow: u32,
        #[prost(message, repeated, tag = "5")]
        inner: Vec<Self>,
    }

    fn write(message: &mut Message<'_>, from: &Read) {
        message.varint(1, from.number);
        message.fixed64(2, from.wide);
        message.text(3, &from.text);
        message.fixed32(16, from.narrow);
        for inner in &from.inner {
            message.message(5, |message| write(message, inner));
        }
    }

    fn any_read() -> impl Strategy<Value = Read> {
        let leaf = (any::<u64>(), any::<u64>(), ".{0,200}", any::<u32>())
            .prop_map(|(number, wide, text, narrow)| Read { number, wide, text, narrow, inner: Vec::new() });
        leaf.prop_recursive(3, 32, 6, |inner| {
            (any::<u64>(), prop::collection::vec(inner, 0..6)).prop_map(|(number, inner)| Read {
                number,
                inner,
                ..Read::default()
            })
        })
    }

    fn pair(key: &str, value: &str) -> Vec<u8> {
        let mut out = Vec::new();
        Message::new(&mut out).pair(9, key, value);
        out
    }

    fn nested(key: &str, value: &str) -> Vec<u8> {
        let mut out = Vec::new();
        Message::new(&mut out).message(9, |pair| {
            pair.bytes(1, key);
            pair.message(2, |any| any.bytes(1, value));
        });
        out
    }

    #[test]
    fn a_pair_is_the_same_in_one_go_at_every_length() {
        for (key, value) in (0..200).flat_map(|key| [(key, 0), (key, 100 - key.min(100)), (3, key)]) {
            let (key, value) = ("k".repeat(key), "v".repeat(value));
            assert_eq!(pair(&key, &value), nested(&key, &value), "{} {}", key.len(), value.len());
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_the_library_reads(from in any_read()) {
            let mut out = b"before".to_vec();
            write(&mut Message::new(&mut out), &from);
            prop_assert_eq!(&out[..6], b"before");
            prop_assert_eq!(Read::decode(&out[6..]).unwrap(), from);
        }
    }
}
