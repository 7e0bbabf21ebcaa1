//! Which API a request is for, under any base, and who answers it in whose words.

use bytes::Bytes;
use http::Method;
use http::request::Parts;
use serde_json::json;

use super::answer::Saying;
use super::error::ApiError;
use super::face::Face;
use super::flow::item;
use super::gemini::Verb;
use super::reply::{Reply, Stamp, data, data_crlf, named};
use super::request::Ask;
use super::{anthropic, chat, completions, embeddings, gemini, models, responses};

/// The APIs on offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Chat,
    Completions,
    Embeddings,
    Responses,
    Messages,
    CountTokens,
    Gemini(Verb),
    Models(Face),
    Model(Face),
    /// A path that is none of these.
    Unknown(Face),
}

impl Api {
    /// The API of a request, whatever comes before its path.
    pub(super) fn of(head: &Parts) -> Self {
        let path = head.uri.path();
        let ends = |api: &str| path.strip_suffix(api).is_some_and(|base| base.ends_with('/'));
        let face = Face::of(path, &head.headers);
        if ends("chat/completions") {
            Self::Chat
        } else if ends("completions") {
            Self::Completions
        } else if ends("embeddings") {
            Self::Embeddings
        } else if ends("responses") {
            Self::Responses
        } else if ends("messages") {
            Self::Messages
        } else if ends("messages/count_tokens") {
            Self::CountTokens
        } else if let Some((verb, _)) = Verb::of(path, head.uri.query()) {
            Self::Gemini(verb)
        } else if ends("models") {
            Self::Models(face)
        } else if model(path).is_some() {
            Self::Model(face)
        } else {
            Self::Unknown(face)
        }
    }

    /// Whose words it is answered in.
    pub(super) fn face(self) -> Face {
        match self {
            Self::Chat | Self::Completions | Self::Embeddings | Self::Responses => Face::OpenAi,
            Self::Messages | Self::CountTokens => Face::Anthropic,
            Self::Gemini(_) => Face::Gemini,
            Self::Models(face) | Self::Model(face) | Self::Unknown(face) => face,
        }
    }

    /// None where the path is no API.
    fn method(self) -> Option<Method> {
        match self {
            Self::Chat
            | Self::Completions
            | Self::Embeddings
            | Self::Responses
            | Self::Messages
            | Self::CountTokens
            | Self::Gemini(_) => Some(Method::POST),
            Self::Models(_) | Self::Model(_) => Some(Method::GET),
            Self::Unknown(_) => None,
        }
    }

    /// The answer to a request without faults.
    pub(super) fn reply(
        self,
        head: &Parts,
        body: &[u8],
        saying: &Saying<'_>,
        stamp: &Stamp,
    ) -> Result<Reply, ApiError> {
        let (method, path) = (&head.method, head.uri.path());
        if self.method().is_some_and(|right| right != *method) {
            return Err(ApiError::wrong_method(self.face(), method, path));
        }
        match self {
            Self::Chat => chat::reply(&Ask::parse(body)?, saying, stamp),
            Self::Completions => completions::reply(&Ask::parse(body)?, saying, stamp),
            Self::Embeddings => embeddings::reply(&Ask::parse(body)?),
            Self::Responses => responses::reply(&Ask::parse(body)?, saying, stamp),
            Self::Messages => anthropic::messages(&head.headers, body, saying, stamp),
            Self::CountTokens => anthropic::count_tokens(&head.headers, body),
            Self::Gemini(verb) => {
                let model = Verb::of(path, None).map(|(_, model)| model).unwrap_or_default();
                gemini::reply(verb, model, body, saying, stamp)
            }
            Self::Models(face) => Ok(models::list(face, stamp)),
            Self::Model(face) => Ok(models::one(face, model(path).unwrap_or_default(), stamp)),
            Self::Unknown(face) => Err(ApiError::unknown_path(face, method, path)),
        }
    }

