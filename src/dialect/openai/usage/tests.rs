use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::dialect::samples;

fn usage(input: u64, cache_read: u64, output: u64, reasoning: u64) -> Usage {
    Usage {
        input: Tokens(input),
        cache_read: Tokens(cache_read),
        output: Tokens(output),
        reasoning: Tokens(reasoning),
        ..Usage::default()
    }
}

fn of_object(api: Api, object: &serde_json::Value) -> Option<Usage> {
    in_answer(api, json!({ "choices": [], "usage": object }).to_string().as_bytes())
}

#[test]
fn the_samples_report_disjoint_parts() {
    let cases = [
        (Api::Chat, "chat.response.json", usage(56, 64, 18, 0)),
        (Api::Chat, "chat.response.tools.json", usage(56, 64, 18, 0)),
        (Api::Embeddings, "embeddings.response.json", usage(4, 0, 0, 0)),
        (Api::Responses, "responses.response.json", usage(30, 0, 6, 0)),
    ];
    for (api, name, expected) in cases {
        assert_eq!(in_answer(api, &samples::openai(name)), Some(expected), "{name}");
    }
}

#[test]
fn every_part_is_read() {
    let object = json!({
        "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
        "prompt_tokens_details": { "cached_tokens": 20, "cache_write_tokens": 30, "audio_tokens": 10 },
        "completion_tokens_details": { "reasoning_tokens": 15, "audio_tokens": 5, "rejected_prediction_tokens": 3 },
    });
    let read = of_object(Api::Chat, &object).unwrap();
    let expected = Usage {
        cache_write: Tokens(30),
        input_audio: Tokens(10),
        output_audio: Tokens(5),
        ..usage(40, 20, 30, 15)
    };
    assert_eq!(read, expected);
    assert_eq!((read.total_input(), read.total_output()), (Tokens(100), Tokens(50)));
}

#[test]
fn deepseeks_cache_hits_are_cache_reads() {
    let object = json!({
        "prompt_tokens": 120, "completion_tokens": 14, "total_tokens": 134,
        "prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 56,
        "completion_tokens_details": { "reasoning_tokens": 9 },
    });
    assert_eq!(of_object(Api::Chat, &object), Some(usage(56, 64, 5, 9)));
}

#[test]
fn parts_larger_than_their_sum_leave_nothing_of_it() {
    let object = json!({
        "input_tokens": 10, "input_tokens_details": { "cached_tokens": 64 },
        "output_tokens": 5, "output_tokens_details": { "reasoning_tokens": 9 },
    });
    assert_eq!(of_object(Api::Responses, &object), Some(usage(0, 64, 0, 9)));
}

#[test]
fn odd_counts_are_taken_as_they_are_meant() {
    let floats = json!({ "prompt_tokens": 12.0, "completion_tokens": -3, "prompt_tokens_details": null });
    assert_eq!(of_object(Api::Chat, &floats), Some(usage(12, 0, 0, 0)));
    let other_words = json!({ "input_tokens": 7, "output_tokens": 2 });
    assert_eq!(of_object(Api::Chat, &other_words), Some(usage(7, 0, 2, 0)));
    assert_eq!(of_object(Api::Chat, &json!({ "total_tokens": 9 })), Some(usage(9, 0, 0, 0)));
    let most = json!({ "prompt_tokens": u64::MAX, "completion_tokens": u64::MAX });
    assert_eq!(of_object(Api::Chat, &most).unwrap().total(), Tokens(u64::MAX));
    for none in [json!(null), json!({}), json!("much"), json!({ "prompt_tokens": "7" })] {
        assert_eq!(of_object(Api::Chat, &none), None, "{none}");
    }
}

#[test]
fn only_the_outermost_usage_counts() {
    let nested = br#"{"usage":{"prompt_tokens":7,"completion_tokens":2},"x":{"usage":{"prompt_tokens":1}}}"#;
    assert_eq!(in_answer(Api::Chat, nested), Some(usage(7, 0, 2, 0)));
    let inside = br#"{"usage":{"prompt_tokens":7,"usage":{"prompt_tokens":1}}}"#;
    assert_eq!(in_answer(Api::Chat, inside), Some(usage(7, 0, 0, 0)));
    assert_eq!(in_answer(Api::Chat, br#"{"x":{"usage":{"prompt_tokens":1}}}"#), None);
    assert_eq!(in_answer(Api::Chat, br#"{"choices":["usage"],"word":"usage"}"#), None);
    let spaced = br#" { "usage" : { "prompt_tokens" : 7 } , "z" : [ 1 ] } "#;
    assert_eq!(in_answer(Api::Chat, spaced), Some(usage(7, 0, 0, 0)));
}

proptest! {
    #[test]
    fn agrees_with_a_full_parse(
        before in prop::collection::vec((samples::any_text(), samples::any_json()), 0..4),
        after in prop::collection::vec((samples::any_text(), samples::any_json()), 0..4),
        counts in prop::option::of((0..1000u64, 0..1000u64)),
    ) {
        let member = |(key, value): &(String, serde_json::Value)| format!("{}:{value}", json!(key));
        let usage_member = counts.map(|(i, o)| format!(r#""usage":{{"prompt_tokens":{i},"completion_tokens":{o}}}"#));
        let members: Vec<_> = before.iter().map(member).chain(usage_member).chain(after.iter().map(member)).collect();
        let body = format!("{{{}}}", members.join(","));
        let expected = counts.map(|(i, o)| usage(i, 0, o, 0));
        prop_assert_eq!(in_answer(Api::Chat, body.as_bytes()), expected, "{}", body);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in r#"([{}\[\]":,a1 ]|"usage"|"error"|\\){0,40}"#) {
        let _ = in_answer(Api::Chat, bytes.as_bytes());
    }

    #[test]
    fn a_short_count_is_what_parsing_gives(text in "[0-9]{1,22}|[0-9]{0,3}[.e-][0-9]{0,3}") {
        let parsed = text.parse().ok().filter(|_| text.len() <= 19);
        prop_assert_eq!(short_count(text.as_bytes()), parsed);
    }
}
