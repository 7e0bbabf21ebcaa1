use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::dialect::facts::LONGEST_NAME;
use crate::dialect::samples;

fn of(api: Api, body: &Json) -> AnswerFacts {
    in_answer(api, body.to_string().as_bytes())
}

fn named(id: &str, model: &str, finish_reasons: &[&'static str]) -> AnswerFacts {
    AnswerFacts {
        id: Some(id.into()),
        model: Some(model.into()),
        finish_reasons: SmallVec::from_slice(finish_reasons),
        ..AnswerFacts::default()
    }
}

#[test]
fn the_samples_say_who_answered_and_how_it_ended() {
    let model = "gpt-4.1-2025-04-14";
    let whole = AnswerFacts {
        service_tier: Some("default".into()),
        system_fingerprint: Some("fp_demo".into()),
        ..named("chatcmpl-S1", model, &["stop"])
    };
    let embedded = AnswerFacts { model: Some("text-embedding-3-small".into()), ..AnswerFacts::default() };
    let cases = [
        (Api::Chat, "chat.response.json", whole),
        (Api::Chat, "chat.response.tools.json", named("chatcmpl-S2", model, &["tool_calls"])),
        (Api::Responses, "responses.response.json", named("resp_S1", model, &["stop"])),
        (Api::Embeddings, "embeddings.response.json", embedded),
    ];
    for (api, name, expected) in cases {
        assert_eq!(in_answer(api, &samples::openai(name)), expected, "{name}");
    }
}

#[test]
fn every_choice_has_a_reason_and_eight_are_enough() {
    let choice = |reason: &str| json!({ "message": { "content": "x" }, "finish_reason": reason });
    let reasons =
        ["stop", "length", "tool_calls", "content_filter", "function_call", "error", "model_length", "a b"];
    let expected =
        ["stop", "length", "tool_calls", "content_filter", "function_call", "error", "other", "other"];
    let mut choices = reasons.map(choice).to_vec();
    choices.extend([choice("stop"), choice("stop")]);
    assert_eq!(of(Api::Chat, &json!({ "choices": choices })).finish_reasons.as_slice(), expected);
    let odd =
        [json!({}), json!(7), choice(""), json!({ "finish_reason": null }), json!({ "finish_reason": 3 })];
    let odd = json!({ "choices": odd });
    let read = of(Api::Completions, &odd).finish_reasons;
    assert_eq!(read.as_slice(), ["error", "error", "error", "error", "other"]);
}

#[test]
fn a_response_ends_as_its_status_and_details_say() {
    let cases = [
        (json!({ "status": "completed", "incomplete_details": null }), Some("stop")),
        (json!({ "status": "failed", "error": { "code": "server_error" } }), Some("error")),
        (json!({ "status": "cancelled" }), Some("other")),
        (json!({ "status": "incomplete" }), Some("other")),
        (json!({ "status": "in_progress" }), None),
        (json!({ "status": "queued", "incomplete_details": {} }), None),
        (json!({ "status": 7, "finish_reason": "stop" }), None),
        (json!({}), None),
    ];
    for (body, expected) in cases {
        assert_eq!(of(Api::Responses, &body).finish_reasons.as_slice(), expected.as_slice(), "{body}");
        assert!(of(Api::Chat, &body).finish_reasons.is_empty(), "{body}");
    }
    for (reason, expected) in
        [("max_output_tokens", "length"), ("content_filter", "content_filter"), ("steered", "other")]
    {
        let details = format!(r#""incomplete_details":{{"reason":"{reason}"}}"#);
        for body in [
            format!(r#"{{"status":"incomplete",{details}}}"#),
            format!(r#"{{{details},"status":"incomplete"}}"#),
        ] {
            let facts = in_answer(Api::Responses, body.as_bytes());
            assert_eq!(facts.finish_reasons.as_slice(), [expected], "{body}");
        }
    }
}

#[test]
fn names_are_short_and_plain_or_not_kept() {
    let longest = "x".repeat(LONGEST_NAME);
    let too_long = "x".repeat(LONGEST_NAME + 1);
    for name in ["", " ", "a b", "a\n", "é", "a\u{7f}", &too_long] {
        let body = json!({ "id": name, "model": name, "service_tier": name, "system_fingerprint": name });
        assert_eq!(of(Api::Chat, &body), AnswerFacts::default(), "{name:?}");
    }
    for none in [json!(7), json!(null), json!(["a"]), json!({ "a": "b" })] {
        assert_eq!(of(Api::Chat, &json!({ "id": none, "model": none })), AnswerFacts::default(), "{none}");
    }
    for name in ["a", "~!\"\\/{}", &longest] {
        assert_eq!(of(Api::Chat, &json!({ "id": name, "model": name })), named(name, name, &[]));
    }
    let escaped = format!(r#"{{"\u0069d":"{}"}}"#, r"\u0078".repeat(LONGEST_NAME));
    assert_eq!(in_answer(Api::Chat, escaped.as_bytes()).id.as_deref(), Some(longest.as_str()));
}

#[test]
fn only_the_outermost_keys_count_and_of_several_the_last() {
    let inner = json!({ "x": { "id": "a", "model": "b", "status": "failed" }, "output": [{ "id": "c" }] });
    for api in Api::ALL {
        assert_eq!(of(api, &inner), AnswerFacts::default());
    }
    let twice = br#"{"id":"a","choices":[{"finish_reason":"stop"}],"id":"b","id":null,"choices":[]}"#;
    let expected = AnswerFacts { id: Some("b".into()), ..AnswerFacts::default() };
    assert_eq!(in_answer(Api::Chat, twice), expected);
}

#[test]
fn what_is_no_object_says_nothing() {
    for body in ["", "{", "[1]", "7", r#"{"id":"a""#, r#"{"id":"a"} x"#, r#"{"id":"a",}"#] {
        assert_eq!(in_answer(Api::Chat, body.as_bytes()), AnswerFacts::default(), "{body}");
    }
}

/// The same, of an answer that was parsed.
fn reference(api: Api, body: &Json) -> AnswerFacts {
    let name = |key: &str| -> Option<Box<str>> {
        let name = body[key].as_str()?;
        let plain = (1..=128).contains(&name.len()) && name.chars().all(|char| ('!'..='~').contains(&char));
        plain.then(|| name.into())
    };
    let reason = |choice: &Json| match &choice["finish_reason"] {
        Json::Null => "error",
        Json::String(word) => match word.as_str() {
            "" | "error" => "error",
            "stop" => "stop",
            "length" => "length",
            "tool_calls" => "tool_calls",
            "content_filter" => "content_filter",
            "function_call" => "function_call",
            _ => "other",
        },
        Json::Array(items) if items.is_empty() => "error",
        Json::Object(members) if members.is_empty() => "error",
        Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => "other",
    };
    let finish_reasons = if api == Api::Responses {
        match body["status"].as_str() {
            Some("completed") => SmallVec::from(["stop"]),
            Some("failed") => SmallVec::from(["error"]),
            Some("in_progress" | "queued") | None => SmallVec::new(),
            Some(_) => SmallVec::from(["other"]),
        }
    } else {
        body["choices"].as_array().into_iter().flatten().take(8).map(reason).collect()
    };
    AnswerFacts {
        id: name("id"),
        model: name("model"),
        finish_reasons,
        service_tier: name("service_tier"),
        system_fingerprint: name("system_fingerprint"),
        called: 0,
    }
}

fn any_answer() -> impl Strategy<Value = Json> {
    let names = ["id", "model", "service_tier", "system_fingerprint", "status", "usage"];
    let words =
        ["stop", "length", "tool_calls", "error", "completed", "failed", "queued", "gpt-4.1", "x y", ""];
    let value = prop_oneof![samples::any_json(), prop::sample::select(words.to_vec()).prop_map(Json::from)];
    let choice = prop_oneof![
        4 => value.clone().prop_map(|reason| json!({ "message": {}, "finish_reason": reason })),
        1 => value.clone(),
    ];
    let known = prop::sample::select(names.to_vec()).prop_map(String::from);
    let key = prop_oneof![4 => known, 1 => samples::any_text()];
    let choices = prop::option::of(prop::collection::vec(choice, 0..10));
    (prop::collection::btree_map(key, value, 0..7), choices).prop_map(|(members, choices)| {
        let choices = choices.map(|choices| ("choices".to_owned(), Json::from(choices)));
        Json::Object(members.into_iter().chain(choices).collect())
    })
}

proptest! {
    #[test]
    fn agrees_with_a_full_parse(body in any_answer()) {
        for api in Api::ALL {
            prop_assert_eq!(of(api, &body), reference(api, &body), "{} {}", api, body);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), at in 0..60_usize) {
        let mut body = br#"{"id":"a","choices":[{"finish_reason":"stop"}],"status":"failed"}"#.to_vec();
        body.splice(at..at, bytes.iter().copied());
        for api in Api::ALL {
            let _ = in_answer(api, &bytes);
            let _ = in_answer(api, &body);
        }
    }
}
