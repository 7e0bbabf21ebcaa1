use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dialect::stream::{StreamEnd, StreamReader};
use crate::dialect::{Api, samples, sse};

fn problem(cause: Cause) -> Problem<'static> {
    Problem { cause, message: "A \"sentence\".\n", param: Some("contents[0]"), wait: None }
}

#[test]
fn every_cause_has_its_status_and_googles_word_for_it() {
    let expected = |cause| match cause {
        Cause::InvalidJson
        | Cause::InvalidRequest
        | Cause::FieldNotAllowed
        | Cause::UnsupportedParameter
        | Cause::ContextTooLong => (400, "INVALID_ARGUMENT"),
        Cause::Unauthenticated => (401, "UNAUTHENTICATED"),
        Cause::PaymentRequired => (402, "RESOURCE_EXHAUSTED"),
        Cause::ModelNotAllowed => (403, "PERMISSION_DENIED"),
        Cause::ModelNotFound | Cause::UnknownPath => (404, "NOT_FOUND"),
        Cause::MethodNotAllowed => (405, "UNIMPLEMENTED"),
        Cause::RequestTimeout => (408, "DEADLINE_EXCEEDED"),
        Cause::RequestTooLarge => (413, "INVALID_ARGUMENT"),
        Cause::UnsupportedMediaType => (415, "INVALID_ARGUMENT"),
        Cause::HeadTooLarge => (431, "INVALID_ARGUMENT"),
        Cause::RateLimited | Cause::BudgetSpent => (429, "RESOURCE_EXHAUSTED"),
        Cause::Internal => (500, "INTERNAL"),
        Cause::UpstreamAuthFailed | Cause::UpstreamFailed | Cause::StreamInterrupted => (502, "INTERNAL"),
        Cause::Overloaded | Cause::LedgerUnavailable | Cause::NoProviderAvailable | Cause::ShuttingDown => {
            (503, "UNAVAILABLE")
        }
        Cause::UpstreamTimeout => (504, "DEADLINE_EXCEEDED"),
    };
    for cause in Cause::ALL {
        let (code, status) = expected(cause);
        assert_eq!(super::status(cause).as_u16(), code, "{cause:?}");
        let body: Value = serde_json::from_slice(&body(&problem(cause))).unwrap();
        let info = json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "egret",
            "reason": cause.code().to_uppercase(), "metadata": { "param": "contents[0]" },
        });
        let error =
            json!({ "code": code, "message": "A \"sentence\".\n", "status": status, "details": [info] });
        assert_eq!(body, json!({ "error": error }));
    }
}

#[test]
fn an_event_of_ours_ends_a_stream_as_an_error() {
    for cause in Cause::ALL {
        let event = stream_event(&problem(cause));
        assert_eq!(sse::events(&event).count(), 1);
        assert_eq!(&*sse::data(&event).unwrap(), &*body(&problem(cause)));
        let mut reader = StreamReader::new(Api::Generate, true);
        assert_eq!(reader.push(event.clone()).unwrap(), event);
        assert_eq!(reader.finish().1, StreamEnd::Error);
    }
}

#[test]
fn the_samples_say_what_they_mean_and_how_long_to_wait() {
    for (name, expected, wait, words) in [
        ("error.400.json", Said::BadRequest, None, "Invalid value at 'generation_config.temperature'."),
        ("error.429.json", Said::RateLimited, Some(17), "Quota exceeded for requests per minute."),
        ("error.list.json", Said::Overloaded, None, "The model is overloaded."),
    ] {
        let body = samples::gemini(name);
        assert_eq!(said(&body), expected, "{name}");
        assert_eq!(retry_after(&body), wait.map(Duration::from_secs), "{name}");
        assert_eq!(message(&body).unwrap(), words);
    }
}

fn error(code: u16, status: &str, message: &str, details: &Value) -> Vec<u8> {
    json!({ "error": { "code": code, "message": message, "status": status, "details": details } })
        .to_string()
        .into_bytes()
}

