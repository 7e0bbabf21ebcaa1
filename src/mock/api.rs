//! Which API a path is, under any base, and who answers it.

use http::Method;
use serde_json::{Value, json};

use super::answer::Saying;
use super::error::ApiError;
use super::reply::{Reply, Stamp};
use super::request::Ask;
use super::{chat, completions, embeddings, responses};

/// The APIs on offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Chat,
    Completions,
    Embeddings,
    Responses,
    Models,
    Model,
}

/// The models that the list names; a call may ask for any other too.
const MODELS: [&str; 3] = ["mock-large", "mock-small", "mock-embedding"];

impl Api {
    /// The API of a path, whatever comes before it.
    pub(super) fn of(path: &str) -> Option<Self> {
        let ends = |api: &str| path.strip_suffix(api).is_some_and(|base| base.ends_with('/'));
        if ends("chat/completions") {
            Some(Self::Chat)
        } else if ends("completions") {
            Some(Self::Completions)
        } else if ends("embeddings") {
            Some(Self::Embeddings)
        } else if ends("responses") {
            Some(Self::Responses)
        } else if ends("models") {
            Some(Self::Models)
        } else {
            model(path).map(|_| Self::Model)
        }
    }

    fn method(self) -> Method {
        match self {
            Self::Chat | Self::Completions | Self::Embeddings | Self::Responses => Method::POST,
            Self::Models | Self::Model => Method::GET,
        }
    }

    /// The answer to a request without faults.
    pub(super) fn reply(
        self,
        method: &Method,
        path: &str,
        body: &[u8],
        saying: &Saying<'_>,
        stamp: &Stamp,
    ) -> Result<Reply, ApiError> {
        if *method != self.method() {
            return Err(ApiError::wrong_method(method, path));
        }
        match self {
            Self::Chat => chat::reply(&Ask::parse(body)?, saying, stamp),
            Self::Completions => completions::reply(&Ask::parse(body)?, saying, stamp),
            Self::Embeddings => embeddings::reply(&Ask::parse(body)?),
            Self::Responses => responses::reply(&Ask::parse(body)?, saying, stamp),
            Self::Models => {
                let data = MODELS.map(|id| described(id, stamp));
                Ok(Reply::json(json!({ "object": "list", "data": data }).to_string(), 0))
            }
            Self::Model => {
                let id = model(path).unwrap_or_default();
                Ok(Reply::json(described(id, stamp).to_string(), 0))
            }
        }
    }
}

/// The id in `.../models/{id}`; an id may hold a slash.
fn model(path: &str) -> Option<&str> {
    let (_, id) = path.split_once("/models/")?;
    (!id.is_empty()).then_some(id)
}

fn described(id: &str, stamp: &Stamp) -> Value {
    json!({ "id": id, "object": "model", "created": stamp.created, "owned_by": "mock" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_is_found_under_any_base() {
        assert_eq!(Api::of("/v1/chat/completions"), Some(Api::Chat));
        assert_eq!(Api::of("/chat/completions"), Some(Api::Chat));
        assert_eq!(Api::of("/openai/v1/completions"), Some(Api::Completions));
        assert_eq!(Api::of("/v1/responses"), Some(Api::Responses));
        assert_eq!(Api::of("/v1/models/meta/llama"), Some(Api::Model));
        assert_eq!(Api::of("/v1/models"), Some(Api::Models));
    }

    #[test]
    fn what_only_looks_like_an_api_is_none() {
        for path in ["/", "/v1/xcompletions", "/v1/responses/resp_1", "/v1/models/", "/v1/files"] {
            assert_eq!(Api::of(path), None, "{path}");
        }
    }
}