    /// The body of an error answer. Where Gemini streams an array, an error is in one, too.
    pub(super) fn error_body(self, error: &ApiError, stamp: &Stamp) -> String {
        let body = error.body(stamp);
        match self {
            Self::Gemini(Verb::Stream { sse: false }) => json!([body]).to_string(),
            Self::Gemini(
                Verb::Generate | Verb::Stream { sse: true } | Verb::Count | Verb::Embed | Verb::EmbedMany,
            )
            | Self::Chat
            | Self::Completions
            | Self::Embeddings
            | Self::Responses
            | Self::Messages
            | Self::CountTokens
            | Self::Models(_)
            | Self::Model(_)
            | Self::Unknown(_) => body.to_string(),
        }
    }

    /// The last of a stream that an error breaks after so many chunks.
    pub(super) fn error_event(self, error: &ApiError, after: u32) -> Bytes {
        let event = error.event();
        match self {
            Self::Responses => {
                let error = error.object();
                named("error", &json!({ "type": "error", "sequence_number": after, "error": error }))
            }
            Self::Messages => named("error", &event),
            Self::Gemini(Verb::Stream { sse: false }) => item(after == 0, format!("{event}]").as_bytes()),
            Self::Gemini(
                Verb::Generate | Verb::Stream { sse: true } | Verb::Count | Verb::Embed | Verb::EmbedMany,
            ) => data_crlf(&event),
            Self::Chat
            | Self::Completions
            | Self::Embeddings
            | Self::CountTokens
            | Self::Models(_)
            | Self::Model(_)
            | Self::Unknown(_) => data(&event),
        }
    }
}

/// The id in `.../models/{id}`; an id may hold a slash.
fn model(path: &str) -> Option<&str> {
    let (_, id) = path.split_once("/models/")?;
    (!id.is_empty()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn of(uri: &str, header: &'static str) -> Api {
        Api::of(&Request::get(uri).header(header, "x").body(()).unwrap().into_parts().0)
    }

    fn plain(uri: &str) -> Api {
        of(uri, "accept")
    }

    #[test]
    fn an_api_is_found_under_any_base() {
        assert_eq!(plain("/v1/chat/completions"), Api::Chat);
        assert_eq!(plain("/chat/completions"), Api::Chat);
        assert_eq!(plain("/openai/v1/completions"), Api::Completions);
        assert_eq!(plain("/v1/responses"), Api::Responses);
        assert_eq!(plain("/v1/messages"), Api::Messages);
        assert_eq!(plain("/anthropic/v1/messages/count_tokens"), Api::CountTokens);
        assert_eq!(plain("/v1/models/meta/llama"), Api::Model(Face::OpenAi));
        assert_eq!(plain("/v1/models"), Api::Models(Face::OpenAi));
        let verb = Verb::Stream { sse: true };
        assert_eq!(plain("/v1/models/gemini-3:streamGenerateContent?alt=sse"), Api::Gemini(verb));
        assert_eq!(plain("/v1beta/tunedModels/a:generateContent"), Api::Gemini(Verb::Generate));
    }

    #[test]
    fn models_are_told_in_the_words_of_whom_the_request_is_for() {
        for (path, header, face) in [
            ("/v1/models", "anthropic-version", Face::Anthropic),
            ("/v1/models", "x-goog-api-key", Face::Gemini),
            ("/v1beta/models", "accept", Face::Gemini),
            ("/v1beta/openai/models", "authorization", Face::OpenAi),
        ] {
            assert_eq!(of(path, header), Api::Models(face), "{path} {header}");
            assert_eq!(of(&format!("{path}/a:b"), header), Api::Model(face), "{path} {header}");
        }
    }

    #[test]
    fn what_only_looks_like_an_api_is_none() {
        for path in
            ["/", "/v1/xcompletions", "/v1/responses/resp_1", "/v1/models/", "/v1/files", "/xmessages"]
        {
            assert_eq!(plain(path), Api::Unknown(Face::OpenAi), "{path}");
        }
    }
}
