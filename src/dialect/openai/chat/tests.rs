mod answers;
mod decode;
mod encode;
mod messages;
mod properties;
mod streams;

use serde_json::Value;

use super::*;
use crate::dialect::neutral::samples::owned;
use crate::dialect::neutral::{Event, Losses, Request, Weight};
use crate::dialect::provider::MaxTokensField;
use crate::dialect::sse;
use crate::dialect::translate::{Accepts, Recipient, Stamp};

const STAMP: Stamp<'_> = Stamp {
    id: "0123456789abcdef0123456789abcdef",
    created: 1_795_000_000,
    model: "alias",
    include_usage: true,
};

const RECIPIENT: Recipient<'_> = Recipient {
    model: "some-model",
    accepts: Accepts {
        sampling: true,
        forced_tool_choice: true,
        prefill: true,
        json_schema: true,
        call_ids: false,
        reasoning: crate::dialect::translate::ReasoningForm::Effort,
    },
    max_tokens_field: MaxTokensField::MaxCompletionTokens,
    max_output: None,
    ask_usage: true,
    wants_reasoning: false,
};

fn sample(name: &str) -> Vec<u8> {
    crate::dialect::samples::openai(name)
}

/// The request as it is written for a recipient, and what is lost.
fn written(request: &Request<'_>, to: &Recipient<'_>) -> (Value, Losses) {
    let mut lost = Losses::default();
    let body = encode_request(request, to, &mut lost).body(None);
    (serde_json::from_slice(&body).unwrap(), lost)
}

/// What is lost, as pairs.
fn pairs(lost: &Losses) -> Vec<(&str, Weight)> {
    lost.iter().map(|loss| (&*loss.field, loss.weight)).collect()
}

/// What a stream says, event by event.
fn events(stream: &[u8]) -> Vec<Event<'static>> {
    let mut decoder = Decoder::new(&STAMP);
    let mut events = Vec::new();
    let mut write = |event: Event<'_>| events.push(owned(&event));
    for event in sse::events(stream) {
        if let Some(data) = sse::data(event).filter(|data| &**data != b"[DONE]") {
            decoder.read(&data, &mut write);
        }
    }
    decoder.end(&mut write);
    events
}

/// Events as a stream.
fn stream(events: &[Event<'_>], stamp: &Stamp<'_>) -> String {
    let mut encoder = Encoder::new(stamp);
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.write(event, &mut out));
    String::from_utf8(out).unwrap()
}

/// The chunks of a stream.
fn chunks(stream: &str) -> Vec<Value> {
    let data = stream.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap());
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}