#[test]
fn the_clearest_word_counts() {
    let info = |reason: &str| json!([{ "@type": "x", "reason": reason }]);
    let quota = |id: &str| json!([{ "violations": [{ "quotaId": "PerMinute" }, { "quotaId": id }] }, { "retryDelay": "9s" }]);
    for (body, expected) in [
        (error(400, "INVALID_ARGUMENT", "x", &info("API_KEY_INVALID")), Said::KeyRefused),
        (error(400, "INVALID_ARGUMENT", "API key not valid. Please pass", &json!([])), Said::KeyRefused),
        (
            error(429, "RESOURCE_EXHAUSTED", "x", &quota("GenerateRequestsPerDayPerProject")),
            Said::OutOfCredit,
        ),
        (error(429, "RESOURCE_EXHAUSTED", "x", &quota("TokensPerMinute")), Said::RateLimited),
        (error(402, "RESOURCE_EXHAUSTED", "x", &json!([])), Said::OutOfCredit),
        (
            error(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.", &json!([])),
            Said::OutOfCredit,
        ),
        (
            error(
                400,
                "INVALID_ARGUMENT",
                "The input token count (9) exceeds the maximum number of tokens allowed (8).",
                &json!([]),
            ),
            Said::ContextTooLong,
        ),
        (
            error(400, "FAILED_PRECONDITION", "User location is not supported for the API use.", &json!([])),
            Said::KeyRefused,
        ),
        (
            error(400, "FAILED_PRECONDITION", "Please enable billing on project x", &json!([])),
            Said::OutOfCredit,
        ),
        (error(403, "PERMISSION_DENIED", "x", &json!([])), Said::KeyRefused),
        (error(404, "NOT_FOUND", "models/x is not found", &json!([])), Said::ModelUnknown),
        (error(503, "UNAVAILABLE", "x", &json!([])), Said::Overloaded),
        (error(500, "INTERNAL", "x", &json!([])), Said::Nothing),
        (error(504, "DEADLINE_EXCEEDED", "x", &json!([])), Said::Nothing),
        (br#"{"error":"API key expired."}"#.to_vec(), Said::KeyRefused),
        (br#"{"error":{}}"#.to_vec(), Said::Nothing),
        (b"oops".to_vec(), Said::Nothing),
    ] {
        assert_eq!(said(&body), expected, "{}", String::from_utf8_lossy(&body));
    }
}

#[test]
fn a_wait_is_read_as_google_writes_it() {
    let after =
        |details: Value, message: &str| retry_after(&error(429, "RESOURCE_EXHAUSTED", message, &details));
    let delay = |delay: &str| after(json!([{ "x": 1 }, { "retryDelay": delay }]), "");
    assert_eq!(delay("17s"), Some(Duration::from_secs(17)));
    assert_eq!(delay("1.5s"), Some(Duration::from_millis(1500)));
    for wrong in ["", "s", "-1s", "17", "1.2.3s", "soon", "86401s", "999999999999999999999s"] {
        assert_eq!(delay(wrong), None, "{wrong}");
    }
    assert_eq!(after(json!(null), "Please retry in 36.25s."), Some(Duration::from_millis(36_250)));
    assert_eq!(after(json!(null), "Please retry in 250ms."), Some(Duration::from_millis(250)));
    assert_eq!(after(json!(null), "Please retry in a while"), None);
}

#[test]
fn another_dialects_error_keeps_its_meaning_and_its_words() {
    for said_there in Said::ALL {
        let (status, body) = revoiced(None, said_there, "Some \"words\".");
        let expected = match said_there {
            Said::RateLimited | Said::OutOfCredit => 429,
            Said::KeyRefused | Said::Nothing => 502,
            Said::ModelUnknown => 404,
            Said::ContextTooLong | Said::ContentFiltered | Said::BadRequest => 400,
            Said::Overloaded => 503,
        };
        assert_eq!(status.as_u16(), expected, "{said_there}");
        assert_eq!(said(&body), said_there);
        assert_eq!(message(&body).unwrap(), "Some \"words\".");
    }
    let status_of = |status, said| revoiced(Some(status), said, "").0;
    assert_eq!(status_of(StatusCode::PAYLOAD_TOO_LARGE, Said::BadRequest), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(status_of(StatusCode::OK, Said::Nothing), StatusCode::BAD_GATEWAY);
    assert_eq!(
        status_of(StatusCode::INTERNAL_SERVER_ERROR, Said::Nothing),
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

#[test]
fn what_has_no_error_becomes_no_event() {
    for body in [
        "",
        "oops",
        "{",
        "[]",
        "7",
        "{}",
        r#"{"error":null}"#,
        r#"{"error":{}}"#,
        r#"{"error":7}"#,
        r#"{"error":["x"]}"#,
    ] {
        assert_eq!(event_of(body.as_bytes()), None, "{body}");
    }
    assert_eq!(event_of(b"{\"error\":{\"message\":\"\xff\"}}"), None);
    let long = json!({ "error": { "message": "x".repeat(MAX_EVENT) } }).to_string();
    assert_eq!(event_of(long.as_bytes()), None);
    assert_eq!(&*event_of(br#"{"error":"x"}"#).unwrap(), b"data: {\"error\":{\"message\":\"x\"}}\r\n\r\n");
}

proptest! {
    #[test]
    fn every_error_is_one_event_that_says_the_same_and_ends_its_stream(
        message in samples::any_text(), other in samples::any_json(), pretty: bool, listed: bool,
    ) {
        let one = json!({ "error": { "message": message, "other": other } });
        let body = if listed { json!([one]) } else { one };
        let text = if pretty { serde_json::to_string_pretty(&body).unwrap() } else { body.to_string() };
        let parsed: Value = serde_json::from_str(&text).unwrap();
        let error = if listed { &parsed[0]["error"] } else { &parsed["error"] };
        let event = event_of(text.as_bytes()).unwrap();
        prop_assert_eq!(sse::events(&event).count(), 1);
        let data: Value = serde_json::from_slice(&sse::data(&event).unwrap()).unwrap();
        prop_assert_eq!(&data["error"], error);
        let mut reader = StreamReader::new(Api::Generate, true);
        prop_assert_eq!(&reader.push(event.clone()).unwrap(), &event);
        prop_assert_eq!(reader.finish().1, StreamEnd::Error);
    }

    #[test]
    fn any_body_is_read_without_a_fault(body in samples::any_json()) {
        for body in [body.clone(), json!({ "error": body }), json!({ "error": { "details": body, "message": body, "code": body } })] {
            let text = body.to_string();
            let _ = (said(text.as_bytes()), retry_after(text.as_bytes()), message(text.as_bytes()));
        }
    }
}

#[test]
fn how_long_to_wait_is_a_detail_that_is_read_back() {
    let problem =
        Problem { wait: Some(std::time::Duration::from_millis(6_200)), ..problem(Cause::RateLimited) };
    let body = body(&problem);
    assert_eq!(retry_after(&body), Some(std::time::Duration::from_secs(7)));
    assert_eq!(said(&body), Said::RateLimited);
}
