//! What the tests of this module read: sample files, and JSON of any shape.

use proptest::prelude::*;
use serde_json::Value;

/// A file of `tests/samples/openai`.
pub(crate) fn openai(name: &str) -> Vec<u8> {
    sample("openai", name)
}

/// A file of `tests/samples/anthropic`.
pub(crate) fn anthropic(name: &str) -> Vec<u8> {
    sample("anthropic", name)
}

/// A file of `tests/samples/gemini`.
pub(crate) fn gemini(name: &str) -> Vec<u8> {
    sample("gemini", name)
}

/// A file of `tests/samples/map`: what one dialect's becomes in another.
pub(crate) fn map(name: &str) -> Vec<u8> {
    sample("map", name)
}

fn sample(directory: &str, name: &str) -> Vec<u8> {
    let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let path = samples.join(directory).join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Any JSON value, a few levels deep.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9f64).prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(any_text(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Any text: with quotes, backslashes, control characters, and words that mean something elsewhere.
pub(crate) fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => r#"[a-zA-Z"\\/{}\[\]:, \n\u{1}é😀]{0,12}"#,
        1 => prop::sample::select(vec![
            r#","usage":{"prompt_tokens":9}"#, r#"{"error":{"message":"x"}}"#, r#","finish_reason":"stop""#,
            "[DONE]", r#""usage""#, "data: [DONE]\n\n", "\r\n\r\n", r#"\"usage\":{"#,
        ]).prop_map(String::from),
    ]
}
