//! The names that a caller may use, as Anthropic lists models.

use bytes::Bytes;
use serde::Serialize;

use crate::dialect::models::{ModelEntry, PriceEntry};

/// All of them, on one page.
pub(crate) fn list(entries: &[ModelEntry<'_>]) -> Bytes {
    #[derive(Serialize)]
    struct List<'a> {
        data: Vec<Model<'a>>,
        has_more: bool,
        first_id: Option<&'a str>,
        last_id: Option<&'a str>,
    }
    json(&List {
        data: entries.iter().map(model).collect(),
        has_more: false,
        first_id: entries.first().map(|entry| entry.id),
        last_id: entries.last().map(|entry| entry.id),
    })
}

/// One of them.
pub(crate) fn one(entry: &ModelEntry<'_>) -> Bytes {
    json(&model(entry))
}

/// The sizes under Anthropic's own names; skills and price under ours.
#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    display_name: &'a str,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    skills: &'a [Box<str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<PriceEntry<'a>>,
}

fn model<'a>(entry: &ModelEntry<'a>) -> Model<'a> {
    Model {
        id: entry.id,
        kind: "model",
        display_name: entry.id,
        created_at: time(entry.created),
        max_input_tokens: entry.context_window,
        max_tokens: entry.max_output_tokens,
        skills: entry.skills,
        price: entry.price,
    }
}

/// A Unix time as Anthropic writes it; the beginning of time for what no calendar has.
fn time(created: u64) -> String {
    let time = i64::try_from(created).ok().and_then(|created| jiff::Timestamp::from_second(created).ok());
    time.unwrap_or_default().to_string()
}

fn json(body: &impl Serialize) -> Bytes {
    // Structs of strings and numbers always serialize.
    serde_json::to_vec(body).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::dialect::samples;

    const SONNET: ModelEntry<'static> = ModelEntry {
        id: "claude-sonnet-4-5",
        created: 1_759_104_000,
        owned_by: "anthropic",
        context_window: None,
        max_output_tokens: None,
        skills: &[],
        price: None,
    };

    fn parsed(body: &[u8]) -> Value {
        serde_json::from_slice(body).unwrap()
    }

    #[test]
    fn the_list_is_anthropics_but_for_the_display_name() {
        let mut expected = parsed(&samples::anthropic("models.response.json"));
        expected["data"][0]["display_name"] = json!("claude-sonnet-4-5");
        assert_eq!(parsed(&list(&[SONNET])), expected);
    }

    #[test]
    fn an_empty_list_has_no_first_and_no_last() {
        let expected = json!({ "data": [], "has_more": false, "first_id": null, "last_id": null });
        assert_eq!(parsed(&list(&[])), expected);
    }

    #[test]
    fn an_entry_says_what_is_known_of_the_model() {
        let skills = ["code".into()];
        let entry = ModelEntry {
            context_window: Some(200_000),
            max_output_tokens: Some(64_000),
            skills: &skills,
            created: u64::MAX,
            ..SONNET
        };
        let expected = json!({
            "id": "claude-sonnet-4-5", "type": "model", "display_name": "claude-sonnet-4-5",
            "created_at": "1970-01-01T00:00:00Z", "max_input_tokens": 200_000, "max_tokens": 64_000,
            "skills": ["code"],
        });
        assert_eq!(parsed(&one(&entry)), expected);
    }
}
