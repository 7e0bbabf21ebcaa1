//! Plain answers.

use serde_json::{Value, json};

use super::*;
use crate::dialect::gemini::generate::{decode_answer, encode_answer};
use crate::dialect::neutral::{Finish, Raw, Signature};
use crate::dialect::translate::NoAnswer;
use crate::dialect::{Dialect, samples};
use crate::units::Tokens;

fn reads(body: &Value, check: impl FnOnce(Result<Answer<'_>, NoAnswer>)) {
    check(decode_answer(body.to_string().as_bytes(), &STAMP));
}

fn finish_of(candidate: &Value) -> Result<Finish, NoAnswer> {
    let body = json!({ "candidates": [candidate] }).to_string();
    decode_answer(body.as_bytes(), &STAMP).map(|answer| answer.choices[0].finish)
}

#[test]
fn the_samples_are_read() {
    let body = samples::gemini("generate.response.json");
    let answer = decode_answer(&body, &STAMP).unwrap();
    let usage = Usage {
        input: Tokens(56),
        cache_read: Tokens(64),
        output: Tokens(9),
        reasoning: Tokens(22),
        ..Usage::default()
    };
    let parts = vec![Part::of(Content::Text(text("Yes, 2.4 metres.")))];
    let expected = Answer {
        id: text("g-S1"),
        model: text("gemini-3.8-flash"),
        choices: vec![Choice { parts, finish: Finish::Stop, stop: None }],
        usage: Some(usage),
    };
    assert_eq!(answer, expected);

    let body = samples::gemini("generate.blocked.json");
    let blocked = decode_answer(&body, &STAMP).unwrap();
    assert_eq!(blocked.choices, [Choice { parts: vec![], finish: Finish::Filtered, stop: None }]);
    assert_eq!(blocked.usage.unwrap().input, Tokens(12));
}

#[test]
fn calls_get_the_ids_that_they_lack_and_tell_why_the_answer_ended() {
    let part = |name: &str| json!({ "functionCall": { "name": name, "args": { "a": 1 } } });
    let given = json!({ "functionCall": { "id": "own", "name": "c" }, "thoughtSignature": "c2ln" });
    let candidate = |index: u32| json!({ "index": index, "content": { "parts": [part("a"), given, part("b")] }, "finishReason": "STOP" });
    reads(&json!({ "candidates": [candidate(1), candidate(0)] }), |answer| {
        let answer = answer.unwrap();
        assert_eq!((answer.id, answer.model), (text(STAMP.id), text(STAMP.model)));
        let ids = |choice: usize| -> Vec<String> {
            let id = |part: &Part<'_>| {
                let Content::ToolCall(call) = &part.content else { panic!("{part:?}") };
                call.id.text().into_owned()
            };
            answer.choices[choice].parts.iter().map(id).collect()
        };
        assert_eq!(ids(0), ["call_0123456789abcdef_0", "own", "call_0123456789abcdef_2"]);
        assert_eq!(ids(1), ["call_0123456789abcdef_1_0", "own", "call_0123456789abcdef_1_2"]);
        assert!(answer.choices.iter().all(|choice| choice.finish == Finish::ToolCalls));
        let own = ToolCall {
            id: text("own"),
            name: text("c"),
            arguments: Raw::word("{}"),
            signature: Some(Signature { by: Dialect::Gemini, text: text("c2ln") }),
        };
        assert_eq!(answer.choices[0].parts[1].content, Content::ToolCall(own));
    });
}

#[test]
fn reasons_mean_what_they_say_and_a_failure_without_content_is_no_answer() {
    let content = json!({ "parts": [{ "text": "x" }] });
    let ended =
        |reason: &str, content: &Value| finish_of(&json!({ "content": content, "finishReason": reason }));
    for (reason, expected) in [
        ("STOP", Finish::Stop),
        ("MAX_TOKENS", Finish::Length),
        ("SAFETY", Finish::Filtered),
        ("RECITATION", Finish::Filtered),
        ("LANGUAGE", Finish::Filtered),
        ("MODEL_ARMOR", Finish::Filtered),
        ("CONTINUATION", Finish::Paused),
        ("FINISH_REASON_UNSPECIFIED", Finish::Stop),
    ] {
        assert_eq!(ended(reason, &content), Ok(expected), "{reason}");
        assert_eq!(ended(reason, &Value::Null), Ok(expected), "{reason}");
    }
    for reason in
        ["MALFORMED_FUNCTION_CALL", "OTHER", "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE", "NEW"]
    {
        assert_eq!(ended(reason, &content), Ok(Finish::Stop), "{reason}");
        assert_eq!(ended(reason, &Value::Null), Err(NoAnswer), "{reason}");
    }
    let call = json!({ "parts": [{ "functionCall": { "name": "a" } }] });
    assert_eq!(ended("MAX_TOKENS", &call), Ok(Finish::Length));
}

#[test]
fn what_is_no_answer_is_none() {
    for body in [
        "",
        "[]",
        "7",
        "{",
        "{}",
        r#"{"candidates":[]}"#,
        r#"{"candidates":[7]}"#,
        r#"{"usageMetadata":{"totalTokenCount":1}}"#,
    ] {
        assert_eq!(decode_answer(body.as_bytes(), &STAMP).unwrap_err(), NoAnswer, "{body}");
    }
}

#[test]
fn an_answer_is_written_as_gemini_does() {
    let signed = |by, text: &'static str| Signature { by, text: super::text(text) };
    let call =
        ToolCall { id: text("call_1"), name: text("now"), arguments: Raw::word("{}"), signature: None };
    let parts = vec![
        Content::Reasoning { text: text("hm"), signature: Some(signed(Dialect::Anthropic, "abc")) },
        Content::Redacted(signed(Dialect::Gemini, "c2ln")),
        Content::Text(text("Yes.")),
        Content::Refusal(text("No.")),
        Content::ToolCall(call),
    ];
    let answer = Answer {
        id: text("a"),
        model: text("m"),
        choices: vec![Choice {
            parts: parts.into_iter().map(Part::of).collect(),
            finish: Finish::Refused,
            stop: None,
        }],
        usage: None,
    };
    let expected = json!({
        "candidates": [{
            "content": { "role": "model", "parts": [
                { "text": "hm", "thought": true, "thoughtSignature": "YW50aHJvcGljLmFiYw==" },
                { "text": "", "thoughtSignature": "c2ln" }, { "text": "Yes." }, { "text": "No." },
                { "functionCall": { "id": "call_1", "name": "now", "args": {} } },
            ] },
            "finishReason": "SAFETY", "index": 0,
        }],
        "modelVersion": "m", "responseId": "a",
    });
    assert_eq!(json(&encode_answer(&answer, &STAMP)), expected);
}
