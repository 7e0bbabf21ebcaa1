//! Anthropic's messages, from and to the neutral form.

mod answer;
mod decode;
mod encode;
mod signature;
mod stream;
mod words;

pub(crate) use self::answer::{decode_answer, encode_answer};
pub(crate) use self::decode::decode_request;
pub(crate) use self::encode::{encode_request, write_thought};
pub(crate) use self::stream::{Decoder, Encoder};

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
