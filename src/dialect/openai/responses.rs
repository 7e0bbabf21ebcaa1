//! OpenAI's responses, from and to the neutral form: requests are read, answers are written. Nothing is sent to a
//! provider in this form.
//!
//! What a provider wants back unchanged travels in `encrypted_content` of a reasoning item ([`sealed`]). A stream ends
//! with the whole response, so what is written of it is kept until then: at most 8 MiB, beyond which the stream ends
//! with an error.

mod answer;
mod arguments;
mod input;
mod item;
mod part;
mod read;
mod request;
mod sealed;
mod stream;
mod tools;

pub(crate) use self::answer::encode_answer;
pub(crate) use self::request::decode_request;
pub(crate) use self::stream::Encoder;

#[cfg(test)]
mod tests;
