//! Where operations are: the paths that callers ask on, and those of providers.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::HeaderName;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::{Api, Dialect};

/// What a caller asks for by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked<'a> {
    /// Something that a provider does.
    Operation(Api),
    /// The same of Gemini's: model and kind of answer stand in the path.
    OfModel {
        /// Which operation.
        api: Api,
        /// The name of the model, percent signs resolved.
        model: Cow<'a, str>,
        /// Whether a stream is asked for.
        stream: bool,
    },
    /// The names that the caller may use.
    Models,
    /// One of them, percent signs resolved.
    Model(Cow<'a, str>),
}

const GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// The versions under which Gemini's SDKs ask, newer and older.
const GEMINI_VERSIONS: [&str; 3] = ["/v1beta/", "/v1/", "/v1alpha/"];

/// The operation of a path; none where there is nothing.
pub fn asked(path: &str) -> Option<Asked<'_>> {
    match path {
        "/v1/chat/completions" => return Some(Asked::Operation(Api::Chat)),
        "/v1/messages" => return Some(Asked::Operation(Api::Messages)),
        "/v1/responses" => return Some(Asked::Operation(Api::Responses)),
        "/v1/embeddings" => return Some(Asked::Operation(Api::Embeddings)),
        "/v1/completions" => return Some(Asked::Operation(Api::Completions)),
        "/v1/messages/count_tokens" => return Some(Asked::Operation(Api::CountTokens)),
        _ => {}
    }
    let below = GEMINI_VERSIONS.iter().find_map(|version| path.strip_prefix(version))?;
    if below == "models" {
        return Some(Asked::Models);
    }
    if let Some((name, method)) = below.rsplit_once(':')
        && let Some((api, stream)) = method_of(method)
    {
        let name =
            name.strip_prefix("models/").or_else(|| name.starts_with("tunedModels/").then_some(name))?;
        return (!name.is_empty()).then(|| Asked::OfModel { api, model: decoded(name), stream });
    }
    let name = below.strip_prefix("models/").filter(|name| !name.is_empty())?;
    Some(Asked::Model(decoded(name)))
}

/// What a caller speaks, by its path, or where several share one by the headers that only its SDK sends.
pub fn face(path: &str, headers: &HeaderMap) -> Dialect {
    match asked(path) {
        Some(Asked::Operation(api) | Asked::OfModel { api, .. }) => return api.dialect(),
        Some(Asked::Models | Asked::Model(_)) | None => {}
    }
    if path.starts_with("/v1beta/") || path.starts_with("/v1alpha/") || headers.contains_key(GOOG_API_KEY) {
        Dialect::Gemini
    } else if path.starts_with("/v1/messages") || headers.contains_key(ANTHROPIC_VERSION) {
        Dialect::Anthropic
    } else {
        Dialect::OpenAi
    }
}

fn method_of(method: &str) -> Option<(Api, bool)> {
    Some(match method {
        "generateContent" => (Api::Generate, false),
        "streamGenerateContent" => (Api::Generate, true),
        "embedContent" => (Api::EmbedContent, false),
        "batchEmbedContents" => (Api::BatchEmbedContents, false),
        "countTokens" => (Api::CountContentTokens, false),
        _ => return None,
    })
}

fn decoded(name: &str) -> Cow<'_, str> {
    percent_decode_str(name).decode_utf8_lossy()
}

/// What may not stand in a path as it is.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// The path of an operation below a provider's base URL, which ends in its version.
pub fn at_provider(api: Api, model: &str, stream: bool) -> Cow<'static, str> {
    Cow::Borrowed(match api {
        Api::Chat => "/chat/completions",
        Api::Completions => "/completions",
        Api::Embeddings => "/embeddings",
        Api::Responses => "/responses",
        Api::Messages => "/messages",
        Api::CountTokens => "/messages/count_tokens",
        Api::Generate if stream => return of_model(model, "streamGenerateContent?alt=sse"),
        Api::Generate => return of_model(model, "generateContent"),
        Api::EmbedContent => return of_model(model, "embedContent"),
        Api::BatchEmbedContents => return of_model(model, "batchEmbedContents"),
        Api::CountContentTokens => return of_model(model, "countTokens"),
    })
}

fn of_model(model: &str, method: &str) -> Cow<'static, str> {
    let collection = if model.starts_with("tunedModels/") { "" } else { "models/" };
    Cow::Owned(format!("/{collection}{}:{method}", utf8_percent_encode(model, ENCODED)))
}

