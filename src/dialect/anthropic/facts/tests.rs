use serde_json::json;

use super::*;
use crate::dialect::samples;

fn reasons(body: &serde_json::Value) -> Vec<&'static str> {
    in_answer(body.to_string().as_bytes()).finish_reasons.into_vec()
}

#[test]
fn the_sample_says_who_answered_and_why_it_ended() {
    let facts = in_answer(&samples::anthropic("messages.response.json"));
    assert_eq!(facts.id.as_deref(), Some("msg_S1"));
    assert_eq!(facts.model.as_deref(), Some("claude-sonnet-4-5-20250929"));
    assert_eq!(facts.service_tier.as_deref(), Some("standard"));
    assert_eq!(facts.finish_reasons.as_slice(), ["tool_calls"]);
}

#[test]
fn reasons_are_told_by_the_words_of_chats() {
    for (word, reason) in [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("a secret", "other"),
    ] {
        assert_eq!(reasons(&json!({ "content": [], "stop_reason": word })), [reason]);
    }
    assert_eq!(reasons(&json!({ "content": [], "stop_reason": null })), ["error"]);
}

#[test]
fn what_is_no_answer_says_nothing() {
    for body in
        ["", "oops", "[]", r#"{"id":"msg_1""#, r#"{"type":"error","error":{}}"#, r#"{"id":"two words"}"#]
    {
        assert_eq!(in_answer(body.as_bytes()), AnswerFacts::default(), "{body}");
    }
}
