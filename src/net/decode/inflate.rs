//! The decoder without a body: bytes are pushed as they come, and decoded ones pulled as they are wanted.

use bytes::{Buf, Bytes};
use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::Coding;
use super::gzip::{Header, Trailer};

/// The most that one pull gives.
pub(super) const OUTPUT_BYTES_MAX: usize = 32 * 1024;

/// A body that is not what its `content-encoding` says.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    /// It is not in this coding.
    #[error("the compressed answer is malformed")]
    Malformed,
    /// It was decoded, but not to what was encoded.
    #[error("the compressed answer does not match its checksum")]
    Checksum,
    /// It is over before its coding is.
    #[error("the compressed answer ends too early")]
    CutShort,
}

/// A compressed body on its way.
pub(in crate::net) struct Decoder {
    coding: Coding,
    stage: Stage,
    inflate: Decompress,
    check: Crc,
    input: Bytes,
    output: Box<[u8]>,
    /// Whether the last output had no room left, so that more may be there without further input.
    full: bool,
}

enum Stage {
    Header(Header),
    Deflate,
    Trailer(Trailer),
    /// Nothing may follow.
    Ended,
}

/// What a pull gives.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::net) enum Pulled {
    /// Decoded bytes, at least one.
    Bytes(Bytes),
    /// Nothing before more is pushed.
    Hungry,
}

impl Decoder {
    pub(super) fn new(coding: Coding) -> Box<Self> {
        let zlib = coding == Coding::Zlib;
        Box::new(Self {
            coding,
            stage: if zlib { Stage::Deflate } else { Stage::Header(Header::default()) },
            inflate: Decompress::new(zlib),
            check: Crc::new(),
            input: Bytes::new(),
            output: vec![0; OUTPUT_BYTES_MAX].into(),
            full: false,
        })
    }

    /// Takes the next bytes of the body, once the last ones are used up.
    pub(in crate::net) fn push(&mut self, bytes: Bytes) {
        debug_assert!(self.input.is_empty(), "pull until hungry");
        self.input = bytes;
    }

    /// Decodes a piece of what was pushed.
    pub(in crate::net) fn pull(&mut self) -> Result<Pulled, DecodeError> {
        while !self.input.is_empty() || self.full {
            if let Some(bytes) = self.step()? {
                return Ok(Pulled::Bytes(bytes));
            }
        }
        Ok(Pulled::Hungry)
    }

    /// Whether the body may end here. One without any bytes may: there was nothing to encode.
    pub(in crate::net) fn finish(&self) -> Result<(), DecodeError> {
        let complete = match &self.stage {
            // Between members, too.
            Stage::Header(header) => header.is_fresh(),
            Stage::Deflate => self.coding == Coding::Zlib && self.inflate.total_in() == 0,
            Stage::Trailer(_) => false,
            Stage::Ended => true,
        };
        if complete { Ok(()) } else { Err(DecodeError::CutShort) }
    }

    fn step(&mut self) -> Result<Option<Bytes>, DecodeError> {
        match &mut self.stage {
            Stage::Deflate => return self.inflate(),
            Stage::Header(header) => {
                let Some(byte) = next(&mut self.input) else { return Ok(None) };
                if header.take(byte)? {
                    self.inflate.reset(false);
                    self.check.reset();
                    self.stage = Stage::Deflate;
                }
            }
            Stage::Trailer(trailer) => {
                let Some(byte) = next(&mut self.input) else { return Ok(None) };
                if let Some(told) = trailer.take(byte) {
                    if told != (self.check.sum(), self.check.amount()) {
                        return Err(DecodeError::Checksum);
                    }
                    self.stage = Stage::Header(Header::default());
                }
            }
            Stage::Ended => return Err(DecodeError::Malformed),
        }
        Ok(None)
    }

    fn inflate(&mut self) -> Result<Option<Bytes>, DecodeError> {
        let before = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(&self.input, &mut self.output, FlushDecompress::None)
            .map_err(|_| DecodeError::Malformed)?;
        let taken = since(before.0, self.inflate.total_in());
        let given = since(before.1, self.inflate.total_out());
        self.input.advance(taken);
        let output = self.output.get(..given).unwrap_or_default();
        match status {
            Status::StreamEnd => {
                self.full = false;
                self.stage = match self.coding {
                    Coding::Gzip => Stage::Trailer(Trailer::default()),
                    Coding::Zlib => Stage::Ended,
                };
            }
            Status::Ok | Status::BufError => {
                // Given again, it would be refused again.
                if taken == 0 && given == 0 && !self.input.is_empty() {
                    return Err(DecodeError::Malformed);
                }
                self.full = given == self.output.len();
            }
        }
        if output.is_empty() {
            return Ok(None);
        }
        if self.coding == Coding::Gzip {
            self.check.update(output);
        }
        Ok(Some(Bytes::copy_from_slice(output)))
    }
}

fn next(input: &mut Bytes) -> Option<u8> {
    input.try_get_u8().ok()
}

fn since(before: u64, now: u64) -> usize {
    usize::try_from(now - before).unwrap_or(usize::MAX)
}
