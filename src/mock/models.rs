//! `GET models` and `GET models/{id}`, in the form of each face.

use serde_json::{Value, json};

use super::face::Face;
use super::reply::{Reply, Stamp};
use crate::clock::Timestamp;

/// The models that the list names; a call may ask for any other too.
const MODELS: [&str; 3] = ["mock-large", "mock-small", "mock-embedding"];

/// All of them.
pub(super) fn list(face: Face, stamp: &Stamp) -> Reply {
    let all = MODELS.map(|id| described(face, id, stamp));
    let list = match face {
        Face::OpenAi => json!({ "object": "list", "data": all }),
        Face::Anthropic => {
            json!({ "data": all, "has_more": false, "first_id": MODELS.first(), "last_id": MODELS.last() })
        }
        Face::Gemini => json!({ "models": all }),
    };
    reply(face, &list)
}

/// The one of this id.
pub(super) fn one(face: Face, id: &str, stamp: &Stamp) -> Reply {
    reply(face, &described(face, id, stamp))
}

fn reply(face: Face, body: &Value) -> Reply {
    Reply::json(body.to_string(), 0).of_type(face.json_type())
}

fn described(face: Face, id: &str, stamp: &Stamp) -> Value {
    match face {
        Face::OpenAi => json!({ "id": id, "object": "model", "created": stamp.created, "owned_by": "mock" }),
        Face::Anthropic => {
            let created = Timestamp::from_second(stamp.created).unwrap_or(Timestamp::UNIX_EPOCH);
            json!({ "id": id, "type": "model", "display_name": id, "created_at": created.to_string() })
        }
        Face::Gemini => json!({
            "name": format!("models/{id}"), "version": "001", "displayName": id,
            "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536,
            "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"],
        }),
    }
}
