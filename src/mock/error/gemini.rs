//! Gemini's errors: a status word, and details that say what to do. It asks to wait in `RetryInfo`, not in a header.

use http::StatusCode;
use serde_json::{Value, json};

use crate::mock::script::ErrorCode;

pub(super) fn object(status: StatusCode, message: &str) -> Value {
    json!({ "code": status.as_u16(), "message": message, "status": word(status) })
}

pub(super) fn of_status(status: StatusCode, retry_after: Option<u32>) -> Value {
    let mut details = match status.as_u16() {
        429 => vec![quota_failure("GenerateRequestsPerMinutePerProjectPerModel")],
        _ => Vec::new(),
    };
    details.extend(retry_after.map(retry_info));
    with_details(object(status, message(status)), details)
}

pub(super) fn of_code(code: ErrorCode) -> (StatusCode, Value) {
    let quota = "You exceeded your current quota, please check your plan and billing details.";
    let (status, message, details) = match code {
        ErrorCode::ContextLengthExceeded => (StatusCode::BAD_REQUEST, CONTEXT_LENGTH, Vec::new()),
        ErrorCode::ContentPolicyViolation | ErrorCode::ContentFilter => {
            (StatusCode::BAD_REQUEST, "The request was blocked: PROHIBITED_CONTENT.", Vec::new())
        }
        ErrorCode::InvalidApiKey => {
            let message = "API key not valid. Please pass a valid API key.";
            (StatusCode::BAD_REQUEST, message, vec![error_info("API_KEY_INVALID")])
        }
        ErrorCode::ModelNotFound => plain(StatusCode::NOT_FOUND),
        ErrorCode::RateLimitExceeded => {
            let details = vec![quota_failure("GenerateRequestsPerMinutePerProjectPerModel")];
            (StatusCode::TOO_MANY_REQUESTS, quota, details)
        }
        ErrorCode::InsufficientQuota => {
            let details = vec![quota_failure("GenerateRequestsPerDayPerProjectPerModel")];
            (StatusCode::TOO_MANY_REQUESTS, quota, details)
        }
        ErrorCode::CreditBalanceExhausted => plain(StatusCode::PAYMENT_REQUIRED),
        ErrorCode::SlowDown => {
            (StatusCode::TOO_MANY_REQUESTS, "Resource has been exhausted (e.g. check quota).", Vec::new())
        }
        ErrorCode::ServerIsOverloaded => plain(StatusCode::SERVICE_UNAVAILABLE),
    };
    (status, with_details(object(status, message), details))
}

/// As the status alone says it.
fn plain(status: StatusCode) -> (StatusCode, &'static str, Vec<Value>) {
    (status, message(status), Vec::new())
}

fn with_details(mut object: Value, details: Vec<Value>) -> Value {
    if !details.is_empty() {
        object["details"] = Value::Array(details);
    }
    object
}

fn retry_info(seconds: u32) -> Value {
    json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds}s") })
}

fn quota_failure(id: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{
            "quotaMetric": "generativelanguage.googleapis.com/generate_content_requests",
            "quotaId": id,
            "quotaValue": "10",
        }],
    })
}

fn error_info(reason: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": { "service": "generativelanguage.googleapis.com" },
    })
}

const CONTEXT_LENGTH: &str =
    "The input token count (9000) exceeds the maximum number of tokens allowed (8192).";

fn word(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "UNAUTHENTICATED",
        402 | 429 => "RESOURCE_EXHAUSTED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        499 => "CANCELLED",
        501 => "UNIMPLEMENTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ if status.is_client_error() => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    }
}

fn message(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "Request contains an invalid argument.",
        401 => "Request is missing required authentication credential.",
        402 => "Your prepaid balance is used up.",
        403 => "The caller does not have permission.",
        404 => "models/no-such-model is not found for API version v1beta.",
        429 => "Quota exceeded for requests per minute.",
        503 => "The model is overloaded. Please try again later.",
        504 => "Deadline expired before operation could complete.",
        _ if status.is_client_error() => "The request was refused.",
        _ => "An internal error has occurred.",
    }
}
