use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::dialect::samples;

fn of(api: Api, body: &Json) -> Params {
    params(api, body.to_string().as_bytes())
}

#[test]
fn the_samples_give_their_parameters() {
    let cases = [
        (
            Api::Chat,
            "chat.request.json",
            Params { max_tokens: Some(256), temperature: Some(0.2), ..Params::default() },
        ),
        (Api::Responses, "responses.request.json", Params { max_tokens: Some(64), ..Params::default() }),
        (Api::Embeddings, "embeddings.request.json", Params::default()),
    ];
    for (api, name, expected) in cases {
        assert_eq!(params(api, &samples::openai(name)), expected, "{name}");
    }
}

#[test]
fn every_parameter_of_a_chat_is_read() {
    let body = json!({
        "model": "m", "max_completion_tokens": 9, "max_tokens": 7, "temperature": 1, "top_p": 0.9, "n": 2,
        "frequency_penalty": -0.5, "presence_penalty": 2.0, "seed": -42, "reasoning_effort": "xhigh",
        "response_format": { "type": "json_schema", "json_schema": { "type": "text", "name": "x" } },
        "max_output_tokens": 5, "reasoning": { "effort": "low" }, "text": { "format": { "type": "text" } },
    });
    let expected = Params {
        max_tokens: Some(9),
        temperature: Some(1.0),
        top_p: Some(0.9),
        frequency_penalty: Some(-0.5),
        presence_penalty: Some(2.0),
        seed: Some(-42),
        choice_count: Some(2),
        reasoning_level: Some("xhigh"),
        output_type: Some("json"),
    };
    assert_eq!(of(Api::Chat, &body), expected);
    let as_response =
        Params { max_tokens: Some(5), reasoning_level: Some("low"), output_type: Some("text"), ..expected };
    assert_eq!(of(Api::Responses, &body), as_response);
    let embeddings = crate::dialect::params::params(Api::Embeddings, body.to_string().as_bytes());
    assert_eq!(embeddings, Params::default());
}

#[test]
fn the_older_limit_counts_where_the_newer_one_says_nothing() {
    for body in [
        json!({ "max_tokens": 7 }),
        json!({ "max_tokens": 7, "max_completion_tokens": null }),
        json!({ "max_completion_tokens": "9", "max_tokens": 7 }),
    ] {
        for api in [Api::Chat, Api::Completions] {
            assert_eq!(of(api, &body).max_tokens, Some(7), "{body}");
        }
        assert_eq!(of(Api::Responses, &body).max_tokens, None, "{body}");
    }
}

#[test]
fn formats_are_json_or_text() {
    for (kind, expected) in [
        (json!("text"), Some("text")),
        (json!("json_object"), Some("json")),
        (json!("json_schema"), Some("json")),
        (json!("grammar"), None),
        (json!(null), None),
    ] {
        let chat = json!({ "response_format": { "type": kind } });
        assert_eq!(of(Api::Chat, &chat).output_type, expected, "{kind}");
        let response = json!({ "text": { "verbosity": "low", "format": { "type": kind } } });
        assert_eq!(of(Api::Responses, &response).output_type, expected, "{kind}");
    }
}

#[test]
fn what_makes_no_sense_is_none() {
    let numbers = ["\"1\"", "null", "true", "[1]", "{}", "1e300", "9007199254740994"];
    for number in numbers {
        let body = format!(
            r#"{{"max_tokens":{number},"temperature":{number},"top_p":{number},"frequency_penalty":{number},
            "presence_penalty":{number},"seed":{number},"n":{number}}}"#
        );
        assert_eq!(params(Api::Chat, body.as_bytes()), Params::default(), "{number}");
    }
    let fractions = json!({ "max_tokens": 1.5, "n": -1, "seed": 0.5, "seed ": 1 });
    assert_eq!(of(Api::Chat, &fractions), Params::default());
    for word in [json!("ultra"), json!("HIGH"), json!(3), json!(["low"]), json!("low ".repeat(99))] {
        assert_eq!(of(Api::Chat, &json!({ "reasoning_effort": word })), Params::default(), "{word}");
        assert_eq!(of(Api::Responses, &json!({ "reasoning": word })), Params::default(), "{word}");
    }
}

