//! OpenAI's errors, as the provider itself words them.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::script::ErrorCode;

/// An error answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<&'static str>,
    message: String,
    /// Seconds.
    pub(super) retry_after: Option<u32>,
}

impl ApiError {
    /// 400: the request itself is wrong.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", None, message)
    }

    /// The error that a provider sends with this status.
    pub(super) fn of_status(status: u16, retry_after: Option<u32>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (kind, code, message) = of_status(status);
        Self { retry_after, ..Self::new(status, kind, code, message) }
    }

    /// The error of a code.
    pub(super) fn of_code(code: ErrorCode) -> Self {
        let invalid = "invalid_request_error";
        let (status, kind, param, message) = match code {
            ErrorCode::ContextLengthExceeded => (400, invalid, Some("messages"), CONTEXT_LENGTH),
            ErrorCode::ContentPolicyViolation => {
                (400, invalid, None, "Our policies do not allow this request.")
            }
            ErrorCode::ContentFilter => (400, invalid, Some("prompt"), FILTERED),
            ErrorCode::InvalidApiKey => (401, invalid, None, "Incorrect API key provided."),
            ErrorCode::ModelNotFound => (404, invalid, Some("model"), "The model does not exist."),
            ErrorCode::RateLimitExceeded => (429, "rate_limit_error", None, RATE_LIMIT),
            ErrorCode::InsufficientQuota => (429, "insufficient_quota", None, NO_QUOTA),
            ErrorCode::CreditBalanceExhausted => (429, "insufficient_quota", None, NO_CREDIT),
            ErrorCode::SlowDown => (429, "rate_limit_error", None, "Your traffic grows too fast; slow down."),
            ErrorCode::ServerIsOverloaded => (503, "service_unavailable_error", None, OVERLOADED),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, kind, Some(code.as_str()), message).about(param)
    }

    /// A path that is no API.
    pub(super) fn unknown_path(method: &http::Method, path: &str) -> Self {
        let message = format!("Invalid URL ({method} {path})");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", None, message)
    }

    /// An API that exists under another method.
    pub(super) fn wrong_method(method: &http::Method, path: &str) -> Self {
        let message = format!("Not allowed to {method} on {path}.");
        let code = Some("method_not_supported");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", code, message)
    }

    /// A body over the cap.
    pub(super) fn too_large() -> Self {
        let message = "The request body is too large.";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", None, message)
    }

    /// What breaks a 200 from within: the error of a code, else a `server_error`.
    pub(super) fn in_answer(code: Option<ErrorCode>) -> Self {
        if let Some(code) = code {
            return Self::of_code(code);
        }
        let message = "The server had an error while processing your request.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", Some("server_error"), message)
    }

    fn new(
        status: StatusCode,
        kind: &'static str,
        code: Option<&'static str>,
        message: impl Into<String>,
    ) -> Self {
        Self { status, kind, code, param: None, message: message.into(), retry_after: None }
    }

    /// The parameter that is at fault.
    pub(super) fn about(self, param: Option<&'static str>) -> Self {
        Self { param, ..self }
    }

    pub(super) fn with_code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    /// The object under `error`.
    pub(super) fn object(&self) -> Value {
        json!({ "message": self.message, "type": self.kind, "param": self.param, "code": self.code })
    }

    /// The error as a JSON body.
    pub(super) fn body(&self) -> Bytes {
        Bytes::from(json!({ "error": self.object() }).to_string())
    }
}

const CONTEXT_LENGTH: &str = "This model's maximum context length is 8192 tokens. However, your messages \
     resulted in 9000 tokens. Please reduce the length of the messages.";
const FILTERED: &str =
    "The response was filtered due to the prompt triggering the content management policy.";
const RATE_LIMIT: &str = "Rate limit reached for requests per minute.";
const NO_CREDIT: &str = "Your credit balance is used up.";
const NO_QUOTA: &str = "You exceeded your current quota, please check your plan and billing details.";
const OVERLOADED: &str = "The server is overloaded; please try again later.";

/// Type, code and message; any status is possible, so the rest is sorted by its class.
fn of_status(status: StatusCode) -> (&'static str, Option<&'static str>, &'static str) {
    let invalid = "invalid_request_error";
    match status.as_u16() {
        400 => (invalid, Some("unsupported_value"), "Unsupported value in the request."),
        401 => (invalid, Some("invalid_api_key"), "Incorrect API key provided."),
        402 => ("insufficient_quota", Some("credit_balance_exhausted"), NO_CREDIT),
        403 => (invalid, Some("unsupported_country_region_territory"), "Not available in your region."),
        404 => {
            (invalid, Some("model_not_found"), "The model does not exist or you do not have access to it.")
        }
        408 => ("server_error", Some("timeout"), "The request timed out."),
        409 => (invalid, Some("conflict"), "The request conflicts with another."),
        429 => ("rate_limit_error", Some("rate_limit_exceeded"), RATE_LIMIT),
        503 => ("service_unavailable_error", Some("server_is_overloaded"), OVERLOADED),
        _ if status.is_client_error() => (invalid, None, "The request was refused."),
        _ => ("server_error", None, "The server had an error while processing your request."),
    }
}
