//! What a request asks for, by method and path.

use http::Method;

use super::refusal::Refusal;
use crate::dialect::Api;
use crate::dialect::error::Cause;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation<'a> {
    /// Something that a provider does.
    Relay(Api),
    /// The names that the caller may use.
    ListModels,
    /// One of them.
    ShowModel(&'a str),
}

impl Operation<'_> {
    /// The name in logs and metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Relay(api) => api.name(),
            Self::ListModels | Self::ShowModel(_) => "models",
        }
    }

    /// Method and path's pattern: the name of its span.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Relay(Api::Chat) => "POST /v1/chat/completions",
            Self::Relay(Api::Completions) => "POST /v1/completions",
            Self::Relay(Api::Embeddings) => "POST /v1/embeddings",
            Self::Relay(Api::Responses) => "POST /v1/responses",
            Self::Relay(_) => "POST",
            Self::ListModels => "GET /v1/models",
            Self::ShowModel(_) => "GET /v1/models/{id}",
        }
    }
}

/// Reads method and path; a refusal where nothing is served there.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Result<Operation<'a>, Refusal> {
    let operation = at_path(path).ok_or_else(|| unknown(path))?;
    let expected = match operation {
        Operation::Relay(_) => &Method::POST,
        Operation::ListModels | Operation::ShowModel(_) => &Method::GET,
    };
    if method == expected {
        Ok(operation)
    } else {
        let message = format!("This path takes {expected} requests only.");
        Err(Refusal::new(Cause::MethodNotAllowed, message))
    }
}

fn at_path(path: &str) -> Option<Operation<'_>> {
    let below = path.strip_prefix("/v1")?;
    if let Some(api) = Api::ALL.into_iter().find(|api| path_of(*api) == Some(below)) {
        return Some(Operation::Relay(api));
    }
    match below.strip_prefix("/models")? {
        "" => Some(Operation::ListModels),
        id => id.strip_prefix('/').filter(|id| !id.is_empty()).map(Operation::ShowModel),
    }
}

fn unknown(path: &str) -> Refusal {
    let hint = if path.starts_with("/v1/") { "" } else { " The base URL of an OpenAI client ends in /v1." };
    let served = "POST /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/responses; GET /v1/models";
    Refusal::new(Cause::UnknownPath, format!("egret does not serve this path.{hint} Served are {served}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_v1_are_operations() {
        let post = |path| find(&Method::POST, path).ok();
        assert_eq!(post("/v1/chat/completions"), Some(Operation::Relay(Api::Chat)));
        assert_eq!(post("/v1/responses"), Some(Operation::Relay(Api::Responses)));
        assert_eq!(find(&Method::GET, "/v1/models").ok(), Some(Operation::ListModels));
        assert_eq!(find(&Method::GET, "/v1/models/a/b").ok(), Some(Operation::ShowModel("a/b")));
    }

    #[test]
    fn another_path_or_method_is_refused() {
        let cause = |method, path| find(&method, path).unwrap_err().cause();
        for path in [
            "/",
            "/v1",
            "/chat/completions",
            "/v1/chat/completions/",
            "/v1/models/",
            "/v1/images",
            "/v1//models",
        ] {
            assert_eq!(cause(Method::POST, path), Cause::UnknownPath, "{path}");
        }
        assert_eq!(cause(Method::GET, "/v1/embeddings"), Cause::MethodNotAllowed);
        assert_eq!(cause(Method::DELETE, "/v1/models/a"), Cause::MethodNotAllowed);
    }
}

fn path_of(api: Api) -> Option<&'static str> {
    match api {
        Api::Chat => Some("/chat/completions"),
        Api::Completions => Some("/completions"),
        Api::Embeddings => Some("/embeddings"),
        Api::Responses => Some("/responses"),
        _ => None,
    }
}
