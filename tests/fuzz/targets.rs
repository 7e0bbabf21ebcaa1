//! What is fuzzed, and what has to hold of it.

use bytes::Bytes;
use egret::dialect::edit::{Cap, Edits, apply, read, truncate};
use egret::dialect::error::{Said, error_event_of, retry_after, revoiced, said};
use egret::dialect::provider::MaxTokensField;
use egret::dialect::sse::{self, Framer};
use egret::dialect::stream::StreamReader;
use egret::dialect::translate::{Stamp, Translator, answer};
use egret::dialect::{Api, Dialect, fuzzing};
use egret::random::Random;
use egret::units::Tokens;
use http::StatusCode;
use serde_json::Value;

use crate::corpus::below;

/// Something that reads bytes.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// Whether the bytes said something. Panics where what is promised does not hold.
    pub(crate) run: fn(&[u8]) -> bool,
}

pub(crate) const TARGETS: [Target; 7] = [
    Target { name: "sse", run: framed },
    Target { name: "edit", run: edited },
    Target { name: "errors", run: revoiced_everywhere },
    Target { name: "decode-chat", run: |input| decoded(Api::Chat, input) },
    Target { name: "decode-responses", run: |input| decoded(Api::Responses, input) },
    Target { name: "decode-messages", run: |input| decoded(Api::Messages, input) },
    Target { name: "decode-generate", run: |input| decoded(Api::Generate, input) },
];

const CONVERSATIONS: [Api; 4] = [Api::Chat, Api::Responses, Api::Messages, Api::Generate];
const DIALECTS: [Dialect; 3] = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Gemini];

/// The events in what a framer gave, and what it held back.
type Framed = (Vec<(Option<Vec<u8>>, Vec<u8>)>, Bytes);

/// However a stream is split, it is the same events, and the same is read of it.
fn framed(input: &[u8]) -> bool {
    let pieces = split(input);
    let whole = events_of(&[Bytes::copy_from_slice(input)]);
    assert!(whole == events_of(&pieces), "the events depend on how the stream is split");
    for api in CONVERSATIONS {
        let all = read_stream(api, &[Bytes::copy_from_slice(input)]);
        assert_eq!(all, read_stream(api, &pieces), "{api}: what is read depends on how the stream is split");
    }
    !whole.0.is_empty()
}

