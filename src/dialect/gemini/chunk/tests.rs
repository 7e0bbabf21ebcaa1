use std::iter;

use bytes::Bytes;
use serde_json::json;

use crate::dialect::stream::{StreamEnd, StreamReader};
use crate::dialect::{Api, samples};
use crate::units::Tokens;
use crate::usage::Usage;

fn read(stream: &[u8], pieces: usize) -> (StreamReader, StreamEnd) {
    let mut reader = StreamReader::new(Api::Generate, true).observing().counting();
    for piece in stream.chunks(pieces) {
        reader.push(Bytes::copy_from_slice(piece)).unwrap();
    }
    let end = reader.finish().1;
    (reader, end)
}

fn of_events<'a>(events: impl IntoIterator<Item = &'a serde_json::Value>) -> (StreamReader, StreamEnd) {
    let stream: String = events.into_iter().map(|event| format!("data: {event}\r\n\r\n")).collect();
    read(stream.as_bytes(), stream.len().max(1))
}

#[test]
fn the_sample_reports_what_it_used_however_it_is_split() {
    let stream = samples::gemini("generate.stream.sse");
    let usage = Usage {
        input: Tokens(56),
        cache_read: Tokens(64),
        output: Tokens(9),
        reasoning: Tokens(22),
        ..Usage::default()
    };
    for pieces in [1, 7, 100, stream.len()] {
        let (reader, end) = read(&stream, pieces);
        assert_eq!(end, StreamEnd::Complete);
        assert_eq!(reader.usage(), Some(usage));
        assert_eq!((reader.events(), reader.content_events()), (4, 4));
        assert!(reader.seen().finished && !reader.seen().ended, "only the close ends it");
        let facts = reader.facts().unwrap();
        assert_eq!(facts.id.as_deref(), Some("g-S1"));
        assert_eq!(facts.model.as_deref(), Some("gemini-3.8-flash"));
        assert_eq!(facts.finish_reasons.as_slice(), ["tool_calls"]);
    }
}

#[test]
fn a_call_in_an_earlier_event_tells_why_the_answer_ended() {
    let call = json!({ "candidates": [{ "content": { "parts": [{ "functionCall": { "name": "now", "args": {} } }] } }] });
    let last =
        json!({ "candidates": [{ "content": { "parts": [{ "text": "" }] }, "finishReason": "STOP" }] });
    let (reader, _) = of_events([&call, &last]);
    assert_eq!(reader.facts().unwrap().finish_reasons.as_slice(), ["tool_calls"]);
    let (reader, end) = of_events([&call]);
    assert_eq!(end, StreamEnd::Cut);
    assert!(reader.facts().unwrap().finish_reasons.is_empty());
}

#[test]
fn usage_may_follow_the_end_of_the_candidate_and_the_last_one_counts() {
    let first =
        json!({ "candidates": [{ "finishReason": "STOP" }], "usageMetadata": { "promptTokenCount": 1 } });
    let last = json!({ "usageMetadata": { "promptTokenCount": 2, "candidatesTokenCount": 3 } });
    let (reader, end) = of_events([&first, &last]);
    assert_eq!(end, StreamEnd::Complete);
    assert_eq!(reader.usage().unwrap().total(), Tokens(5));
}

#[test]
fn content_is_whatever_a_part_says() {
    let content = |part: &serde_json::Value| {
        of_events(iter::once(&json!({ "candidates": [{ "content": { "parts": [part] } }] }))).0.seen().content
    };
    for part in [
        json!({ "text": "a" }),
        json!({ "text": "a", "thought": true }),
        json!({ "functionCall": { "name": "a" } }),
        json!({ "inlineData": { "data": "QQ==" } }),
        json!({ "executableCode": { "code": "1" } }),
    ] {
        assert!(content(&part), "{part}");
    }
    for part in
        [json!({}), json!({ "text": "" }), json!({ "text": "", "thoughtSignature": "c2ln" }), json!(7)]
    {
        assert!(!content(&part), "{part}");
    }
}

#[test]
fn a_blocked_prompt_ends_the_answer_and_an_error_the_stream() {
    let blocked = json!({ "promptFeedback": { "blockReason": "SAFETY" } });
    assert_eq!(of_events([&blocked]).1, StreamEnd::Complete);
    let unclear =
        json!({ "candidates": [{ "finishReason": "FINISH_REASON_UNSPECIFIED" }], "promptFeedback": {} });
    assert_eq!(of_events([&unclear]).1, StreamEnd::Cut);
    let error = json!({ "error": { "code": 503, "message": "x", "status": "UNAVAILABLE" } });
    for event in [error.clone(), json!([error])] {
        let (reader, end) = of_events([&event]);
        assert_eq!(end, StreamEnd::Error);
        assert_eq!(reader.error_said(), Some(crate::dialect::error::Said::Overloaded));
        assert!(reader.error_before_content());
    }
}

#[test]
fn what_is_no_event_of_gemini_says_nothing() {
    for event in
        [json!(7), json!("x"), json!([]), json!({}), json!({ "candidates": "x", "usageMetadata": [] })]
    {
        let (reader, end) = of_events([&event]);
        assert_eq!((end, reader.usage()), (StreamEnd::Cut, None), "{event}");
    }
}
