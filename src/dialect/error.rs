//! Errors of our own in the caller's dialect, so that every SDK raises its usual exception, and what a provider's own
//! say.

mod said;

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

pub use self::said::{Said, retry_after, said};
use super::{Api, Dialect, anthropic, gemini, openai};

/// Why we answer an error ourselves: what decides status, type and code in every dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// No credential, a wrong one, or two different ones.
    Unauthenticated,
    /// The caller may not use the model.
    ModelNotAllowed,
    /// The policy knows no such name.
    ModelNotFound,
    /// The path is not served.
    UnknownPath,
    /// The path is served, but not for this method.
    MethodNotAllowed,
    /// The body is no JSON object.
    InvalidJson,
    /// The body or a header has the wrong content; `param` says where.
    InvalidRequest,
    /// A field that names a model, endpoint or stored prompt which policy does not control.
    FieldNotAllowed,
    /// The call asks for something that no provider behind its model can be told.
    UnsupportedParameter,
    /// The call is longer than any window that the policy lets it go to.
    ContextTooLong,
    /// The content type is not JSON, or the body is compressed.
    UnsupportedMediaType,
    /// The body is larger than `--max-body`.
    RequestTooLarge,
    /// The request's head is larger than 64 KiB.
    HeadTooLarge,
    /// The body did not come in time.
    RequestTimeout,
    /// More calls than a rate allows, or more at once than allowed.
    RateLimited,
    /// A budget is spent, until its window turns.
    BudgetSpent,
    /// The same, where the policy wants it said by 402.
    PaymentRequired,
    /// The process holds as many request bytes as it may.
    Overloaded,
    /// What counts a limit durably does not answer.
    LedgerUnavailable,
    /// Every provider refused our credential.
    UpstreamAuthFailed,
    /// No provider answered.
    NoProviderAvailable,
    /// The last provider did not answer in time.
    UpstreamTimeout,
    /// The only provider broke off, or answered nonsense.
    UpstreamFailed,
    /// A stream broke after it had begun.
    StreamInterrupted,
    /// The process is shutting down.
    ShuttingDown,
    /// A fault of ours.
    Internal,
}

/// One error, before a dialect gave it a form.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// What decides status, type and code.
    pub cause: Cause,
    /// A sentence for the caller. Holds no secret, prompt or answer.
    pub message: &'a str,
    /// The request field at fault.
    pub param: Option<&'a str>,
    /// After how long another try may help. Only Gemini's callers read it in the body.
    pub wait: Option<Duration>,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 26] = [
        Self::Unauthenticated,
        Self::ModelNotAllowed,
        Self::ModelNotFound,
        Self::UnknownPath,
        Self::MethodNotAllowed,
        Self::InvalidJson,
        Self::InvalidRequest,
        Self::FieldNotAllowed,
        Self::UnsupportedParameter,
        Self::ContextTooLong,
        Self::UnsupportedMediaType,
        Self::RequestTooLarge,
        Self::HeadTooLarge,
        Self::RequestTimeout,
        Self::RateLimited,
        Self::BudgetSpent,
        Self::PaymentRequired,
        Self::Overloaded,
        Self::LedgerUnavailable,
        Self::UpstreamAuthFailed,
        Self::NoProviderAvailable,
        Self::UpstreamTimeout,
        Self::UpstreamFailed,
        Self::StreamInterrupted,
        Self::ShuttingDown,
        Self::Internal,
    ];

    /// Whether it is for want of a provider's answer, rather than for what the caller asked or may.
    pub fn is_upstream(self) -> bool {
        matches!(
            self,
            Self::UpstreamAuthFailed
                | Self::NoProviderAvailable
                | Self::UpstreamTimeout
                | Self::UpstreamFailed
                | Self::StreamInterrupted
        )
    }

    /// The stable code of this cause: OpenAI's `code`, the access log's `refusal`, a metric's label.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unauthenticated => "invalid_api_key",
            Self::ModelNotAllowed => "model_not_allowed",
            Self::ModelNotFound => "model_not_found",
            Self::UnknownPath => "unknown_path",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::InvalidJson => "invalid_json",
            Self::InvalidRequest => "invalid_request",
            Self::FieldNotAllowed => "field_not_allowed",
            Self::UnsupportedParameter => "unsupported_parameter",
            Self::ContextTooLong => "context_length_exceeded",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::RequestTooLarge => "request_too_large",
            Self::HeadTooLarge => "head_too_large",
            Self::RequestTimeout => "request_timeout",
            Self::RateLimited => "rate_limit_exceeded",
            Self::BudgetSpent => "insufficient_quota",
            Self::PaymentRequired => "payment_required",
            Self::Overloaded => "overloaded",
            Self::LedgerUnavailable => "ledger_unavailable",
            Self::UpstreamAuthFailed => "upstream_auth_failed",
            Self::NoProviderAvailable => "no_provider_available",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamFailed => "upstream_failed",
            Self::StreamInterrupted => "upstream_stream_interrupted",
            Self::ShuttingDown => "shutting_down",
            Self::Internal => "internal_error",
        }
    }
}

