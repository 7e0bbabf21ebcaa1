//! What a request asks for, by method and path.

use std::borrow::Cow;

use http::{Method, Uri};

use super::refusal::Refusal;
use crate::dialect::error::Cause;
use crate::dialect::paths::{self, Asked};
use crate::dialect::{Api, Dialect};

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation<'a> {
    /// Something that a provider does; of Gemini's operations the path says of which model, and whether as a stream.
    Relay(Api, Option<Box<InPath<'a>>>),
    /// The names that the caller may use.
    ListModels(Dialect),
    /// One of them.
    ShowModel(Dialect, Cow<'a, str>),
}

/// What Gemini's paths say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InPath<'a> {
    /// The name asked for.
    pub(super) model: Cow<'a, str>,
    pub(super) stream: bool,
}

impl Operation<'_> {
    /// The name in logs and metrics.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Relay(api, _) => api.name(),
            Self::ListModels(_) | Self::ShowModel(..) => "models",
        }
    }

    /// Method and path's pattern: the name of its span.
    pub(super) fn title(&self) -> &'static str {
        match self {
            Self::Relay(api, in_path) => title(*api, in_path.as_ref().is_some_and(|path| path.stream)),
            Self::ListModels(Dialect::OpenAi | Dialect::Anthropic) => "GET /v1/models",
            Self::ShowModel(Dialect::OpenAi | Dialect::Anthropic, _) => "GET /v1/models/{id}",
            Self::ListModels(Dialect::Gemini) => "GET /v1beta/models",
            Self::ShowModel(Dialect::Gemini, _) => "GET /v1beta/models/{model}",
        }
    }

    fn method(&self) -> Method {
        match self {
            Self::Relay(..) => Method::POST,
            Self::ListModels(_) | Self::ShowModel(..) => Method::GET,
        }
    }
}

fn title(api: Api, stream: bool) -> &'static str {
    match api {
        Api::Chat => "POST /v1/chat/completions",
        Api::Completions => "POST /v1/completions",
        Api::Embeddings => "POST /v1/embeddings",
        Api::Responses => "POST /v1/responses",
        Api::Messages => "POST /v1/messages",
        Api::CountTokens => "POST /v1/messages/count_tokens",
        Api::Generate if stream => "POST /v1beta/models/{model}:streamGenerateContent",
        Api::Generate => "POST /v1beta/models/{model}:generateContent",
        Api::EmbedContent => "POST /v1beta/models/{model}:embedContent",
        Api::BatchEmbedContents => "POST /v1beta/models/{model}:batchEmbedContents",
        Api::CountContentTokens => "POST /v1beta/models/{model}:countTokens",
    }
}

/// Reads method and path; a refusal where nothing is served there.
pub(super) fn find<'a>(method: &Method, uri: &'a Uri, face: Dialect) -> Result<Operation<'a>, Refusal> {
    let path = uri.path();
    let operation = match paths::asked(path).ok_or_else(|| unknown(path))? {
        Asked::Operation(api) => Operation::Relay(api, None),
        Asked::OfModel { api, model, stream } => {
            Operation::Relay(api, Some(Box::new(InPath { model, stream })))
        }
        Asked::Models => Operation::ListModels(face),
        Asked::Model(id) => Operation::ShowModel(face, id),
    };
    let expected = operation.method();
    if *method != expected {
        let message = format!("This path takes {expected} requests only.");
        return Err(Refusal::new(Cause::MethodNotAllowed, message));
    }
    match &operation {
        Operation::Relay(_, Some(in_path)) if in_path.stream && !asks_events(uri) => {
            // Google's other form, one growing JSON array, is what no SDK asks for.
            let message = "A stream is sent as events only: ask for `?alt=sse`.";
            Err(Refusal::new(Cause::InvalidRequest, message).param("alt"))
        }
        Operation::Relay(..) | Operation::ListModels(_) | Operation::ShowModel(..) => Ok(operation),
    }
}

fn asks_events(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|pair| matches!(pair, "alt=sse" | "$alt=sse")))
}

fn unknown(path: &str) -> Refusal {
    let hint = if path.starts_with("/v1/") || path.starts_with("/v1beta/") {
        ""
    } else {
        " The base URL of an OpenAI client ends in /v1, that of others in nothing."
    };
    let served = "POST /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/responses; /v1/messages, \
                  /v1/messages/count_tokens; /v1beta/models/{model}: with generateContent, streamGenerateContent, \
                  embedContent, batchEmbedContents, countTokens; GET /v1/models, /v1beta/models";
    Refusal::new(Cause::UnknownPath, format!("egret does not serve this path.{hint} Served are {served}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(method: &Method, path: &'static str) -> Result<Operation<'static>, Cause> {
        // Leaked: the operation borrows from it, and a test ends soon.
        let uri = Box::leak(Box::new(Uri::from_static(path)));
        find(method, uri, paths::face(uri.path(), &http::HeaderMap::new())).map_err(|refusal| refusal.cause())
    }

    #[test]
    fn paths_are_operations() {
        assert_eq!(at(&Method::POST, "/v1/chat/completions"), Ok(Operation::Relay(Api::Chat, None)));
        assert_eq!(at(&Method::POST, "/v1/messages"), Ok(Operation::Relay(Api::Messages, None)));
        assert_eq!(at(&Method::GET, "/v1/models"), Ok(Operation::ListModels(Dialect::OpenAi)));
        assert_eq!(at(&Method::GET, "/v1beta/models"), Ok(Operation::ListModels(Dialect::Gemini)));
        let one = Operation::ShowModel(Dialect::OpenAi, "a/b".into());
        assert_eq!(at(&Method::GET, "/v1/models/a/b"), Ok(one));
        let in_path = Some(Box::new(InPath { model: "g".into(), stream: true }));
        assert_eq!(
            at(&Method::POST, "/v1beta/models/g:streamGenerateContent?key=x&alt=sse"),
            Ok(Operation::Relay(Api::Generate, in_path))
        );
    }

    #[test]
    fn another_path_or_method_is_refused() {
        for path in ["/", "/v1", "/chat/completions", "/v1/chat/completions/", "/v1/models/", "/v1//models"] {
            assert_eq!(at(&Method::POST, path), Err(Cause::UnknownPath), "{path}");
        }
        assert_eq!(at(&Method::GET, "/v1/embeddings"), Err(Cause::MethodNotAllowed));
        assert_eq!(at(&Method::DELETE, "/v1/models/a"), Err(Cause::MethodNotAllowed));
        assert_eq!(at(&Method::POST, "/v1/models/g:streamGenerateContent"), Err(Cause::InvalidRequest));
    }
}
