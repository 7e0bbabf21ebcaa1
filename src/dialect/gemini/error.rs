//! Gemini's error JSON: ours, and what it says of its own.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;

use crate::dialect::error::{Cause, Problem, Said};

/// The status that goes with a cause.
pub(crate) fn status(_cause: Cause) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}

/// The error as a JSON body.
pub(crate) fn body(_problem: &Problem<'_>) -> Bytes {
    Bytes::new()
}

/// The error as one event.
pub(crate) fn stream_event(_problem: &Problem<'_>) -> Bytes {
    Bytes::new()
}

/// The error of a body as an event. None where the body has none, is no JSON in UTF-8, or is too large.
pub(crate) fn event_of(_body: &[u8]) -> Option<Bytes> {
    None
}

/// What an error says.
pub(crate) fn said(_body: &[u8]) -> Said {
    Said::Nothing
}

/// Its sentence.
pub(crate) fn message(_body: &[u8]) -> Option<Cow<'_, str>> {
    None
}

/// Another dialect's error in this one.
pub(crate) fn revoiced(status: Option<StatusCode>, _said: Said, _message: &str) -> (StatusCode, Bytes) {
    (status.unwrap_or(StatusCode::BAD_GATEWAY), Bytes::new())
}

/// How long an error asks to wait.
pub(crate) fn retry_after(_body: &[u8]) -> Option<std::time::Duration> {
    None
}
