use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dialect::stream::{StreamEnd, StreamReader};
use crate::dialect::{Api, Dialect, error, samples, sse};

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

fn problem(cause: Cause) -> Problem<'static> {
    Problem { cause, message: "A \"sentence\" on `model`.\n", param: Some("model"), wait: None }
}

#[test]
fn every_cause_has_its_status_and_type() {
    let expected = |cause| match cause {
        Cause::Unauthenticated => (401, "authentication_error"),
        Cause::ModelNotAllowed => (403, "permission_error"),
        Cause::ModelNotFound | Cause::UnknownPath => (404, "not_found_error"),
        Cause::MethodNotAllowed => (405, "invalid_request_error"),
        Cause::InvalidJson
        | Cause::InvalidRequest
        | Cause::FieldNotAllowed
        | Cause::UnsupportedParameter
        | Cause::ContextTooLong => (400, "invalid_request_error"),
        Cause::UnsupportedMediaType => (415, "invalid_request_error"),
        Cause::RequestTooLarge => (413, "request_too_large"),
        Cause::HeadTooLarge => (431, "request_too_large"),
        Cause::RequestTimeout => (408, "timeout_error"),
        Cause::RateLimited | Cause::BudgetSpent => (429, "rate_limit_error"),
        Cause::PaymentRequired => (402, "billing_error"),
        Cause::Overloaded | Cause::LedgerUnavailable | Cause::NoProviderAvailable | Cause::ShuttingDown => {
            (529, "overloaded_error")
        }
        Cause::UpstreamAuthFailed | Cause::UpstreamFailed | Cause::StreamInterrupted => (502, "api_error"),
        Cause::UpstreamTimeout => (504, "timeout_error"),
        Cause::Internal => (500, "api_error"),
    };
    for cause in Cause::ALL {
        assert_eq!((status(cause).as_u16(), type_of(cause)), expected(cause), "{cause:?}");
        let body = parsed(&body(&problem(cause)));
        assert_eq!(body["type"], "error");
        assert_eq!(body["error"]["type"], expected(cause).1);
        assert!(body["error"]["message"].as_str().unwrap().ends_with("A \"sentence\" on `model`.\n"));
    }
}

#[test]
fn a_spent_budget_is_told_from_a_rate_by_its_code() {
    let details = |cause| parsed(&body(&problem(cause)))["error"]["details"].clone();
    assert_eq!(details(Cause::BudgetSpent), json!({ "error_code": "enforced_spend_limit_reached" }));
    assert_eq!(details(Cause::RateLimited), Value::Null);
    assert_eq!(said(&body(&problem(Cause::BudgetSpent))), Said::OutOfCredit);
    assert_eq!(said(&body(&problem(Cause::RateLimited))), Said::RateLimited);
}

