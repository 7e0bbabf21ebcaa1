//! What `metadata` says by a name.

use super::*;

const APIS: [Api; 3] = [Api::Chat, Api::Completions, Api::Responses];

fn of(api: Api, body: &str, name: &str) -> Option<String> {
    read(api, body.as_bytes()).unwrap().metadata(body.as_bytes(), name).map(Cow::into_owned)
}

#[test]
fn texts_numbers_and_flags_are_read() {
    let body = r#"{"model":"a","metadata":{"team":"blue","n":-1.50e2,"on":true,"off":false,
        "q":"a \"b\"\n\u00e9","":"empty","none":null,"list":["x"],"object":{"team":"x"}}, "x":{"metadata":{"y":"z"}}}"#;
    for api in APIS {
        let of = |name: &str| of(api, body, name);
        assert_eq!(of("team").as_deref(), Some("blue"));
        assert_eq!(of("n").as_deref(), Some("-1.50e2"), "as it is written");
        assert_eq!((of("on").as_deref(), of("off").as_deref()), (Some("true"), Some("false")));
        assert_eq!(of("q").as_deref(), Some("a \"b\"\né"));
        assert_eq!(of("").as_deref(), Some("empty"));
        for none in ["none", "list", "object", "Team", "y", "missing"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}

#[test]
fn names_are_compared_with_their_escapes_resolved() {
    let body = r#"{"model":"a","met\u0061data":{"t\u0065am":"a","a\"b":"b"}}"#;
    assert_eq!(of(Api::Chat, body, "team").as_deref(), Some("a"));
    assert_eq!(of(Api::Chat, body, "a\"b").as_deref(), Some("b"));
}

#[test]
fn what_is_no_object_says_nothing_and_is_the_providers_to_judge() {
    for metadata in ["null", "[]", "\"team\"", "7", "{}"] {
        let body = format!(r#"{{"model":"a","metadata":{metadata}}}"#);
        assert_eq!(of(Api::Chat, &body, "team"), None, "{metadata}");
    }
    assert_eq!(of(Api::Chat, r#"{"model":"a"}"#, "team"), None);
    assert_eq!(of(Api::Embeddings, r#"{"model":"a","metadata":{"team":"a"}}"#, "team"), None);
}

#[test]
fn what_readers_could_see_differently_is_refused_and_within_it_the_last_counts() {
    for api in APIS {
        let fault = |body: &str| read(api, body.as_bytes()).unwrap_err();
        let twice = r#"{"model":"a","metadata":{"team":"a"},"metadata":{"team":"b"}}"#;
        assert_eq!(fault(twice), BodyFault::DuplicateKey("metadata"));
        assert_eq!(fault(r#"{"model":"a","Metadata":{}}"#), BodyFault::CaseVariant { meant: "metadata" });
        let body = r#"{"model":"a","metadata":{"team":"a","team":"b"}}"#;
        assert_eq!(of(api, body, "team").as_deref(), Some("b"));
    }
}

#[test]
fn a_long_value_is_none() {
    for (text, length) in [("x", 256), ("\\u0078", 256), ("é", 128), ("\\\\", 256)] {
        let body = |count: usize| format!(r#"{{"model":"a","metadata":{{"k":"{}"}}}}"#, text.repeat(count));
        assert!(of(Api::Chat, &body(length), "k").is_some(), "{text}");
        assert_eq!(of(Api::Chat, &body(length + 1), "k"), None, "{text}");
    }
    let number = format!(r#"{{"model":"a","metadata":{{"k":{}}}}}"#, "1".repeat(257));
    assert_eq!(of(Api::Chat, &number, "k"), None);
}

#[test]
fn of_another_body_it_is_none() {
    let facts = read(Api::Chat, br#"{"model":"a","metadata":{"team":"a"}}"#).unwrap();
    for other in ["", "{}", r#"{"model":"b","stream":true,"stream_options":null}"#] {
        assert_eq!(facts.metadata(other.as_bytes(), "team"), None);
    }
}

proptest! {
    #[test]
    fn agrees_with_a_full_parse(
        body in any_body(), metadata in prop::collection::btree_map(samples::any_text(), samples::any_json(), 0..6),
        missing in samples::any_text(), pretty: bool,
    ) {
        let mut parsed: serde_json::Value = serde_json::from_str(&body).unwrap();
        parsed["metadata"] = json!(metadata);
        let text = if pretty { serde_json::to_string_pretty(&parsed).unwrap() } else { parsed.to_string() };
        for name in metadata.keys().chain([&missing]) {
            let expected = metadata.get(name).and_then(|value| match value {
                serde_json::Value::String(text) => Some(text.clone()),
                serde_json::Value::Bool(_) | serde_json::Value::Number(_) => Some(value.to_string()),
                serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => None,
            });
            for api in APIS {
                prop_assert_eq!(of(api, &text, name), expected.clone(), "{}", text);
            }
        }
    }
}
