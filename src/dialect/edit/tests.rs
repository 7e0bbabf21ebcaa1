use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::dialect::error::Cause;
use crate::dialect::provider::MaxTokensField;
use crate::dialect::samples;

mod bounds;
mod metadata;

#[test]
fn facts_of_the_samples() {
    let body = samples::openai("chat.request.json");
    let facts = read(Api::Chat, &body).unwrap();
    assert_eq!(facts.model(&body), "gpt-4.1");
    assert!(facts.stream && facts.asks_usage && !facts.stateful && facts.guarded.is_empty());

    let body = samples::openai("responses.request.json");
    let facts = read(Api::Responses, &body).unwrap();
    assert!(facts.stream && !facts.asks_usage && !facts.stateful);

    let body = samples::openai("embeddings.request.json");
    assert_eq!(read(Api::Embeddings, &body).unwrap().model(&body), "text-embedding-3-small");
}

#[test]
fn the_model_is_read_through_escapes() {
    let body = br#"{"mod\u0065l":"gpt\u002d4 \ud83d\ude00"}"#;
    assert_eq!(read(Api::Chat, body).unwrap().model(body), "gpt-4 😀");
}

#[test]
fn a_body_that_readers_could_understand_differently_is_refused() {
    use BodyFault::*;
    let cases: &[(&str, BodyFault)] = &[
        (r#"{"model":"a","model":"b"}"#, DuplicateKey("model")),
        (r#"{"model":"a","mod\u0065l":"b"}"#, DuplicateKey("model")),
        (r#"{"model":"a","stream":true,"stream":true}"#, DuplicateKey("stream")),
        (r#"{"model":"a","stream_options":{},"stream_options":null}"#, DuplicateKey("stream_options")),
        (r#"{"model":"a","models":null,"models":[]}"#, DuplicateKey("models")),
        (
            r#"{"model":"a","stream_options":{"include_usage":true,"include\u005fusage":false}}"#,
            DuplicateKey("include_usage"),
        ),
        (r#"{"model":"a","Model":"b"}"#, CaseVariant { meant: "model" }),
        (r#"{"model":"a","\u0053TREAM":true}"#, CaseVariant { meant: "stream" }),
        (r#"{"model":"a","stream_options":{"Include_Usage":true}}"#, CaseVariant { meant: "include_usage" }),
        (r#"{"Model":"b"}"#, CaseVariant { meant: "model" }),
        (r#"{"model":null}"#, ModelNotAString),
        (r#"{"model":4}"#, ModelNotAString),
        (r#"{"stream":true}"#, MissingModel),
        (r#"{}"#, MissingModel),
        (r#"{"model":"a","stream":"true"}"#, WrongType { field: "stream", expected: "true, false or null" }),
        (r#"{"model":"a","stream":1}"#, WrongType { field: "stream", expected: "true, false or null" }),
        (
            r#"{"model":"a","stream_options":[]}"#,
            WrongType { field: "stream_options", expected: "an object or null" },
        ),
        (r#"["model"]"#, NotAnObject),
        ("", InvalidJson { offset: 0 }),
        (r#"{"model":"a"} x"#, InvalidJson { offset: 14 }),
        (r#"{"model":1,"model":2"#, InvalidJson { offset: 20 }),
    ];
    for (body, fault) in cases {
        assert_eq!(read(Api::Chat, body.as_bytes()).as_ref(), Err(fault), "{body}");
    }
    assert_eq!(read(Api::Chat, b"{\"model\":\"\xff\"}"), Err(NotUtf8));
    let deep = format!(r#"{{"model":"a","x":{}{}}}"#, "[".repeat(127), "]".repeat(127));
    assert_eq!(read(Api::Chat, deep.as_bytes()), Err(TooDeep));
}

#[test]
fn faults_name_the_field_and_nothing_of_the_body() {
    let fault = read(Api::Chat, br#"{"model":"secret","MODEL":"hidden"}"#).unwrap_err();
    assert_eq!(fault.param(), Some("model"));
    assert_eq!(fault.cause(), Cause::InvalidRequest);
    assert_eq!(fault.to_string(), "A field's name equals `model` except for case; write `model`.");
    let fault = read(Api::Chat, br#"{"model":"secret"#).unwrap_err();
    assert_eq!((fault.param(), fault.cause()), (None, Cause::InvalidJson));
}

#[test]
fn null_stands_for_absent() {
    let body = br#"{"model":"a","stream":null,"stream_options":null,"fallbacks":null}"#;
    let facts = read(Api::Chat, body).unwrap();
    assert!(!facts.stream && !facts.asks_usage && facts.guarded.is_empty());
}

#[test]
fn guarded_fields_are_reported() {
    let body = br#"{"api_base":"http://x","model":"a","mod\u0065ls":["b"],"prompt":{"id":"p"}}"#;
    assert_eq!(read(Api::Chat, body).unwrap().guarded.as_slice(), ["api_base", "models"]);
    assert_eq!(read(Api::Responses, body).unwrap().guarded.as_slice(), ["api_base", "models", "prompt"]);
    assert!(read(Api::Completions, br#"{"model":"a","prompt":"Hi"}"#).unwrap().guarded.is_empty());
}

#[test]
fn what_stays_at_the_provider_is_stateful_in_responses_only() {
    let stateful = [
        r#"{"model":"a","previous_response_id":"resp_1"}"#,
        r#"{"model":"a","conversation":{"id":"c"}}"#,
        r#"{"model":"a","background":true}"#,
        r#"{"model":"a","store":true}"#,
    ];
    for body in stateful {
        assert!(read(Api::Responses, body.as_bytes()).unwrap().stateful, "{body}");
        assert!(!read(Api::Chat, body.as_bytes()).unwrap().stateful, "{body}");
    }
    let body =
        br#"{"model":"a","previous_response_id":null,"conversation":null,"background":false,"store":false}"#;
    assert!(!read(Api::Responses, body).unwrap().stateful);
    assert!(read(Api::Responses, br#"{"model":"a","background":"true"}"#).is_err());
}

#[test]
fn embeddings_are_never_streams() {
    assert!(!read(Api::Embeddings, br#"{"model":"a","stream":true}"#).unwrap().stream);
}

#[test]
fn nothing_to_edit_gives_the_same_bytes() {
    let body = Bytes::from_static(
        br#"{"model":"gpt\u002d4","stream":true,"stream_options":{"include_usage":true}}"#,
    );
    let edited = edit(Api::Chat, &body, Some("gpt-4"), true);
    assert_eq!(edited.as_ptr(), body.as_ptr());
    let plain = Bytes::from_static(br#"{"model":"a"}"#);
    assert_eq!(edit(Api::Chat, &plain, None, true).as_ptr(), plain.as_ptr());
    let responses = Bytes::from_static(br#"{"model":"a","stream":true}"#);
    assert_eq!(edit(Api::Responses, &responses, None, true), responses);
}

#[test]
fn each_edit_replaces_exactly_its_range() {
    let cases = [
        (
            r#"{ "model" : "a" , "stream":true}"#,
            r#"{"stream_options":{"include_usage":true}, "model" : "b" , "stream":true}"#,
        ),
        (
            r#"{"stream":true,"stream_options": null,"model":"a","x":1.0}"#,
            r#"{"stream":true,"stream_options": {"include_usage":true},"model":"b","x":1.0}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{ },"model":"a"}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true },"model":"b"}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_obfuscation":false},"model":"a"}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false},"model":"b"}"#,
        ),
        (
            r#"{"model":"a","stream_options":{"include_usage" : false},"stream":true}"#,
            r#"{"model":"b","stream_options":{"include_usage" : true},"stream":true}"#,
        ),
    ];
    for (body, expected) in cases {
        let edited = edit(Api::Chat, &Bytes::from(body), Some("b"), true);
        assert_eq!(edited, expected, "{body}");
    }
}

#[test]
fn a_name_that_needs_escapes_gets_them() {
    let edited = edit(Api::Chat, &Bytes::from_static(br#"{"model":"a"}"#), Some("b\"\\\n"), false);
    assert_eq!(edited, r#"{"model":"b\"\\\n"}"#);
}

#[test]
fn facts_of_another_body_do_no_harm() {
    let facts = read(Api::Chat, br#"{"something":"longer","model":"a"}"#).unwrap();
    let other = Bytes::from_static(b"{}");
    assert_eq!(facts.model(&other), "");
    let cap = Some(cap_of(9, MaxTokensField::MaxTokens));
    let edits = Edits { model: Some("b"), ask_usage: true, cap, cut: None };
    assert_eq!(apply(Api::Chat, &other, &facts, &edits), other);
}

proptest! {
    #[test]
    fn an_edited_body_is_what_a_full_parse_would_have_made(body in any_body(), name in samples::any_text(), ask: bool) {
        let edited = edit(Api::Chat, &Bytes::from(body.clone()), Some(&name), ask);
        let mut expected: serde_json::Value = serde_json::from_str(&body).unwrap();
        expected["model"] = json!(name);
        if ask && expected["stream"] == json!(true) {
            if expected["stream_options"].is_null() {
                expected["stream_options"] = json!({});
            }
            expected["stream_options"]["include_usage"] = json!(true);
        }
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&edited).unwrap(), expected);
    }

    #[test]
    fn bytes_outside_of_the_edited_ranges_are_kept(body in any_body(), name in "[a-z]{0,8}") {
        let facts = read(Api::Chat, body.as_bytes()).unwrap();
        let edited = edit(Api::Chat, &Bytes::from(body.clone()), Some(&name), false);
        let tail = body.len() - facts.models[0].end;
        prop_assert_eq!(&edited[..facts.models[0].start], &body.as_bytes()[..facts.models[0].start]);
        prop_assert_eq!(&edited[edited.len() - tail..], &body.as_bytes()[facts.models[0].end..]);
        let asked = edit(Api::Chat, &Bytes::from(body.clone()), None, true);
        if asked != body {
            let (range, text) = facts.usage.patch().unwrap();
            let undone = [&asked[..range.start], &body.as_bytes()[range.clone()], &asked[range.start + text.len()..]];
            prop_assert_eq!(undone.concat(), body.as_bytes());
        }
    }

    #[test]
    fn accepts_a_changed_body_only_if_serde_json_does(
        body in any_body(), at in any::<prop::sample::Index>(), byte in any::<u8>(), how in 0..3,
    ) {
        let mut body = body.into_bytes();
        let at = at.index(body.len());
        match how {
            0 => body[at] = byte,
            1 => body.insert(at, byte),
            _ => body.truncate(at),
        }
        let parsed = serde_json::from_slice::<serde_json::Value>(&body);
        match read(Api::Chat, &body) {
            Ok(facts) => prop_assert_eq!(&parsed.unwrap()["model"], &json!(facts.model(&body))),
            Err(BodyFault::NotUtf8 | BodyFault::InvalidJson { .. } | BodyFault::TooDeep) => {
                prop_assert!(parsed.is_err());
            }
            Err(BodyFault::NotAnObject) => prop_assert!(!parsed.unwrap().is_object()),
            Err(_) => prop_assert!(parsed.unwrap().is_object()),
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = read(Api::Responses, &bytes);
    }
}

fn edit(api: Api, body: &Bytes, model: Option<&str>, ask_usage: bool) -> Bytes {
    let facts = read(api, body).unwrap();
    apply(api, body, &facts, &Edits { model, ask_usage, ..Edits::default() })
}

fn cap_of(tokens: u64, chat_field: MaxTokensField) -> Cap {
    Cap { tokens: Tokens(tokens), chat_field, lowers: false }
}

/// A chat body with its members in any order, any space between tokens and some keys escaped.
fn any_body() -> impl Strategy<Value = String> {
    let stream = prop::sample::select(vec!["true", "false", "null"]);
    let options = prop_oneof![
        Just("null".to_owned()),
        Just("{ }".to_owned()),
        Just(r#"{"include_usage":null, "include_obfuscation" : false}"#.to_owned()),
        samples::any_text().prop_map(|text| json!({ "x": text, "include_usage": false }).to_string()),
        samples::any_text().prop_map(|text| json!({ "include_usage": true, "y": [text] }).to_string()),
    ];
    let others = prop::collection::btree_map("x[a-z]{0,5}", samples::any_json(), 0..5);
    let parts = (samples::any_text(), prop::option::of(stream), prop::option::of(options), others);
    (parts, prop::collection::vec("[ \n\t\r]{0,2}", 8), any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |((model, stream, options, others), spaces, turn, escaped)| {
            let key = if escaped { r#""\u006dod\u0065l""# } else { r#""model""# };
            let mut members = vec![(key.to_owned(), json!(model).to_string())];
            members.extend(stream.map(|s| (r#""stream""#.to_owned(), s.to_owned())));
            members.extend(options.map(|o| (r#""stream_\u006fptions""#.to_owned(), o)));
            members.extend(others.into_iter().map(|(k, v)| (json!(k).to_string(), v.to_string())));
            let turn = turn.index(members.len());
            members.rotate_left(turn);
            let members: Vec<_> = members
                .iter()
                .zip(spaces.iter().cycle())
                .map(|((k, v), s)| format!("{s}{k}{s}:{s}{v}{s}"))
                .collect();
            format!("{}{{{}}}{}", spaces[0], members.join(","), spaces[1])
        },
    )
}
