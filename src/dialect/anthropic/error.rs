//! Anthropic's error JSON: `{"type":"error","error":{"type","message"}}`, ours, and what it says of its own.

mod said;

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

pub(crate) use self::said::said;
use crate::dialect::error::{Cause, Problem, Said};
use crate::dialect::json::{self, Kind, Value};
use crate::dialect::sse::MAX_EVENT;

/// Anthropic's own status for having no room.
const OVERLOADED: u16 = 529;

/// By these words callers know that a prompt is too long: there is no type of its own for it.
const TOO_LONG: &str = "prompt is too long";

/// The code of a budget that is spent. Its SDKs raise an error of its own for it.
const SPENT: &str = "enforced_spend_limit_reached";

/// The status that goes with a cause.
pub(crate) fn status(cause: Cause) -> StatusCode {
    match cause {
        Cause::InvalidJson
        | Cause::InvalidRequest
        | Cause::FieldNotAllowed
        | Cause::UnsupportedParameter
        | Cause::ContextTooLong => StatusCode::BAD_REQUEST,
        Cause::Unauthenticated => StatusCode::UNAUTHORIZED,
        Cause::ModelNotAllowed => StatusCode::FORBIDDEN,
        Cause::ModelNotFound | Cause::UnknownPath => StatusCode::NOT_FOUND,
        Cause::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Cause::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Cause::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Cause::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Cause::RateLimited | Cause::BudgetSpent => StatusCode::TOO_MANY_REQUESTS,
        Cause::PaymentRequired => StatusCode::PAYMENT_REQUIRED,
        Cause::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Cause::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Cause::UpstreamAuthFailed | Cause::UpstreamFailed | Cause::StreamInterrupted => {
            StatusCode::BAD_GATEWAY
        }
        Cause::NoProviderAvailable | Cause::Overloaded | Cause::LedgerUnavailable | Cause::ShuttingDown => {
            overloaded()
        }
        Cause::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

fn overloaded() -> StatusCode {
    StatusCode::from_u16(OVERLOADED).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}

fn type_of(cause: Cause) -> &'static str {
    match cause {
        Cause::Unauthenticated => "authentication_error",
        Cause::ModelNotAllowed => "permission_error",
        Cause::ModelNotFound | Cause::UnknownPath => "not_found_error",
        Cause::MethodNotAllowed
        | Cause::InvalidJson
        | Cause::InvalidRequest
        | Cause::FieldNotAllowed
        | Cause::UnsupportedParameter
        | Cause::ContextTooLong
        | Cause::UnsupportedMediaType => "invalid_request_error",
        Cause::RequestTooLarge | Cause::HeadTooLarge => "request_too_large",
        Cause::RequestTimeout | Cause::UpstreamTimeout => "timeout_error",
        Cause::RateLimited | Cause::BudgetSpent => "rate_limit_error",
        Cause::PaymentRequired => "billing_error",
        Cause::NoProviderAvailable | Cause::Overloaded | Cause::LedgerUnavailable | Cause::ShuttingDown => {
            "overloaded_error"
        }
        Cause::UpstreamAuthFailed | Cause::UpstreamFailed | Cause::StreamInterrupted | Cause::Internal => {
            "api_error"
        }
    }
}

/// The error as a JSON body. Its field has no place of its own: where the sentence does not name it, it stands before.
pub(crate) fn body(problem: &Problem<'_>) -> Bytes {
    let details = (problem.cause == Cause::BudgetSpent).then_some(Details { error_code: SPENT });
    let mut message = match problem.param {
        Some(param) if !problem.message.contains(param) => {
            Cow::Owned(format!("{param}: {}", problem.message))
        }
        Some(_) | None => Cow::Borrowed(problem.message),
    };
    if problem.cause == Cause::ContextTooLong {
        message = too_long(message);
    }
    written(type_of(problem.cause), &message, details)
}

/// The error as one event.
pub(crate) fn stream_event(problem: &Problem<'_>) -> Bytes {
    event(&body(problem))
}

/// The error of a body as an event. None where the body has none, is no JSON in UTF-8, or is too large.
pub(crate) fn event_of(body: &[u8]) -> Option<Bytes> {
    std::str::from_utf8(body).ok()?;
    let error = error_in(body)?;
    let data = match error.kind {
        Kind::Object => [b"{\"type\":\"error\",\"error\":", error.raw(), b"}"].concat().into(),
        Kind::String => written("api_error", &json::unquoted(error.raw()), None),
        Kind::Null | Kind::True | Kind::False | Kind::Number | Kind::Array => return None,
    };
    Some(event(&data)).filter(|event| event.len() <= MAX_EVENT)
}

/// Its sentence.
pub(crate) fn message(body: &[u8]) -> Option<Cow<'_, str>> {
    let error = error_in(body)?;
    let text = if error.kind == Kind::String { Some(error) } else { error.member("message") };
    text.filter(|text| text.kind == Kind::String && !text.is_blank()).map(|text| json::unquoted(text.raw()))
}

