//! Gemini's `generateContent`, from and to the neutral form.

mod answer;
mod candidate;
mod decode;
mod decoder;
mod encode;
mod encoder;
mod finish;
mod part;
mod piece;
pub(in crate::dialect) mod read;
mod schema;
mod signature;

pub(crate) use self::answer::{decode_answer, encode_answer};
pub(super) use self::candidate::is_blocked;
pub(crate) use self::decode::decode_request;
pub(crate) use self::decoder::Decoder;
pub(crate) use self::encode::encode_request;
pub(crate) use self::encoder::Encoder;
pub(super) use self::finish::{Reason, reason};

#[cfg(test)]
mod tests;
