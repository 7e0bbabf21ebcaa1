//! What stands around the compressed bytes of a gzip member: RFC 1952. Read byte by byte, as they come.

use super::inflate::DecodeError;

const CHECKSUM: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// The header of a member, as far as it came. What it says is passed over.
#[derive(Debug, Default)]
pub(super) struct Header {
    flags: u8,
    field: Field,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug)]
enum Field {
    /// The ten bytes that are always there: so many came.
    Fixed(u8),
    ExtraLength {
        low: Option<u8>,
    },
    /// So many bytes are to come.
    Extra(u16),
    Name,
    Comment,
    /// So many bytes are to come.
    Checksum(u8),
}

impl Default for Field {
    fn default() -> Self {
        Self::Fixed(0)
    }
}

impl Header {
    /// Whether nothing of it came.
    pub(super) fn is_fresh(&self) -> bool {
        matches!(self.field, Field::Fixed(0))
    }

    /// Takes a byte; true when it was the last one.
    pub(super) fn take(&mut self, byte: u8) -> Result<bool, DecodeError> {
        match self.field {
            Field::Fixed(at) => {
                self.fixed(at, byte)?;
                if at < 9 {
                    self.field = Field::Fixed(at + 1);
                    return Ok(false);
                }
                Ok(self.next(EXTRA))
            }
            Field::ExtraLength { low: None } => {
                self.field = Field::ExtraLength { low: Some(byte) };
                Ok(false)
            }
            Field::ExtraLength { low: Some(low) } => Ok(self.extra(u16::from_le_bytes([low, byte]))),
            Field::Extra(left) => Ok(self.extra(left - 1)),
            Field::Name => Ok(byte == 0 && self.next(COMMENT)),
            Field::Comment => Ok(byte == 0 && self.next(CHECKSUM)),
            Field::Checksum(left) => {
                self.field = Field::Checksum(left - 1);
                Ok(left == 1)
            }
        }
    }

    fn fixed(&mut self, at: u8, byte: u8) -> Result<(), DecodeError> {
        let good = match at {
            0 => byte == 0x1f,
            1 => byte == 0x8b,
            // The only method there is.
            2 => byte == 8,
            3 => {
                self.flags = byte;
                byte & RESERVED == 0
            }
            // Time, hints and system.
            _ => true,
        };
        if good { Ok(()) } else { Err(DecodeError::Malformed) }
    }

    fn extra(&mut self, left: u16) -> bool {
        if left == 0 {
            return self.next(NAME);
        }
        self.field = Field::Extra(left);
        false
    }

    /// Goes on to the first field that is there, from this one on; true where there is none.
    fn next(&mut self, from: u8) -> bool {
        let fields = [
            (EXTRA, Field::ExtraLength { low: None }),
            (NAME, Field::Name),
            (COMMENT, Field::Comment),
            (CHECKSUM, Field::Checksum(2)),
        ];
        let mut rest = fields.into_iter().skip_while(|(flag, _)| *flag != from);
        match rest.find(|(flag, _)| self.flags & flag != 0) {
            Some((_, field)) => {
                self.field = field;
                false
            }
            None => true,
        }
    }
}

/// The eight bytes behind a member, as far as they came.
#[derive(Debug, Default)]
pub(super) struct Trailer {
    bytes: u64,
    came: u8,
}

impl Trailer {
    /// Takes a byte; after the last one gives the checksum and the length modulo 2^32.
    pub(super) fn take(&mut self, byte: u8) -> Option<(u32, u32)> {
        // Little-endian: the first byte ends up lowest.
        self.bytes = self.bytes >> 8 | u64::from(byte) << 56;
        self.came += 1;
        let [a, b, c, d, e, f, g, h] = self.bytes.to_le_bytes();
        (self.came == 8).then(|| (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])))
    }
}