/// The status of an error in a dialect.
pub fn status(dialect: Dialect, cause: Cause) -> StatusCode {
    match dialect {
        Dialect::OpenAi => openai::error::status(cause),
        Dialect::Anthropic => anthropic::error::status(cause),
        Dialect::Gemini => gemini::error::status(cause),
    }
}

/// The body of an error in a dialect.
pub fn body(dialect: Dialect, problem: &Problem<'_>) -> Bytes {
    match dialect {
        Dialect::OpenAi => openai::error::body(problem),
        Dialect::Anthropic => anthropic::error::body(problem),
        Dialect::Gemini => gemini::error::body(problem),
    }
}

/// The event that ends a broken stream, complete with its blank line.
pub fn stream_event(api: Api, problem: &Problem<'_>) -> Bytes {
    match api.dialect() {
        Dialect::OpenAi => openai::error::stream_event(api, problem),
        Dialect::Anthropic => anthropic::error::stream_event(problem),
        Dialect::Gemini => gemini::error::stream_event(problem),
    }
}

/// The event that ends a stream with a provider's own error, complete with its blank line: the error of a JSON body, in
/// its own words. None where the body has no `error` that says something, or is too large for an event.
pub fn error_event_of(api: Api, body: &[u8]) -> Option<Bytes> {
    match api.dialect() {
        Dialect::OpenAi => openai::error::event_of(api, body),
        Dialect::Anthropic => anthropic::error::event_of(body),
        Dialect::Gemini => gemini::error::event_of(body),
    }
}

/// A provider's own error in the dialect of a caller that speaks another one: its meaning and its words, under the
/// status that this meaning has there. Of an error inside a 200 the status is none, or that of its meaning.
pub fn revoiced(from: Dialect, status: Option<StatusCode>, body: &[u8], to: Dialect) -> (StatusCode, Bytes) {
    let said = said(from, body);
    let words = match from {
        Dialect::OpenAi => openai::error::message(body),
        Dialect::Anthropic => anthropic::error::message(body),
        Dialect::Gemini => gemini::error::message(body),
    };
    let message = words.as_deref().unwrap_or("The provider answered an error without a word.");
    match to {
        Dialect::OpenAi => openai::error::revoiced(status, said, message),
        Dialect::Anthropic => anthropic::error::revoiced(status, said, message),
        Dialect::Gemini => gemini::error::revoiced(status, said, message),
    }
}

/// The same of an error that a provider tells within a stream, as the event that ends the caller's.
pub fn revoiced_event(from: Dialect, data: &[u8], to: Api) -> Bytes {
    let (_, body) = revoiced(from, None, data, to.dialect());
    error_event_of(to, &body).unwrap_or_else(|| {
        let message = "The provider broke off with an error.";
        stream_event(to, &Problem { cause: Cause::StreamInterrupted, message, param: None, wait: None })
    })
}
