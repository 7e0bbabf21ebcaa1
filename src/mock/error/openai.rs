//! OpenAI's errors: type, code and, where one parameter is at fault, which.

use http::StatusCode;
use serde_json::{Value, json};

use crate::mock::script::ErrorCode;

const INVALID: &str = "invalid_request_error";

pub(super) fn object(kind: &str, code: Option<&str>, param: Option<&str>, message: &str) -> Value {
    json!({ "message": message, "type": kind, "param": param, "code": code })
}

pub(super) fn of_code(code: ErrorCode) -> (StatusCode, Value) {
    let (status, kind, param, message) = match code {
        ErrorCode::ContextLengthExceeded => {
            (StatusCode::BAD_REQUEST, INVALID, Some("messages"), CONTEXT_LENGTH)
        }
        ErrorCode::ContentPolicyViolation => {
            (StatusCode::BAD_REQUEST, INVALID, None, "Our policies do not allow this request.")
        }
        ErrorCode::ContentFilter => (StatusCode::BAD_REQUEST, INVALID, Some("prompt"), FILTERED),
        ErrorCode::InvalidApiKey => (StatusCode::UNAUTHORIZED, INVALID, None, "Incorrect API key provided."),
        ErrorCode::ModelNotFound => {
            (StatusCode::NOT_FOUND, INVALID, Some("model"), "The model does not exist.")
        }
        ErrorCode::RateLimitExceeded => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", None, RATE_LIMIT),
        ErrorCode::InsufficientQuota => (StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", None, NO_QUOTA),
        ErrorCode::CreditBalanceExhausted => {
            (StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", None, NO_CREDIT)
        }
        ErrorCode::SlowDown => {
            let message = "Your traffic grows too fast; slow down.";
            (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", None, message)
        }
        ErrorCode::ServerIsOverloaded => {
            (StatusCode::SERVICE_UNAVAILABLE, "service_unavailable_error", None, OVERLOADED)
        }
    };
    (status, object(kind, Some(code.as_str()), param, message))
}

/// What breaks a stream for no reason that is told.
pub(super) fn broken() -> Value {
    object("server_error", Some("server_error"), None, SERVER_ERROR)
}

/// Any status is possible, so what is not listed is sorted by its class.
pub(super) fn of_status(status: StatusCode) -> Value {
    let (kind, code, message) = match status.as_u16() {
        400 => (INVALID, Some("unsupported_value"), "Unsupported value in the request."),
        401 => (INVALID, Some("invalid_api_key"), "Incorrect API key provided."),
        402 => ("insufficient_quota", Some("credit_balance_exhausted"), NO_CREDIT),
        403 => (INVALID, Some("unsupported_country_region_territory"), "Not available in your region."),
        404 => {
            (INVALID, Some("model_not_found"), "The model does not exist or you do not have access to it.")
        }
        408 => ("server_error", Some("timeout"), "The request timed out."),
        409 => (INVALID, Some("conflict"), "The request conflicts with another."),
        429 => ("rate_limit_error", Some("rate_limit_exceeded"), RATE_LIMIT),
        503 => ("service_unavailable_error", Some("server_is_overloaded"), OVERLOADED),
        _ if status.is_client_error() => (INVALID, None, "The request was refused."),
        _ => ("server_error", None, SERVER_ERROR),
    };
    object(kind, code, None, message)
}

const CONTEXT_LENGTH: &str = "This model's maximum context length is 8192 tokens. However, your messages \
     resulted in 9000 tokens. Please reduce the length of the messages.";
const FILTERED: &str =
    "The response was filtered due to the prompt triggering the content management policy.";
const RATE_LIMIT: &str = "Rate limit reached for requests per minute.";
const NO_CREDIT: &str = "Your credit balance is used up.";
const NO_QUOTA: &str = "You exceeded your current quota, please check your plan and billing details.";
const OVERLOADED: &str = "The server is overloaded; please try again later.";
const SERVER_ERROR: &str = "The server had an error while processing your request.";
