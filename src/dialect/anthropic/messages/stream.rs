//! Streams, event by event.

mod balance;
mod blocks;
mod calls;
mod decoder;
mod encoder;

pub(crate) use self::decoder::Decoder;
pub(crate) use self::encoder::Encoder;

#[cfg(test)]
mod tests;
