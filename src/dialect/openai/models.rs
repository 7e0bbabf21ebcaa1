//! The answers to `GET /v1/models` and `GET /v1/models/{id}`.

use bytes::Bytes;
use serde::Serialize;

use crate::dialect::models::ModelEntry;

/// The body of `GET /v1/models`.
pub(crate) fn list(entries: &[ModelEntry<'_>]) -> Bytes {
    #[derive(Serialize)]
    struct List<'a> {
        object: &'static str,
        data: Vec<Tagged<'a>>,
    }
    json(&List { object: "list", data: entries.iter().map(tagged).collect() })
}

/// The body of `GET /v1/models/{id}`.
pub(crate) fn one(entry: &ModelEntry<'_>) -> Bytes {
    json(&tagged(entry))
}

#[derive(Serialize)]
struct Tagged<'a> {
    object: &'static str,
    #[serde(flatten)]
    entry: &'a ModelEntry<'a>,
}

fn tagged<'a>(entry: &'a ModelEntry<'a>) -> Tagged<'a> {
    Tagged { object: "model", entry }
}

fn json(body: &impl Serialize) -> Bytes {
    // Structs of strings and numbers always serialize.
    serde_json::to_vec(body).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::dialect::models::PriceEntry;

    const FAST: ModelEntry<'static> = ModelEntry {
        id: "fast",
        created: 1_795_000_000,
        owned_by: "policy",
        context_window: None,
        max_output_tokens: None,
        skills: &[],
        price: None,
    };

    #[test]
    fn the_list_is_openais() {
        let gpt = ModelEntry { id: "gpt-4.1", created: 1_744_316_542, owned_by: "openai", ..FAST };
        let expected: Value =
            serde_json::from_slice(&crate::dialect::samples::openai("models.response.json")).unwrap();
        let rendered: Value = serde_json::from_slice(&list(&[FAST, gpt])).unwrap();
        assert_eq!(rendered, expected);
    }

    #[test]
    fn an_entry_says_what_is_known_of_the_model() {
        let skills = ["code".into(), "analysis".into()];
        let entry = ModelEntry {
            context_window: Some(128_000),
            max_output_tokens: Some(8192),
            skills: &skills,
            price: Some(PriceEntry {
                input_per_mtok: "0.28",
                output_per_mtok: "0.42",
                cache_read_per_mtok: Some("0.028"),
                cache_write_per_mtok: None,
                reasoning_per_mtok: None,
                audio_input_per_mtok: None,
                audio_output_per_mtok: None,
            }),
            ..FAST
        };
        let rendered: Value = serde_json::from_slice(&one(&entry)).unwrap();
        let expected = json!({
            "id": "fast", "object": "model", "created": 1_795_000_000, "owned_by": "policy",
            "context_window": 128_000, "max_output_tokens": 8192, "skills": ["code", "analysis"],
            "price": { "input_per_mtok": "0.28", "output_per_mtok": "0.42", "cache_read_per_mtok": "0.028" },
        });
        assert_eq!(rendered, expected);
    }
}