#[test]
fn the_sentence_names_the_field_and_a_prompt_that_is_too_long() {
    let message = |cause, message, param| {
        let body = parsed(&body(&Problem { cause, message, param, wait: None }));
        body["error"]["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(message(Cause::InvalidRequest, "Required.", Some("max_tokens")), "max_tokens: Required.");
    assert_eq!(message(Cause::InvalidRequest, "`n` is odd.", Some("n")), "`n` is odd.");
    assert_eq!(message(Cause::ContextTooLong, "Too much.", None), "prompt is too long: Too much.");
    let known = "Prompt is too long: 2 > 1.";
    assert_eq!(message(Cause::ContextTooLong, known, None), known);
}

#[test]
fn the_samples_that_we_could_have_made_are_ours() {
    let causes = [
        (402, Cause::PaymentRequired),
        (403, Cause::ModelNotAllowed),
        (404, Cause::ModelNotFound),
        (413, Cause::RequestTooLarge),
        (500, Cause::Internal),
        (529, Cause::NoProviderAvailable),
    ];
    let text = String::from_utf8(samples::anthropic("errors.jsonl")).unwrap();
    for (code, cause) in causes {
        let mut sample =
            text.lines().map(|line| parsed(line.as_bytes())).find(|it| it["status"] == code).unwrap();
        sample["body"].as_object_mut().unwrap().remove("request_id");
        let message = sample["body"]["error"]["message"].as_str().unwrap();
        assert_eq!(parsed(&body(&Problem { cause, message, param: None, wait: None })), sample["body"]);
        assert_eq!(status(cause).as_u16(), code);
    }
}

#[test]
fn an_error_event_ends_every_stream_as_an_error() {
    let event = error::stream_event(Api::Messages, &problem(Cause::StreamInterrupted));
    assert!(event.starts_with(b"event: error\ndata: {\"type\":\"error\",\"error\":{"));
    let mut reader = StreamReader::new(Api::Messages, true);
    assert_eq!(reader.push(event.clone()).unwrap(), event);
    assert_eq!(reader.finish().1, StreamEnd::Error);
}

#[test]
fn a_body_becomes_the_event_of_the_sample() {
    let body = b"{\"type\":\"error\",\n \"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"},\"request_id\":\"r\"}";
    assert!(samples::anthropic("messages.stream.error.sse").ends_with(&event_of(body).unwrap()));
    let text = event_of(br#"{"error":"a \"b\""}"#).unwrap();
    let data = parsed(&sse::data(&text).unwrap());
    assert_eq!(data["error"], json!({ "type": "api_error", "message": "a \"b\"" }));
    for body in
        ["", "oops", "{}", "[]", r#"{"error":null}"#, r#"{"error":{}}"#, r#"{"error":7}"#, r#"{"error":[1]}"#]
    {
        assert_eq!(event_of(body.as_bytes()), None, "{body}");
    }
    let long = json!({ "error": { "message": "x".repeat(MAX_EVENT) } }).to_string();
    assert_eq!(event_of(long.as_bytes()), None);
    assert_eq!(event_of(b"{\"error\":{\"message\":\"\xff\"}}"), None);
}

#[test]
fn the_sentence_is_the_errors_own() {
    assert_eq!(message(br#"{"error":{"message":"a \"b\""}}"#).as_deref(), Some("a \"b\""));
    assert_eq!(message(br#"{"error":"x"}"#).as_deref(), Some("x"));
    for body in ["", "{}", r#"{"error":{}}"#, r#"{"error":{"message":""}}"#, r#"{"error":{"message":7}}"#] {
        assert_eq!(message(body.as_bytes()), None, "{body}");
    }
}

#[test]
fn another_dialects_error_keeps_its_meaning() {
    use Said::*;
    let status = |code| StatusCode::from_u16(code).unwrap();
    let cases = [
        (Some(429), RateLimited, 429, "rate_limit_error"),
        (None, RateLimited, 429, "rate_limit_error"),
        (Some(429), OutOfCredit, 402, "billing_error"),
        (Some(400), KeyRefused, 401, "authentication_error"),
        (Some(403), KeyRefused, 403, "permission_error"),
        (Some(404), ModelUnknown, 404, "not_found_error"),
        (Some(400), ContextTooLong, 400, "invalid_request_error"),
        (Some(403), ContentFiltered, 400, "invalid_request_error"),
        (Some(503), Overloaded, 529, "overloaded_error"),
        (Some(413), BadRequest, 413, "request_too_large"),
        (Some(422), BadRequest, 422, "invalid_request_error"),
        (Some(200), BadRequest, 400, "invalid_request_error"),
        (Some(504), Nothing, 504, "timeout_error"),
        (Some(500), Nothing, 500, "api_error"),
        (Some(418), Nothing, 418, "invalid_request_error"),
        (Some(200), Nothing, 502, "api_error"),
        (None, Nothing, 502, "api_error"),
    ];
    for (code, said, expected, kind) in cases {
        let (code, body) = revoiced(code.map(status), said, "Why.");
        assert_eq!(
            (code.as_u16(), parsed(&body)["error"]["type"].as_str().unwrap()),
            (expected, kind),
            "{said}"
        );
        // What comes out is understood as what went in.
        if said != Nothing && said != ContentFiltered {
            assert_eq!(error::said(Dialect::Anthropic, &body), said);
        }
        assert!(parsed(&body)["error"]["message"].as_str().unwrap().ends_with("Why."));
    }
}

proptest! {
    #[test]
    fn every_error_is_one_event_that_says_the_same(text in samples::any_text(), other in samples::any_json()) {
        let body = json!({ "error": { "message": text, "other": other } });
        let body = serde_json::to_string_pretty(&body).unwrap();
        let event = event_of(body.as_bytes()).unwrap();
        prop_assert_eq!(sse::events(&event).count(), 1);
        let data = parsed(&sse::data(&event).unwrap());
        prop_assert_eq!(&data["error"], &parsed(body.as_bytes())["error"]);
        let expected = Some(text).filter(|text| !text.is_empty());
        prop_assert_eq!(message(body.as_bytes()).map(Cow::into_owned), expected);
    }
}
