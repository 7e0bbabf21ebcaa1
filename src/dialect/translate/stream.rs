//! A stream on its way from one dialect to another: event by event, nothing held but what a form needs whole.

use std::fmt;

use bytes::Bytes;

use super::{Form, Stamp};
use crate::dialect::neutral::Event;
use crate::dialect::{Api, anthropic, error, gemini, openai};

/// Room for what most events become, so that it is found at once.
const ROOM: usize = 512;

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
        out.reserve(ROOM);
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

    /// Whether the provider told why its answer ended, and that is that there is none.
    pub fn has_failed(&self) -> bool {
        match &self.decoder {
            Decoder::Generate(decoder) => decoder.has_failed(),
            Decoder::Chat(_) | Decoder::Messages(_) => false,
        }
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::dialect::stream::{StreamEnd, StreamReader};

    const STAMP: Stamp<'_> = Stamp { id: "1", created: 0, model: "m", include_usage: true };

    fn ends(to: Option<Api>, candidates: &[Value]) -> (bool, StreamEnd) {
        let mut reader = StreamReader::new(Api::Generate, true);
        if let Some(to) = to {
            reader = reader.translating(Translator::new(Api::Generate, to, &STAMP).unwrap());
        }
        for candidate in candidates {
            let event = json!({ "candidates": [candidate] });
            reader.push(format!("data: {event}\r\n\r\n").into()).unwrap();
        }
        (reader.seen().finished, reader.finish().1)
    }

    #[test]
    fn a_failure_before_any_word_is_no_end_in_another_dialect() {
        let failure = json!({ "finishReason": "MALFORMED_FUNCTION_CALL" });
        let words = json!({ "content": { "parts": [{ "text": "a" }] } });
        for to in [Api::Chat, Api::Responses, Api::Messages] {
            assert_eq!(ends(Some(to), std::slice::from_ref(&failure)), (false, StreamEnd::Cut));
            assert_eq!(ends(Some(to), &[words.clone(), failure.clone()]), (true, StreamEnd::Complete));
            assert_eq!(ends(Some(to), &[json!({ "finishReason": "STOP" })]), (true, StreamEnd::Complete));
        }
        // Its own callers know the word.
        assert_eq!(ends(None, &[failure]), (true, StreamEnd::Complete));
    }
}
