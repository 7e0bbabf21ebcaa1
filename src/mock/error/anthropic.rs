//! Anthropic's errors: a type for each status; where money or a ramp is the cause, a code under `details`.

use http::StatusCode;
use serde_json::{Value, json};

use crate::mock::script::ErrorCode;

/// 529: Anthropic's own status for too much to do.
const OVERLOADED: u16 = 529;

pub(super) fn object(status: StatusCode, message: &str) -> Value {
    json!({ "type": kind(status), "message": message })
}

pub(super) fn of_status(status: StatusCode) -> Value {
    object(status, message(status))
}

pub(super) fn of_code(code: ErrorCode) -> (StatusCode, Value) {
    let (status, message, detail) = match code {
        ErrorCode::ContextLengthExceeded => {
            (StatusCode::BAD_REQUEST, "prompt is too long: 9000 tokens > 8192 maximum", None)
        }
        ErrorCode::ContentPolicyViolation | ErrorCode::ContentFilter => {
            (StatusCode::BAD_REQUEST, "Output blocked by content filtering policy", None)
        }
        ErrorCode::InvalidApiKey => plain(StatusCode::UNAUTHORIZED),
        ErrorCode::ModelNotFound => plain(StatusCode::NOT_FOUND),
        ErrorCode::RateLimitExceeded => plain(StatusCode::TOO_MANY_REQUESTS),
        ErrorCode::InsufficientQuota => {
            let message = "You have reached your specified usage limits.";
            (StatusCode::TOO_MANY_REQUESTS, message, Some("enforced_spend_limit_reached"))
        }
        ErrorCode::CreditBalanceExhausted => plain(StatusCode::PAYMENT_REQUIRED),
        ErrorCode::SlowDown => {
            let message = "Your traffic grows too fast; ramp up more slowly.";
            (StatusCode::TOO_MANY_REQUESTS, message, Some("ramp_limit_exceeded"))
        }
        ErrorCode::ServerIsOverloaded => {
            plain(StatusCode::from_u16(OVERLOADED).unwrap_or(StatusCode::SERVICE_UNAVAILABLE))
        }
    };
    let mut object = object(status, message);
    if let Some(detail) = detail {
        object["details"] = json!({ "error_code": detail });
    }
    (status, object)
}

/// As the status alone says it.
fn plain(status: StatusCode) -> (StatusCode, &'static str, Option<&'static str>) {
    (status, message(status), None)
}

fn kind(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        OVERLOADED => "overloaded_error",
        _ if status.is_client_error() => "invalid_request_error",
        _ => "api_error",
    }
}

fn message(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "invalid x-api-key",
        402 => "Your credit balance is too low to access the API.",
        403 => "Your API key does not have permission to use the specified resource.",
        404 => "model: no such model",
        408 | 504 => "Request timed out",
        413 => "Request exceeds the maximum size",
        429 => "This request would exceed your rate limit of requests per minute.",
        OVERLOADED => "Overloaded",
        _ if status.is_client_error() => "The request was refused.",
        _ => "Internal server error",
    }
}
