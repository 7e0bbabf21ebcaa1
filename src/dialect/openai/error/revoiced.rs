//! A provider's error in another dialect's words: its sentence taken out of this one, or put into it.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;

use super::reported::{error_in, says};
use super::{Body, ErrorObject, json};
use crate::dialect::error::Said;
use crate::dialect::json::{self as scan, Kind, Value};

/// Anthropic's status for having no room; OpenAI's SDKs document another.
const OVERLOADED: u16 = 529;

/// The provider's own sentence; none where it says none.
pub(crate) fn message(body: &[u8]) -> Option<Cow<'_, str>> {
    std::str::from_utf8(body).ok()?;
    let error = error_in(body)?;
    let sentence = match error.kind {
        Kind::Object => says(&error, "message").or_else(|| says(&error, "detail"))?,
        // What checks the form of a request lists what it found.
        Kind::Array => says(&error.elements().next()?, "msg")?,
        Kind::String => error,
        Kind::Null | Kind::True | Kind::False | Kind::Number => return None,
    };
    text(&sentence).filter(|text| !text.trim().is_empty())
}

fn text<'a>(value: &Value<'a>) -> Option<Cow<'a, str>> {
    (value.kind == Kind::String).then(|| scan::unquoted(value.raw()))
}

/// An error of another dialect as OpenAI would say it: its status, or the one that goes with what it says.
pub(crate) fn revoiced(status: Option<StatusCode>, said: Said, message: &str) -> (StatusCode, Bytes) {
    let status = match status {
        Some(status) if status.as_u16() == OVERLOADED => StatusCode::SERVICE_UNAVAILABLE,
        Some(status) => status,
        None => status_of(said),
    };
    let (kind, code) = match words(said) {
        Some((kind, code)) => (kind, Some(code)),
        None if status.is_client_error() => ("invalid_request_error", None),
        None => ("server_error", None),
    };
    let error = ErrorObject { message, kind, param: None, code };
    (status, Bytes::from(json(&Body { error })))
}

fn status_of(said: Said) -> StatusCode {
    match said {
        Said::RateLimited | Said::OutOfCredit => StatusCode::TOO_MANY_REQUESTS,
        Said::KeyRefused => StatusCode::UNAUTHORIZED,
        Said::ModelUnknown => StatusCode::NOT_FOUND,
        Said::ContextTooLong | Said::ContentFiltered | Said::BadRequest => StatusCode::BAD_REQUEST,
        Said::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        Said::Nothing => StatusCode::BAD_GATEWAY,
    }
}

/// Type and code.
fn words(said: Said) -> Option<(&'static str, &'static str)> {
    match said {
        Said::RateLimited => Some(("rate_limit_error", "rate_limit_exceeded")),
        Said::OutOfCredit => Some(("insufficient_quota", "insufficient_quota")),
        Said::KeyRefused => Some(("invalid_request_error", "invalid_api_key")),
        Said::ModelUnknown => Some(("invalid_request_error", "model_not_found")),
        Said::ContextTooLong => Some(("invalid_request_error", "context_length_exceeded")),
        Said::ContentFiltered => Some(("invalid_request_error", "content_filter")),
        Said::Overloaded => Some(("service_unavailable_error", "server_is_overloaded")),
        Said::BadRequest => Some(("invalid_request_error", "invalid_request")),
        Said::Nothing => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::dialect::samples;

    fn revoiced_body(status: Option<u16>, said: Said, message: &str) -> (u16, Json) {
        let status = status.map(|status| StatusCode::from_u16(status).unwrap());
        let (status, body) = revoiced(status, said, message);
        (status.as_u16(), serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn an_error_keeps_what_it_says() {
        for said in Said::ALL {
            let (status, body) = revoiced(None, said, "A \"sentence\".");
            assert_eq!(crate::dialect::openai::error::said(&body), said, "{said} {status}");
            assert_eq!(message(&body).unwrap(), "A \"sentence\".", "{said}");
        }
    }

    #[test]
    fn the_status_is_the_providers_but_for_one_that_only_anthropic_has() {
        for (status, said, expected) in [
            (Some(400), Said::ContextTooLong, 400),
            (Some(402), Said::OutOfCredit, 402),
            (Some(413), Said::BadRequest, 413),
            (Some(429), Said::RateLimited, 429),
            (Some(529), Said::Overloaded, 503),
            (Some(500), Said::Nothing, 500),
            (None, Said::RateLimited, 429),
            (None, Said::OutOfCredit, 429),
            (None, Said::KeyRefused, 401),
            (None, Said::ModelUnknown, 404),
            (None, Said::ContextTooLong, 400),
            (None, Said::ContentFiltered, 400),
            (None, Said::BadRequest, 400),
            (None, Said::Overloaded, 503),
            (None, Said::Nothing, 502),
        ] {
            assert_eq!(revoiced_body(status, said, "x").0, expected, "{status:?} {said}");
        }
    }

    #[test]
    fn what_says_nothing_is_told_by_its_status() {
        let error =
            |kind: &str| json!({ "error": { "message": "x", "type": kind, "param": null, "code": null } });
        assert_eq!(revoiced_body(Some(418), Said::Nothing, "x"), (418, error("invalid_request_error")));
        assert_eq!(revoiced_body(Some(529), Said::Nothing, "x"), (503, error("server_error")));
        assert_eq!(revoiced_body(None, Said::Nothing, "x"), (502, error("server_error")));
    }

    #[test]
    fn the_sentence_is_found_where_servers_put_it() {
        for (body, expected) in [
            (r#"{"error":{"message":"a \"b\"","code":null}}"#, Some("a \"b\"")),
            (r#"{"error":"plain"}"#, Some("plain")),
            (r#"{"message":"bare","type":"x"}"#, Some("bare")),
            (r#"[{"error":{"message":"listed"}}]"#, Some("listed")),
            (r#"{"detail":[{"msg":"Field required","type":"missing"}]}"#, Some("Field required")),
            (r#"{"detail":"Not Found"}"#, Some("Not Found")),
            (r#"{"response":{"error":{"message":"within","code":"server_error"}}}"#, Some("within")),
            (r#"{"error":{"message":""}}"#, None),
            (r#"{"error":{"message":7}}"#, None),
            (r#"{"error":{"message":" "}}"#, None),
            (r#"{"error":503}"#, None),
            ("<html>", None),
            ("", None),
        ] {
            assert_eq!(message(body.as_bytes()).as_deref(), expected, "{body}");
        }
        assert_eq!(message(b"{\"error\":\"\xff\"}"), None);
    }

    #[test]
    fn every_sample_has_its_sentence() {
        let samples = String::from_utf8(samples::openai("errors.jsonl")).unwrap();
        for line in samples.lines() {
            let sample: Json = serde_json::from_str(line).unwrap();
            let body = sample["body"].to_string();
            assert!(message(body.as_bytes()).is_some_and(|text| !text.is_empty()), "{line}");
        }
    }
}
