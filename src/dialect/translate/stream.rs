//! A stream on its way from one dialect to another: event by event, nothing held but what a form needs whole.

use std::fmt;

use bytes::Bytes;

use super::{Form, Stamp};
use crate::dialect::neutral::Event;
use crate::dialect::{Api, anthropic, error, gemini, openai};

/// Reads a provider's events and writes the caller's.
pub struct Translator {
    decoder: Decoder,
    encoder: Encoder,
    to: Api,
    out: Vec<u8>,
}

impl fmt::Debug for Translator {
    /// Says nothing of what is said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Translator").field("to", &self.to).finish_non_exhaustive()
    }
}

enum Decoder {
    Chat(openai::chat::Decoder),
    Messages(anthropic::messages::Decoder),
    Generate(gemini::generate::Decoder),
}

enum Encoder {
    Chat(openai::chat::Encoder),
    Responses(openai::responses::Encoder),
    Messages(anthropic::messages::Encoder),
    Generate(gemini::generate::Encoder),
}

impl Translator {
    /// For a provider's operation and a caller's; none where they are no conversations.
    pub fn new(from: Api, to: Api, stamp: &Stamp<'_>) -> Option<Self> {
        let decoder = match Form::of(from)? {
            Form::Chat => Decoder::Chat(openai::chat::Decoder::new(stamp)),
            Form::Messages => Decoder::Messages(anthropic::messages::Decoder::new(stamp)),
            Form::Generate => Decoder::Generate(gemini::generate::Decoder::new(stamp)),
            Form::Responses => return None,
        };
        let encoder = match Form::of(to)? {
            Form::Chat => Encoder::Chat(openai::chat::Encoder::new(stamp)),
            Form::Responses => Encoder::Responses(openai::responses::Encoder::new(stamp)),
            Form::Messages => Encoder::Messages(anthropic::messages::Encoder::new(stamp)),
            Form::Generate => Encoder::Generate(gemini::generate::Encoder::new(stamp)),
        };
        Some(Self { decoder, encoder, to, out: Vec::new() })
    }

    /// Reads one event: its name, where it has one, and its data. `[DONE]` and errors of the provider are none of these;
    /// data that cannot be read says nothing.
    pub fn read(&mut self, name: Option<&[u8]>, data: &[u8]) {
        // What a decoder passes on as it stands has to be text.
        if !data.is_ascii() && std::str::from_utf8(data).is_err() {
            return;
        }
        let Self { decoder, encoder, out, .. } = self;
        let mut write = |event: Event<'_>| encoder.write(&event, out);
        match decoder {
            Decoder::Chat(decoder) => decoder.read(data, &mut write),
            Decoder::Messages(decoder) => decoder.read(name, data, &mut write),
            Decoder::Generate(decoder) => decoder.read(data, &mut write),
        }
    }

    /// The provider has failed in the midst of its answer, and says so by this event's data.
    pub fn fail(&mut self, from: Api, data: &[u8]) {
        self.out.extend_from_slice(&error::revoiced_event(from.dialect(), data, self.to));
    }

    /// The provider has ended its answer, as a whole one.
    pub fn end(&mut self) {
        let Self { decoder, encoder, out, .. } = self;
        let mut write = |event: Event<'_>| encoder.write(&event, out);
        match decoder {
            Decoder::Chat(decoder) => decoder.end(&mut write),
            Decoder::Messages(decoder) => decoder.end(&mut write),
            Decoder::Generate(decoder) => decoder.end(&mut write),
        }
    }

    /// What was written since the last time.
    pub fn take(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.out))
    }
}

impl Encoder {
    fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Chat(encoder) => encoder.write(event, out),
            Self::Responses(encoder) => encoder.write(event, out),
            Self::Messages(encoder) => encoder.write(event, out),
            Self::Generate(encoder) => encoder.write(event, out),
        }
    }
}