#[test]
fn only_the_outermost_keys_count_and_of_several_the_last() {
    let inner = json!({ "messages": [{ "temperature": 1, "n": 2 }], "metadata": { "seed": 7, "top_p": 1 } });
    assert_eq!(of(Api::Chat, &inner), Params::default());
    let twice = br#"{"seed":1,"response_format":{"type":"text"},"s\u0065ed":2,"response_format":null}"#;
    assert_eq!(params(Api::Chat, twice), Params { seed: Some(2), ..Params::default() });
}

#[test]
fn what_is_no_object_has_none() {
    for body in ["", "{", "[1]", "7", r#"{"seed":1"#, r#"{"seed":1} x"#, r#"{"seed":1,}"#] {
        assert_eq!(params(Api::Chat, body.as_bytes()), Params::default(), "{body}");
    }
}

/// The same, of a body that was parsed.
fn reference(api: Api, body: &Json) -> Params {
    let most = LARGEST as f64;
    let float = |at: &str| body.pointer(at)?.as_f64().filter(|number| number.abs() <= most);
    let whole = |at: &str| body.pointer(at)?.as_u64().filter(|number| *number <= LARGEST);
    let word = |at: &str| body.pointer(at)?.as_str();
    let chat = api != Api::Responses;
    let (effort, format) =
        if chat { ("/reasoning_effort", "/response_format") } else { ("/reasoning/effort", "/text/format") };
    let kind = word(&format!("{format}/type")).filter(|_| body.pointer(format).is_some_and(Json::is_object));
    Params {
        max_tokens: if chat {
            whole("/max_completion_tokens").or_else(|| whole("/max_tokens"))
        } else {
            whole("/max_output_tokens")
        },
        temperature: float("/temperature"),
        top_p: float("/top_p"),
        frequency_penalty: float("/frequency_penalty"),
        presence_penalty: float("/presence_penalty"),
        seed: body["seed"].as_i64().filter(|seed| seed.unsigned_abs() <= LARGEST),
        choice_count: whole("/n"),
        reasoning_level: word(effort).and_then(|word| EFFORTS.into_iter().find(|known| *known == word)),
        output_type: match kind {
            Some("text") => Some("text"),
            Some("json_object" | "json_schema") => Some("json"),
            Some(_) | None => None,
        },
    }
}

fn any_body() -> impl Strategy<Value = Json> {
    let names = [
        "max_completion_tokens",
        "max_tokens",
        "max_output_tokens",
        "temperature",
        "top_p",
        "frequency_penalty",
        "presence_penalty",
        "seed",
        "n",
        "reasoning_effort",
        "response_format",
        "reasoning",
        "text",
        "messages",
    ];
    let words = ["low", "max", "text", "json_object", "json_schema", "grammar"];
    let word = prop::sample::select(words.to_vec()).prop_map(Json::from);
    let format = word.clone().prop_map(|kind| json!({ "type": kind }));
    let value = prop_oneof![
        samples::any_json(),
        (0..5000_u64).prop_map(Json::from),
        (-2.0..2.0).prop_map(|number: f64| json!(number)),
        word.clone(),
        word.prop_map(|effort| json!({ "effort": effort })),
        format.clone(),
        format.prop_map(|format| json!({ "format": format })),
    ];
    let known = prop::sample::select(names.to_vec()).prop_map(String::from);
    let key = prop_oneof![4 => known, 1 => samples::any_text()];
    prop::collection::btree_map(key, value, 0..10).prop_map(|body| Json::Object(body.into_iter().collect()))
}

proptest! {
    #[test]
    fn agrees_with_a_full_parse(body in any_body()) {
        for api in [Api::Chat, Api::Completions, Api::Responses] {
            prop_assert_eq!(of(api, &body), reference(api, &body), "{} {}", api, body);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), at in 0..60_usize) {
        let mut body = br#"{"n":1,"seed":-2,"top_p":0.5,"text":{"format":{"type":"text"}}}"#.to_vec();
        body.splice(at..at, bytes.iter().copied());
        for api in Api::ALL {
            let _ = params(api, &bytes);
            let _ = params(api, &body);
        }
    }
}
