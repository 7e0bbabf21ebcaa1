use serde_json::{Value as Json, json};

use super::*;
use crate::dialect::neutral::{Event, Literal};
use crate::dialect::sse;
use crate::dialect::translate::Stamp;

mod answers;
mod conversations;
mod properties;
mod requests;
mod streams;

fn stamp() -> Stamp<'static> {
    Stamp { id: "S1", created: 1_795_000_000, model: "gpt-4.1-2025-04-14", include_usage: false }
}

fn text(text: &str) -> Literal<'static> {
    Literal::from_text(text)
}

/// What a stream of these events is, each event with its name.
fn streamed(events: &[Event<'_>]) -> Vec<(String, Json)> {
    let mut encoder = Encoder::new(&stamp());
    let mut out = Vec::new();
    for event in events {
        let before = out.len();
        encoder.write(event, &mut out);
        let written = &out[before..];
        assert!(written.is_empty() || written.ends_with(b"\n\n"), "an event is whole when it is written");
    }
    told(&out)
}

fn told(stream: &[u8]) -> Vec<(String, Json)> {
    sse::events(stream)
        .map(|event| {
            let name = String::from_utf8(sse::name(event).unwrap().to_vec()).unwrap();
            (name, serde_json::from_slice(&sse::data(event).unwrap()).unwrap())
        })
        .collect()
}

fn kinds(events: &[(String, Json)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.strip_prefix("response.").unwrap_or(name)).collect()
}

/// The response of the last event.
fn whole(events: &[(String, Json)]) -> &Json {
    &events.last().unwrap().1["response"]
}
