use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::dialect::{json as scan, samples};

fn tokens(input: u64, cache_read: u64, cache_write: u64, output: u64, reasoning: u64) -> Usage {
    let [input, cache_read, cache_write, output, reasoning] =
        [input, cache_read, cache_write, output, reasoning].map(Tokens);
    Usage { input, cache_read, cache_write, output, reasoning, ..Usage::default() }
}

fn reported(usage: &Json, before: Option<Usage>) -> Option<Usage> {
    of(&scan::document(usage.to_string().as_bytes()).unwrap(), before)
}

#[test]
fn the_sample_is_told_in_disjoint_parts() {
    let sample = samples::anthropic("messages.response.json");
    assert_eq!(in_answer(&sample), Some(tokens(56, 64, 0, 31, 0)));
}

#[test]
fn thinking_is_a_part_of_the_output() {
    let usage = json!({
        "input_tokens": 5, "cache_creation_input_tokens": 7, "cache_read_input_tokens": null,
        "output_tokens": 30, "output_tokens_details": { "thinking_tokens": 22 },
    });
    assert_eq!(reported(&usage, None), Some(tokens(5, 0, 7, 8, 22)));
    let more = json!({ "output_tokens": 10, "output_tokens_details": { "thinking_tokens": 22 } });
    assert_eq!(reported(&more, None), Some(tokens(0, 0, 0, 0, 10)));
}

#[test]
fn writes_of_the_cache_are_summed_where_only_their_parts_are_told() {
    let parts = json!({ "ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4 });
    let usage = json!({ "input_tokens": 1, "output_tokens": 1, "cache_creation": parts });
    assert_eq!(reported(&usage, None), Some(tokens(1, 0, 7, 1, 0)));
    let both = json!({ "input_tokens": 1, "cache_creation_input_tokens": 9, "cache_creation": parts });
    assert_eq!(reported(&both, None), Some(tokens(1, 0, 9, 0, 0)));
}

#[test]
fn a_later_report_replaces_what_it_says_and_leaves_the_rest() {
    let before = Some(tokens(56, 64, 2, 1, 5));
    assert_eq!(reported(&json!({ "output_tokens": 31 }), before), Some(tokens(56, 64, 2, 26, 5)));
    let all = json!({ "input_tokens": 1, "cache_read_input_tokens": 2, "output_tokens": 3,
        "cache_creation_input_tokens": 0, "output_tokens_details": { "thinking_tokens": 0 } });
    assert_eq!(reported(&all, before), Some(tokens(1, 2, 0, 3, 0)));
    assert_eq!(reported(&json!({ "cache_read_input_tokens": 9 }), before), Some(tokens(56, 9, 2, 1, 5)));
}

#[test]
fn what_counts_nothing_reports_nothing() {
    for usage in
        [json!(null), json!({}), json!({ "input_tokens": null }), json!({ "service_tier": "standard" })]
    {
        assert_eq!(reported(&usage, None), None, "{usage}");
    }
    for body in ["", "oops", "{}", r#"{"usage":null}"#, r#"{"usage":{"input_tokens":1}"#, "[]"] {
        assert_eq!(in_answer(body.as_bytes()), None, "{body}");
    }
}

#[test]
fn odd_numbers_are_counted_as_well_as_can_be() {
    let usage = json!({ "input_tokens": 1.5, "output_tokens": -3 });
    assert_eq!(reported(&usage, None), Some(tokens(2, 0, 0, 0, 0)));
}

proptest! {
    #[test]
    fn only_the_outermost_usage_counts(before in samples::any_json(), after in samples::any_json(), n in 0..9_u64) {
        let body = json!({ "a": before, "usage": { "input_tokens": n, "output_tokens": 1 }, "z": after });
        prop_assert_eq!(in_answer(body.to_string().as_bytes()), Some(tokens(n, 0, 0, 1, 0)));
    }

    #[test]
    fn no_report_of_any_shape_is_more_than_it_says(value in samples::any_json()) {
        let usage = json!({ "input_tokens": 1, "output_tokens": 2, "output_tokens_details": value });
        prop_assert_eq!(reported(&usage, None).map(|usage| usage.total()), Some(Tokens(3)));
    }
}