/// Split by what it holds, so that an input is always split the same way.
fn split(input: &[u8]) -> Vec<Bytes> {
    let seed = input.iter().fold(0, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let random = Random::seeded(seed);
    let mut rest = Bytes::copy_from_slice(input);
    let mut pieces = vec![];
    while !rest.is_empty() {
        let most = 1 << below(&random, 9);
        pieces.push(rest.split_to((1 + below(&random, most)).min(rest.len())));
    }
    pieces
}

fn events_of(pieces: &[Bytes]) -> Framed {
    let mut framer = Framer::default();
    let (mut events, mut passed) = (vec![], vec![]);
    for piece in pieces {
        // Inputs are smaller than the largest event.
        let whole = framer.push(piece.clone()).unwrap();
        passed.extend_from_slice(&whole);
        for event in sse::events(&whole) {
            let name = sse::name(event).map(<[u8]>::to_vec);
            events.extend(sse::data(event).map(|data| (name, data.into_owned())));
        }
    }
    let rest = framer.take_rest();
    passed.extend_from_slice(&rest);
    assert!(passed == pieces.concat(), "bytes are lost");
    (events, rest)
}

/// What is said of a stream that was read: usage, what was seen, how many events, how it ended.
fn read_stream(api: Api, pieces: &[Bytes]) -> String {
    let mut reader = StreamReader::new(api, true).observing();
    let mut passed = vec![];
    for piece in pieces {
        passed.extend_from_slice(&reader.push(piece.clone()).unwrap());
    }
    let (last, end) = reader.finish();
    passed.extend_from_slice(&last);
    let (usage, seen, events) = (reader.usage(), reader.seen(), reader.events());
    let failed = (reader.error_said(), reader.error_retry_after(), reader.error_before_content());
    format!("{usage:?} {seen:?} {events} {end:?} {failed:?} {:?}", reader.facts())
}

/// What is accepted is JSON, and stays JSON whatever is edited.
fn edited(input: &[u8]) -> bool {
    let body = Bytes::copy_from_slice(input);
    let mut accepted = false;
    for api in Api::ALL {
        let Ok(facts) = read(api, &body) else { continue };
        accepted = true;
        let before: Value = serde_json::from_slice(&body).unwrap();
        assert!(before.is_object());
        let same = apply(api, &body, &facts, &Edits::default());
        assert!(same == body, "{api}: no edit changes something");
        for bytes in [0, 1, body.len() / 2] {
            let cut = truncate::oldest(api, &body, &facts, bytes);
            for lowers in [false, true] {
                let field = MaxTokensField::MaxTokens;
                let cap = Some(Cap { tokens: Tokens(7), chat_field: field, lowers });
                let edits = Edits { model: Some("a\"b\\"), ask_usage: true, cap, cut: cut.as_ref() };
                let after = apply(api, &body, &facts, &edits);
                let parsed = serde_json::from_slice::<Value>(&after);
                assert!(parsed.is_ok_and(|after| after.is_object()), "{api}: what is edited is no JSON");
            }
        }
    }
    accepted
}

/// Every error can be said in every dialect.
fn revoiced_everywhere(input: &[u8]) -> bool {
    let mut understood = false;
    for from in DIALECTS {
        understood |= said(from, input) != Said::Nothing;
        let _ = retry_after(from, input);
        for to in DIALECTS {
            for status in [None, Some(StatusCode::TOO_MANY_REQUESTS), Some(StatusCode::BAD_GATEWAY)] {
                let (_, body) = revoiced(from, status, input, to);
                assert!(is_object(&body), "{from} to {to}: an error is no JSON");
            }
        }
    }
    for api in CONVERSATIONS {
        if let Some(event) = error_event_of(api, input) {
            check_events(api, &event);
        }
    }
    understood
}

/// What is understood can be said in every other operation.
fn decoded(from: Api, input: &[u8]) -> bool {
    // Other bodies are refused before they come so far.
    let bodies = std::str::from_utf8(input).ok().and_then(|body| fuzzing::translated(from, body.as_bytes()));
    for body in bodies.iter().flatten() {
        assert!(is_object(body), "{from}: a request is no JSON");
    }
    let mut understood = bodies.is_some();
    let stamp = Stamp { id: "0123456789abcdef", created: 1_795_000_000, model: "m", include_usage: true };
    for to in CONVERSATIONS {
        if let Ok(body) = answer(from, to, input, &stamp) {
            understood = true;
            assert!(is_object(&body), "{from} to {to}: an answer is no JSON");
        }
        understood |= streamed(from, to, input, &stamp);
    }
    understood
}

/// Whether a stream says something: the input as a stream, and as the data of one event.
fn streamed(from: Api, to: Api, input: &[u8], stamp: &Stamp<'_>) -> bool {
    let Some(mut translator) = Translator::new(from, to, stamp) else { return false };
    translator.read(None, input);
    for event in sse::events(input) {
        if let Some(data) = sse::data(event) {
            translator.read(sse::name(event), &data);
        }
    }
    let said = translator.take();
    check_events(to, &said);
    translator.end();
    check_events(to, &translator.take());
    !said.is_empty()
}

/// Whole events, the data of each a JSON object.
fn check_events(api: Api, events: &[u8]) {
    let whole = [&b"\n\n"[..], b"\r\n\r\n"].iter().any(|end| events.ends_with(end));
    assert!(events.is_empty() || whole, "{api}: an event is not whole");
    for event in sse::events(events) {
        let data = sse::data(event).unwrap();
        assert!(&*data == b"[DONE]" || is_object(&data), "{api}: an event is no JSON");
    }
}

fn is_object(json: &[u8]) -> bool {
    serde_json::from_slice::<Value>(json).is_ok_and(|value| value.is_object())
}
