//! OpenAI's chat, from and to the neutral form.

mod answer;
mod at;
mod content;
mod decoder;
mod encode;
mod encoder;
mod messages;
mod request;
mod spoken;
mod tools;

pub(crate) use self::answer::{decode_answer, encode_answer};
pub(crate) use self::decoder::Decoder;
pub(crate) use self::encode::encode_request;
pub(crate) use self::encoder::Encoder;
pub(super) use self::messages::tells_error;
pub(crate) use self::request::decode_request;

#[cfg(test)]
mod tests;
