//! Gemini's error JSON, `{"error":{"code","message","status","details"}}`: ours, and what it says of its own.

mod said;
mod wait;

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

pub(crate) use self::said::said;
pub(crate) use self::wait::retry_after;
use crate::dialect::error::{Cause, Problem, Said};
use crate::dialect::json::{self, Kind, Value};
use crate::dialect::sse::MAX_EVENT;

/// The status that goes with a cause.
pub(crate) fn status(cause: Cause) -> StatusCode {
    match cause {
        Cause::InvalidJson
        | Cause::InvalidRequest
        | Cause::FieldNotAllowed
        | Cause::UnsupportedParameter
        | Cause::ContextTooLong => StatusCode::BAD_REQUEST,
        Cause::Unauthenticated => StatusCode::UNAUTHORIZED,
        Cause::PaymentRequired => StatusCode::PAYMENT_REQUIRED,
        Cause::ModelNotAllowed => StatusCode::FORBIDDEN,
        Cause::ModelNotFound | Cause::UnknownPath => StatusCode::NOT_FOUND,
        Cause::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Cause::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Cause::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Cause::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Cause::RateLimited | Cause::BudgetSpent => StatusCode::TOO_MANY_REQUESTS,
        Cause::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Cause::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Cause::UpstreamAuthFailed | Cause::UpstreamFailed | Cause::StreamInterrupted => {
            StatusCode::BAD_GATEWAY
        }
        Cause::NoProviderAvailable | Cause::Overloaded | Cause::LedgerUnavailable | Cause::ShuttingDown => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Cause::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// The error as a JSON body.
pub(crate) fn body(problem: &Problem<'_>) -> Bytes {
    written(status(problem.cause), problem.message, problem.cause.code(), problem.param, problem.wait)
}

/// The error as one event.
pub(crate) fn stream_event(problem: &Problem<'_>) -> Bytes {
    [b"data: ", body(problem).as_ref(), b"\r\n\r\n"].concat().into()
}

/// The error of a body as an event. None where the body has none, is no JSON in UTF-8, or is too large.
pub(crate) fn event_of(body: &[u8]) -> Option<Bytes> {
    std::str::from_utf8(body).ok()?;
    let error = error_in(body)?;
    let (open, close) = match error.kind {
        Kind::Object => ("data: {\"error\":", "}\r\n\r\n"),
        Kind::String => ("data: {\"error\":{\"message\":", "}}\r\n\r\n"),
        Kind::Null | Kind::True | Kind::False | Kind::Number | Kind::Array => return None,
    };
    let mut event = Vec::with_capacity(open.len() + error.range.len() + close.len());
    event.extend_from_slice(open.as_bytes());
    // Within strings JSON has no line breaks; between its tokens they mean nothing.
    event.extend(error.raw().iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    event.extend_from_slice(close.as_bytes());
    (event.len() <= MAX_EVENT).then(|| event.into())
}

/// Its sentence.
pub(crate) fn message(body: &[u8]) -> Option<Cow<'_, str>> {
    let error = error_in(body)?;
    let sentence = if error.kind == Kind::String { error } else { error.member("message")? };
    (sentence.kind == Kind::String && !sentence.is_blank()).then(|| json::unquoted(sentence.raw()))
}

/// Another dialect's error in this one. A status of its own has only what says nothing that we know, and what is at
/// fault in the call.
pub(crate) fn revoiced(status: Option<StatusCode>, said: Said, message: &str) -> (StatusCode, Bytes) {
    let told = |kind: fn(&StatusCode) -> bool| status.filter(kind);
    let status = match said {
        Said::RateLimited | Said::OutOfCredit => StatusCode::TOO_MANY_REQUESTS,
        // It was ours that was refused: the caller's is good.
        Said::KeyRefused => StatusCode::BAD_GATEWAY,
        Said::ModelUnknown => StatusCode::NOT_FOUND,
        Said::ContextTooLong | Said::ContentFiltered => StatusCode::BAD_REQUEST,
        Said::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        Said::BadRequest => told(StatusCode::is_client_error).unwrap_or(StatusCode::BAD_REQUEST),
        Said::Nothing => told(|status| status.is_client_error() || status.is_server_error())
            .unwrap_or(StatusCode::BAD_GATEWAY),
    };
    (status, written(status, message, said.name(), None, None))
}

/// The value that is the error, which may stand in a list; none where nothing says something.
pub(super) fn error_in(body: &[u8]) -> Option<Value<'_>> {
    unlisted(json::document(body).ok()?)?.member("error").filter(|error| !error.is_blank())
}

/// A document, or the first entry of the list that Google puts around it at times.
pub(super) fn unlisted(document: Value<'_>) -> Option<Value<'_>> {
    if document.kind == Kind::Array { document.elements().next() } else { Some(document) }
}

/// Google's word for a status.
fn word(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        405 | 501 => "UNIMPLEMENTED",
        402 | 429 => "RESOURCE_EXHAUSTED",
        408 | 504 => "DEADLINE_EXCEEDED",
        409 => "ABORTED",
        499 => "CANCELLED",
        503 | 529 => "UNAVAILABLE",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}

/// An error of ours. Google's place for a code of one's own, and for the field at fault, is a detail.
/// Nor do its SDKs read a header: how long to wait is a detail too.
fn written(
    status: StatusCode,
    message: &str,
    reason: &str,
    param: Option<&str>,
    wait: Option<Duration>,
) -> Bytes {
    #[derive(Serialize)]
    struct Body<'a> {
        error: ErrorObject<'a>,
    }
    #[derive(Serialize)]
    struct ErrorObject<'a> {
        code: u16,
        message: &'a str,
        status: &'static str,
        details: Vec<Detail<'a>>,
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Detail<'a> {
        Info(Info<'a>),
        Retry(Retry),
    }
    #[derive(Serialize)]
    struct Retry {
        #[serde(rename = "@type")]
        kind: &'static str,
        #[serde(rename = "retryDelay")]
        delay: String,
    }
    #[derive(Serialize)]
    struct Info<'a> {
        #[serde(rename = "@type")]
        kind: &'static str,
        reason: String,
        domain: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        metadata: Option<Metadata<'a>>,
    }
    #[derive(Serialize)]
    struct Metadata<'a> {
        param: &'a str,
    }
    let info = Info {
        kind: "type.googleapis.com/google.rpc.ErrorInfo",
        reason: reason.to_ascii_uppercase(),
        domain: "egret",
        metadata: param.map(|param| Metadata { param }),
    };
    let retry = wait.map(|wait| Retry {
        kind: "type.googleapis.com/google.rpc.RetryInfo",
        delay: format!("{}s", wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
    });
    let details = [Detail::Info(info)].into_iter().chain(retry.map(Detail::Retry)).collect();
    let error = ErrorObject { code: status.as_u16(), message, status: word(status), details };
    // Structs of strings and numbers always serialize.
    serde_json::to_vec(&Body { error }).unwrap_or_default().into()
}

#[cfg(test)]
mod tests;
