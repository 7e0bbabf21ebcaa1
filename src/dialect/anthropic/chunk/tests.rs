use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::dialect::error::Said;
use crate::dialect::stream::{StreamEnd, StreamReader};
use crate::dialect::{Api, samples};
use crate::units::Tokens;

const LOOKS: (Seen, bool) =
    (Seen { content: false, error: false, finished: false, any_event: false, ended: false }, true);

fn noted(name: Option<&str>, data: &str) -> Noted {
    of(name.map(str::as_bytes), data.as_bytes(), LOOKS, None, None)
}

fn has_content(data: &str) -> bool {
    noted(None, data).content
}

#[test]
fn content_is_what_says_something() {
    for data in [
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"x"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{"}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"t","input":{}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"x"}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"redacted_thinking","data":"x"}}"#,
        r#"{ "index": 0, "delta": { "text": "x" }, "type": "content_block_delta" }"#,
    ] {
        assert!(has_content(data), "{data}");
        let quiet = of(None, data.as_bytes(), (Seen::default(), false), None, None);
        assert!(!quiet.content);
    }
    for data in [
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_start","message":{"content":["x"]}}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"newer","text":"x"}"#,
        "oops",
    ] {
        assert!(!has_content(data), "{data}");
    }
}

#[test]
fn an_error_is_one_by_its_name_its_type_or_its_error() {
    assert!(noted(Some("error"), "oops").error);
    assert!(noted(None, r#"{"type":"error","error":{}}"#).error);
    assert!(noted(None, r#"{"error":{"message":"x"}}"#).error);
    assert!(!noted(None, r#"{"error":null}"#).error);
    let text = r#"{"type":"content_block_delta","delta":{"text":"\"error\":{\"a\":1}"},"error":{"a":1}}"#;
    assert!(!noted(Some("content_block_delta"), text).error);
}

#[test]
fn a_stream_is_whole_at_its_last_event_and_not_before() {
    let sample = samples::anthropic("messages.stream.sse");
    let text = String::from_utf8(sample.clone()).unwrap();
    let mut reader = StreamReader::new(Api::Messages, true).observing();
    assert_eq!(reader.push(Bytes::from(sample.clone())).unwrap(), sample);
    assert_eq!(reader.finish().1, StreamEnd::Complete);
    let facts = reader.facts().unwrap();
    assert_eq!(facts.id.as_deref(), Some("msg_S1"));
    assert_eq!(facts.model.as_deref(), Some("claude-sonnet-4-5-20250929"));
    assert_eq!(facts.service_tier.as_deref(), Some("standard"));
    assert_eq!(facts.finish_reasons.as_slice(), ["tool_calls"]);

    let cut = text.split_once("event: message_stop").unwrap().0;
    let mut reader = StreamReader::new(Api::Messages, true);
    reader.push(Bytes::copy_from_slice(cut.as_bytes())).unwrap();
    assert_eq!(reader.finish().1, StreamEnd::Cut);
}

#[test]
fn the_failing_sample_fails_after_its_content() {
    let mut reader = StreamReader::new(Api::Messages, true);
    reader.push(Bytes::from(samples::anthropic("messages.stream.error.sse"))).unwrap();
    assert_eq!(reader.error_said(), Some(Said::Overloaded));
    assert!(!reader.error_before_content());
    assert_eq!(reader.usage().unwrap().total_input(), Tokens(120));
    assert_eq!(reader.finish().1, StreamEnd::Error);
}

#[test]
fn usage_is_set_and_never_added() {
    let begin = r#"{"type":"message_start","message":{"usage":{"input_tokens":5,"output_tokens":1}}}"#;
    let first = noted(None, begin).usage.unwrap();
    let end = r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":7}}"#;
    let last = of(None, end.as_bytes(), LOOKS, Some(first), None).usage.unwrap();
    assert_eq!(last, Usage { input: Tokens(5), output: Tokens(7), ..Usage::default() });
    let again = of(None, end.as_bytes(), LOOKS, Some(last), None).usage.unwrap();
    assert_eq!(again, last);
    assert_eq!(of(None, br#"{"type":"message_delta","delta":{}}"#, LOOKS, Some(last), None).usage, None);
}

proptest! {
    #[test]
    fn any_split_says_the_same(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let sample = samples::anthropic("messages.stream.sse");
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.index(sample.len())).collect();
        cuts.extend([0, sample.len()]);
        cuts.sort_unstable();
        let mut reader = StreamReader::new(Api::Messages, true).counting();
        let mut out = Vec::new();
        for range in cuts.windows(2) {
            let piece = Bytes::copy_from_slice(&sample[range[0]..range[1]]);
            out.extend_from_slice(&reader.push(piece).unwrap());
        }
        let (rest, end) = reader.finish();
        out.extend_from_slice(&rest);
        prop_assert_eq!(out, sample);
        prop_assert_eq!(end, StreamEnd::Complete);
        prop_assert_eq!(reader.content_events(), 8);
        let usage = reader.usage().unwrap();
        prop_assert_eq!((usage.total_input(), usage.total_output()), (Tokens(120), Tokens(31)));
    }
}