/// The same at Azure's dated API, whose base URL is the resource's own address.
pub fn at_dated_azure(api: Api, model: &str, version: &str) -> Cow<'static, str> {
    let operation = at_provider(api, model, false);
    let version = utf8_percent_encode(version, ENCODED);
    Cow::Owned(match api {
        // The one operation that is of no deployment.
        Api::Responses => format!("/openai{operation}?api-version={version}"),
        Api::Chat
        | Api::Completions
        | Api::Embeddings
        | Api::Messages
        | Api::CountTokens
        | Api::Generate
        | Api::EmbedContent
        | Api::BatchEmbedContents
        | Api::CountContentTokens => {
            let deployment = utf8_percent_encode(model, ENCODED);
            format!("/openai/deployments/{deployment}{operation}?api-version={version}")
        }
    })
}

/// Whether the path of an operation tells whether a stream is asked for.
pub fn tells_streams(api: Api) -> bool {
    api == Api::Generate
}

/// Whether a model's name stands in the path of an operation rather than in its body.
pub fn names_model(api: Api) -> bool {
    api.dialect() == Dialect::Gemini
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_model(api: Api, model: &str, stream: bool) -> Option<Asked<'_>> {
        Some(Asked::OfModel { api, model: Cow::Borrowed(model), stream })
    }

    #[test]
    fn every_sdk_finds_its_operation() {
        assert_eq!(asked("/v1/chat/completions"), Some(Asked::Operation(Api::Chat)));
        assert_eq!(asked("/v1/messages/count_tokens"), Some(Asked::Operation(Api::CountTokens)));
        for version in ["v1", "v1beta"] {
            let path = format!("/{version}/models/gemini-2.5-flash:streamGenerateContent");
            assert_eq!(asked(&path), of_model(Api::Generate, "gemini-2.5-flash", true));
        }
        assert_eq!(
            asked("/v1beta/models/e:batchEmbedContents"),
            of_model(Api::BatchEmbedContents, "e", false)
        );
        assert_eq!(
            asked("/v1beta/tunedModels/x:generateContent"),
            of_model(Api::Generate, "tunedModels/x", false)
        );
        assert_eq!(
            asked("/v1beta/models/org%2Fname:countTokens"),
            of_model(Api::CountContentTokens, "org/name", false)
        );
        assert_eq!(asked("/v1/models"), Some(Asked::Models));
        assert_eq!(asked("/v1/models/a/b"), Some(Asked::Model("a/b".into())));
        assert_eq!(asked("/v1/models/llama3:8b"), Some(Asked::Model("llama3:8b".into())));
    }

    #[test]
    fn a_list_of_models_is_whose_headers_came() {
        let with = |name: Option<HeaderName>| {
            name.map(|name| (name, "x".parse().unwrap())).into_iter().collect::<HeaderMap>()
        };
        assert_eq!(face("/v1/models", &with(None)), Dialect::OpenAi);
        assert_eq!(face("/v1/models", &with(Some(ANTHROPIC_VERSION))), Dialect::Anthropic);
        assert_eq!(face("/v1/models", &with(Some(GOOG_API_KEY))), Dialect::Gemini);
        assert_eq!(face("/v1beta/models/a", &with(None)), Dialect::Gemini);
        // A path of one dialect alone is told by no header.
        assert_eq!(face("/v1/chat/completions", &with(Some(ANTHROPIC_VERSION))), Dialect::OpenAi);
    }

    #[test]
    fn what_is_near_a_path_is_none() {
        for path in [
            "/",
            "/v1",
            "/v1/",
            "/chat/completions",
            "/v1/chat/completions/",
            "/v1//chat/completions",
            "/v1/models/",
            "/v1/images",
            "/v1//models",
            "/V1/models",
            "/v1beta/models/:generateContent",
            "/v1/x:generateContent",
            "/v2/models",
            "/v1/messages/batches",
        ] {
            assert_eq!(asked(path), None, "{path}");
        }
    }

    #[test]
    fn a_models_name_cannot_leave_its_place_in_a_path() {
        let path = at_provider(Api::Generate, "a?key=1#x", true);
        assert_eq!(path, "/models/a%3Fkey=1%23x:streamGenerateContent?alt=sse");
        assert_eq!(at_provider(Api::Generate, "tunedModels/t", false), "/tunedModels/t:generateContent");
        let dated = at_dated_azure(Api::Chat, "my gpt", "2026-05-01");
        assert_eq!(dated, "/openai/deployments/my%20gpt/chat/completions?api-version=2026-05-01");
    }
}