/// Another dialect's error in this one.
pub(crate) fn revoiced(status: Option<StatusCode>, said: Said, message: &str) -> (StatusCode, Bytes) {
    let status = match said {
        Said::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Said::OutOfCredit => StatusCode::PAYMENT_REQUIRED,
        Said::KeyRefused if status == Some(StatusCode::FORBIDDEN) => StatusCode::FORBIDDEN,
        Said::KeyRefused => StatusCode::UNAUTHORIZED,
        Said::ModelUnknown => StatusCode::NOT_FOUND,
        Said::ContextTooLong | Said::ContentFiltered => StatusCode::BAD_REQUEST,
        Said::Overloaded => overloaded(),
        // It says itself how it is at fault.
        Said::BadRequest => status.filter(StatusCode::is_client_error).unwrap_or(StatusCode::BAD_REQUEST),
        Said::Nothing => status.filter(is_failure).unwrap_or(StatusCode::BAD_GATEWAY),
    };
    let message = match said {
        Said::ContextTooLong => too_long(Cow::Borrowed(message)),
        Said::RateLimited
        | Said::OutOfCredit
        | Said::KeyRefused
        | Said::ModelUnknown
        | Said::ContentFiltered
        | Said::Overloaded
        | Said::BadRequest
        | Said::Nothing => Cow::Borrowed(message),
    };
    (status, written(type_of_status(status), &message, None))
}

fn is_failure(status: &StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// The type that Anthropic answers with a status.
fn type_of_status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | OVERLOADED => "overloaded_error",
        400..500 => "invalid_request_error",
        _ => "api_error",
    }
}

fn too_long(message: Cow<'_, str>) -> Cow<'_, str> {
    if message.to_ascii_lowercase().contains(TOO_LONG) {
        return message;
    }
    Cow::Owned(format!("{TOO_LONG}: {message}"))
}

/// A member `error` that says something.
fn error_in(body: &[u8]) -> Option<Value<'_>> {
    json::document(body).ok()?.member("error").filter(|error| !error.is_blank())
}

#[derive(Serialize)]
struct Details {
    error_code: &'static str,
}

/// In the order in which Anthropic writes it.
fn written(kind: &str, message: &str, details: Option<Details>) -> Bytes {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        error: ErrorObject<'a>,
    }
    #[derive(Serialize)]
    struct ErrorObject<'a> {
        #[serde(rename = "type")]
        kind: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        details: Option<Details>,
    }
    let body = Body { kind: "error", error: ErrorObject { kind, message, details } };
    // Structs of strings always serialize.
    serde_json::to_vec(&body).unwrap_or_default().into()
}

fn event(data: &[u8]) -> Bytes {
    const HEAD: &[u8] = b"event: error\ndata: ";
    let mut event = Vec::with_capacity(HEAD.len() + data.len() + 2);
    event.extend_from_slice(HEAD);
    // Within strings JSON has no line breaks; between its tokens they mean nothing.
    event.extend(data.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    event.extend_from_slice(b"\n\n");
    event.into()
}

#[cfg(test)]
mod tests;
