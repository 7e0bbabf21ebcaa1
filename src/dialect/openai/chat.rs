//! OpenAI's chat, from and to the neutral form.

use crate::dialect::neutral::{Answer, Event, Losses, Request};
use crate::dialect::translate::{NoAnswer, Prepared, Recipient, Stamp, Untranslatable};

pub(crate) fn decode_request(_body: &[u8]) -> Result<(Request<'_>, Losses), Untranslatable> {
    Err(Untranslatable { message: "not built yet".to_owned(), field: None })
}

pub(crate) fn encode_request(_request: &Request<'_>, _to: &Recipient<'_>, _lost: &mut Losses) -> Prepared {
    Prepared { open: "{", field: "max_tokens", bound: None, rest: b"}".to_vec() }
}

pub(crate) fn decode_answer<'a>(_body: &'a [u8], _stamp: &Stamp<'_>) -> Result<Answer<'a>, NoAnswer> {
    Err(NoAnswer)
}

pub(crate) fn encode_answer(_answer: &Answer<'_>, _stamp: &Stamp<'_>) -> Vec<u8> {
    Vec::new()
}

/// Reads a stream.
pub(crate) struct Decoder {}

/// Writes a stream.
pub(crate) struct Encoder {}

impl Decoder {
    pub(crate) fn new(_stamp: &Stamp<'_>) -> Self {
        Self {}
    }

    pub(crate) fn read(&mut self, _data: &[u8], _write: &mut dyn FnMut(Event<'_>)) {}

    /// The provider has closed an answer that is whole.
    pub(crate) fn end(&mut self, _write: &mut dyn FnMut(Event<'_>)) {}
}

impl Encoder {
    pub(crate) fn new(_stamp: &Stamp<'_>) -> Self {
        Self {}
    }

    pub(crate) fn write(&mut self, _event: &Event<'_>, _out: &mut Vec<u8>) {}
}
