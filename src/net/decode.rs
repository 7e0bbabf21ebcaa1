//! Answers that are compressed though `identity` was asked for: decoded as they come.
//!
//! Pulled like everything else: what nobody asks for is not decoded, so the cap of whoever reads counts decoded bytes,
//! and a small answer that would become a huge one is held no further than that cap.

mod gzip;
mod inflate;
#[cfg(test)]
mod tests;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};

pub use self::inflate::DecodeError;
pub(in crate::net) use self::inflate::{Decoder, Pulled};
use super::upstream::UpstreamBody;

/// Bytes of a coding's name that are kept.
const NAME_BYTES_MAX: usize = 32;

/// A way to compress bodies that is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) enum Coding {
    /// RFC 1952, any number of members.
    Gzip,
    /// `deflate`, as HTTP means it: zlib, RFC 1950.
    Zlib,
}

/// An answer in a content coding that is not understood, such as `br`, or in several.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the answer is encoded as `{coding}`, which was not asked for")]
pub struct Unsupported {
    coding: Box<str>,
}

/// The body as it was before it was compressed, as its headers say it is; they then say so no longer.
///
/// A body that is not compressed is given back as it is, with its headers. Otherwise `content-encoding` and
/// `content-length` are removed, and the body yields decoded bytes in frames of at most 32 KiB. Each byte that can be
/// decoded is given before a poll says pending. A body that cannot be decoded, or ends before its coding does, ends with
/// an error. About 80 KiB are held until it is dropped.
///
/// # Errors
/// When the coding is none of gzip, x-gzip, deflate and identity, or there are several; the body is dropped.
pub fn decoding(headers: &mut HeaderMap, body: UpstreamBody) -> Result<UpstreamBody, Unsupported> {
    let Some(coding) = coding(headers)? else {
        return Ok(body);
    };
    headers.remove(CONTENT_ENCODING);
    headers.remove(CONTENT_LENGTH);
    Ok(body.decoded(Decoder::new(coding)))
}

/// None where nothing was done to the body.
fn coding(headers: &HeaderMap) -> Result<Option<Coding>, Unsupported> {
    let mut found = None;
    for value in headers.get_all(CONTENT_ENCODING) {
        for name in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
            let coding = if name.is_empty() || is(b"identity") {
                continue;
            } else if is(b"gzip") || is(b"x-gzip") {
                Coding::Gzip
            } else if is(b"deflate") {
                Coding::Zlib
            } else {
                return Err(unsupported(name));
            };
            if found.replace(coding).is_some() {
                return Err(unsupported(value.as_bytes()));
            }
        }
    }
    Ok(found)
}

fn unsupported(name: &[u8]) -> Unsupported {
    let name = name.get(..NAME_BYTES_MAX).unwrap_or(name);
    Unsupported { coding: name.escape_ascii().to_string().into() }
}
