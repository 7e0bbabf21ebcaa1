//! The names that a caller may use, as Gemini lists models.

use bytes::Bytes;
use serde::Serialize;

use crate::dialect::models::ModelEntry;

/// All of them.
pub(crate) fn list(entries: &[ModelEntry<'_>]) -> Bytes {
    #[derive(Serialize)]
    struct List<'a> {
        models: Vec<Model<'a>>,
    }
    json(&List { models: entries.iter().map(model).collect() })
}

/// One of them.
pub(crate) fn one(entry: &ModelEntry<'_>) -> Bytes {
    json(&model(entry))
}

/// Only what Google's own entries have: its clients know nothing else.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Model<'a> {
    name: String,
    display_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_token_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_token_limit: Option<u64>,
    supported_generation_methods: [&'static str; 2],
}

fn model<'a>(entry: &'a ModelEntry<'a>) -> Model<'a> {
    Model {
        name: format!("models/{}", entry.id),
        display_name: entry.id,
        input_token_limit: entry.context_window,
        output_token_limit: entry.max_output_tokens,
        supported_generation_methods: ["generateContent", "streamGenerateContent"],
    }
}

fn json(body: &impl Serialize) -> Bytes {
    // Structs of strings and numbers always serialize.
    serde_json::to_vec(body).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const FAST: ModelEntry<'static> = ModelEntry {
        id: "fast",
        created: 1_795_000_000,
        owned_by: "policy",
        context_window: Some(1_048_576),
        max_output_tokens: Some(65_536),
        skills: &[],
        price: None,
    };

    #[test]
    fn models_are_listed_as_gemini_does() {
        let fast = json!({
            "name": "models/fast", "displayName": "fast", "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
        });
        let bare = json!({
            "name": "models/bare", "displayName": "bare",
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
        });
        let entries =
            [FAST, ModelEntry { id: "bare", context_window: None, max_output_tokens: None, ..FAST }];
        let listed: Value = serde_json::from_slice(&list(&entries)).unwrap();
        assert_eq!(listed, json!({ "models": [fast, bare] }));
        let single: Value = serde_json::from_slice(&one(&FAST)).unwrap();
        assert_eq!(single, fast);
    }
}
