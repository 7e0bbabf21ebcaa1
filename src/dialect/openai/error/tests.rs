use serde_json::{Value, json};

use super::*;
use crate::dialect::samples;
use crate::dialect::stream::{StreamEnd, StreamReader};

#[test]
fn every_cause_has_its_status_and_type() {
    let expected = |cause| match cause {
        Cause::Unauthenticated => (401, "invalid_request_error"),
        Cause::ModelNotAllowed => (403, "permission_error"),
        Cause::ModelNotFound | Cause::UnknownPath => (404, "invalid_request_error"),
        Cause::MethodNotAllowed => (405, "invalid_request_error"),
        Cause::InvalidJson
        | Cause::InvalidRequest
        | Cause::FieldNotAllowed
        | Cause::UnsupportedParameter
        | Cause::ContextTooLong => (400, "invalid_request_error"),
        Cause::UnsupportedMediaType => (415, "invalid_request_error"),
        Cause::RequestTooLarge => (413, "invalid_request_error"),
        Cause::HeadTooLarge => (431, "invalid_request_error"),
        Cause::RequestTimeout => (408, "invalid_request_error"),
        Cause::RateLimited => (429, "rate_limit_error"),
        Cause::BudgetSpent => (429, "insufficient_quota"),
        Cause::PaymentRequired => (402, "insufficient_quota"),
        Cause::Overloaded | Cause::LedgerUnavailable | Cause::NoProviderAvailable | Cause::ShuttingDown => {
            (503, "service_unavailable_error")
        }
        Cause::UpstreamAuthFailed | Cause::UpstreamFailed | Cause::StreamInterrupted => (502, "server_error"),
        Cause::UpstreamTimeout => (504, "server_error"),
        Cause::Internal => (500, "server_error"),
    };
    for cause in Cause::ALL {
        assert_eq!((status(cause).as_u16(), type_of(cause)), expected(cause), "{cause:?}");
        let body: Value = serde_json::from_slice(&body(&problem(cause))).unwrap();
        let object = json!({ "message": "A \"sentence\".\n", "type": expected(cause).1, "param": "model", "code": cause.code() });
        assert_eq!(body, json!({ "error": object }));
    }
}

#[test]
fn every_cause_has_a_code_of_its_own() {
    let codes: std::collections::BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.code()).collect();
    assert_eq!(codes.len(), Cause::ALL.len());
}

#[test]
fn the_samples_that_we_could_have_made_are_ours_byte_for_byte() {
    let causes = [
        ("invalid_api_key", Cause::Unauthenticated),
        ("model_not_allowed", Cause::ModelNotAllowed),
        ("model_not_found", Cause::ModelNotFound),
        ("rate_limit_exceeded", Cause::RateLimited),
        ("no_provider_available", Cause::NoProviderAvailable),
    ];
    let samples = String::from_utf8(samples::openai("errors.jsonl")).unwrap();
    for (code, cause) in causes {
        let line = samples.lines().find(|line| line.contains(code)).unwrap();
        let sample: Value = serde_json::from_str(line).unwrap();
        let error = &sample["body"]["error"];
        let ours = body(&Problem {
            cause,
            message: error["message"].as_str().unwrap(),
            param: error["param"].as_str(),
            wait: None,
        });
        assert!(line.ends_with(&format!("\"body\":{}}}", std::str::from_utf8(&ours).unwrap())), "{line}");
        assert_eq!(sample["status"], status(cause).as_u16());
    }
}

#[test]
fn an_error_event_is_the_samples_and_ends_every_stream_as_an_error() {
    let interrupted = Problem {
        cause: Cause::StreamInterrupted,
        message: "The upstream closed the stream before it was complete.",
        param: None,
        wait: None,
    };
    let chat = stream_event(Api::Chat, &interrupted);
    assert!(samples::openai("chat.stream.error.sse").ends_with(&chat));
    let responses = stream_event(Api::Responses, &interrupted);
    assert!(responses.starts_with(b"event: error\ndata: {\"type\":\"error\",\"error\":{"));
    for (api, event) in [(Api::Chat, chat), (Api::Responses, responses)] {
        let mut reader = StreamReader::new(api, true);
        assert_eq!(reader.push(event.clone()).unwrap(), event);
        assert_eq!(reader.finish().1, StreamEnd::Error);
    }
}

fn problem(cause: Cause) -> Problem<'static> {
    Problem { cause, message: "A \"sentence\".\n", param: Some("model"), wait: None }
}
