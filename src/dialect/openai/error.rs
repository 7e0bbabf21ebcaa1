//! OpenAI's error JSON: `{"error":{"message","type","param","code"}}`, ours and what servers like it make of it.

mod event;
mod reported;
mod revoiced;
mod said;
mod vocabulary;
mod wait;

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

pub(crate) use self::event::event_of;
pub(crate) use self::revoiced::{message, revoiced};
pub(crate) use self::said::said;
pub(crate) use self::wait::retry_after;
use crate::dialect::Api;
use crate::dialect::error::{Cause, Problem};

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
            StatusCode::SERVICE_UNAVAILABLE
        }
        Cause::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

fn type_of(cause: Cause) -> &'static str {
    match cause {
        Cause::Unauthenticated
        | Cause::ModelNotFound
        | Cause::UnknownPath
        | Cause::MethodNotAllowed
        | Cause::InvalidJson
        | Cause::InvalidRequest
        | Cause::FieldNotAllowed
        | Cause::UnsupportedParameter
        | Cause::ContextTooLong
        | Cause::UnsupportedMediaType
        | Cause::RequestTooLarge
        | Cause::HeadTooLarge
        | Cause::RequestTimeout => "invalid_request_error",
        Cause::ModelNotAllowed => "permission_error",
        Cause::RateLimited => "rate_limit_error",
        // OpenAI's own word for an account without money.
        Cause::BudgetSpent | Cause::PaymentRequired => "insufficient_quota",
        Cause::NoProviderAvailable | Cause::Overloaded | Cause::LedgerUnavailable | Cause::ShuttingDown => {
            "service_unavailable_error"
        }
        Cause::UpstreamAuthFailed
        | Cause::UpstreamTimeout
        | Cause::UpstreamFailed
        | Cause::StreamInterrupted
        | Cause::Internal => "server_error",
    }
}

/// The error object as a JSON body.
pub(crate) fn body(problem: &Problem<'_>) -> Bytes {
    Bytes::from(json(&Body { error: object(problem) }))
}

/// The error as one event. Chat and completions raise on `data: {"error":..}`; Responses clients want the nested
/// form under `event: error`, which both official SDKs raise.
pub(crate) fn stream_event(api: Api, problem: &Problem<'_>) -> Bytes {
    #[derive(Serialize)]
    struct Event<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        error: ErrorObject<'a>,
    }
    if api == Api::Responses {
        let event = json(&Event { kind: "error", error: object(problem) });
        return [b"event: error\ndata: ", event.as_slice(), b"\n\n"].concat().into();
    }
    [b"data: ", body(problem).as_ref(), b"\n\n"].concat().into()
}

#[derive(Serialize)]
struct Body<'a> {
    error: ErrorObject<'a>,
}

/// In the order in which OpenAI writes it.
#[derive(Serialize)]
struct ErrorObject<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<&'a str>,
    code: Option<&'static str>,
}

fn object<'a>(problem: &Problem<'a>) -> ErrorObject<'a> {
    ErrorObject {
        message: problem.message,
        kind: type_of(problem.cause),
        param: problem.param,
        code: Some(problem.cause.code()),
    }
}

fn json(body: &impl Serialize) -> Vec<u8> {
    // Structs of strings always serialize.
    serde_json::to_vec(body).unwrap_or_default()
}

#[cfg(test)]
mod tests;
