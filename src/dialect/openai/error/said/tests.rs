use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::dialect::samples;

fn of(body: &Json) -> Said {
    said(body.to_string().as_bytes())
}

#[test]
fn the_samples_say_what_they_mean() {
    use Said::*;
    let expected = [
        BadRequest,
        ContextTooLong,
        KeyRefused,
        ModelUnknown,
        ModelUnknown,
        RateLimited,
        OutOfCredit,
        Nothing,
        Overloaded,
    ];
    let samples = String::from_utf8(samples::openai("errors.jsonl")).unwrap();
    assert_eq!(samples.lines().count(), expected.len());
    for (line, expected) in samples.lines().zip(expected) {
        let sample: Json = serde_json::from_str(line).unwrap();
        assert_eq!(of(&sample["body"]), expected, "{line}");
    }
}

#[test]
fn providers_say_the_same_in_their_own_words() {
    use Said::*;
    let cases = [
        // OpenAI
        (
            json!({ "error": { "message": "x", "type": "tokens", "code": "rate_limit_exceeded" } }),
            RateLimited,
        ),
        (json!({ "error": { "message": "x", "type": "requests", "code": null } }), RateLimited),
        (
            json!({ "error": { "type": "insufficient_quota", "code": "project_spend_limit_exceeded" } }),
            OutOfCredit,
        ),
        (json!({ "error": { "type": "rate_limit_error", "code": "slow_down" } }), RateLimited),
        (
            json!({ "error": { "type": "service_unavailable_error", "code": "server_is_overloaded" } }),
            Overloaded,
        ),
        (
            json!({ "error": { "message": "Invalid prompt: it was flagged as potentially violating our usage policy.",
            "type": "invalid_request_error", "code": "invalid_prompt" } }),
            ContentFiltered,
        ),
        (
            json!({ "error": { "message": "x", "type": "invalid_request_error", "code": "invalid_prompt" } }),
            BadRequest,
        ),
        (json!({ "error": { "message": "x", "type": "server_error", "code": null } }), Nothing),
        // Azure
        (
            json!({ "error": { "code": "429", "message": "Requests have exceeded call rate limit." } }),
            RateLimited,
        ),
        (json!({ "error": { "code": "DeploymentNotFound", "message": "x" } }), ModelUnknown),
        (
            json!({ "error": { "message": "x", "code": "content_filter", "status": 400,
            "innererror": { "code": "ResponsibleAIPolicyViolation" } } }),
            ContentFiltered,
        ),
        (
            json!({ "error": { "message": "x", "code": "BadRequest", "innererror": { "code": "x",
            "innererror": { "code": "ResponsibleAIPolicyViolation" } } } }),
            ContentFiltered,
        ),
        (json!({ "statusCode": 429, "message": "Try again in 5 seconds." }), RateLimited),
        (json!({ "statusCode": 401, "message": "Access denied." }), KeyRefused),
        // OpenRouter
        (json!({ "error": { "code": 402, "message": "x" } }), OutOfCredit),
        (json!({ "error": { "code": 429, "message": "Provider returned error" } }), RateLimited),
        (
            json!({ "error": { "code": 403, "message": "It requires moderation. Your input was flagged." } }),
            ContentFiltered,
        ),
        (json!({ "error": { "code": 503, "message": "x" } }), Overloaded),
        (json!({ "error": { "code": 502, "message": "x" } }), Nothing),
        (
            json!({ "error": { "code": 400, "message": "Provider returned error", "metadata": {
            "raw": r#"{"error":{"message":"This model's maximum context length is 9"}}"# } } }),
            ContextTooLong,
        ),
        // Mistral
        (json!({ "object": "error", "message": "x", "type": "rate_limited", "code": "1300" }), RateLimited),
        (
            json!({ "object": "error", "message": { "detail": [] }, "type": "invalid_request_error", "code": 1000 }),
            BadRequest,
        ),
        (json!({ "detail": [{ "type": "missing", "loc": ["body"], "msg": "Field required" }] }), BadRequest),
        (json!({ "detail": [{ "msg": "The prompt is too long" }] }), ContextTooLong),
        (json!({ "detail": "Unauthorized" }), KeyRefused),
        (json!({ "message": "Unauthorized", "request_id": "r" }), KeyRefused),
        // DeepSeek
        (
            json!({ "error": { "message": "Insufficient Balance", "type": "unknown_error",
                "code": "invalid_request_error" } }),
            OutOfCredit,
        ),
        (json!({ "error": { "message": "Model Not Exist", "code": "invalid_request_error" } }), ModelUnknown),
        (
            json!({ "error": { "message": "Content Exists Risk", "type": "invalid_request_error" } }),
            ContentFiltered,
        ),
        (
            json!({ "error": { "message": "Authentication Fails", "type": "authentication_error",
                "code": "invalid_request_error" } }),
            KeyRefused,
        ),
        // vLLM, llama.cpp, Ollama
        (
            json!({ "object": "error", "message": "The model `m` does not exist.",
                "type": "NotFoundError", "code": 404 }),
            ModelUnknown,
        ),
        (
            json!({ "error": { "message": "x", "type": "BadRequestError", "param": null, "code": 400 } }),
            BadRequest,
        ),
        (
            json!({ "error": { "code": 400, "message": "x", "type": "exceed_context_size_error" } }),
            ContextTooLong,
        ),
        (
            json!({ "error": { "message": "model \"m\" not found, try pulling it first", "type": "api_error" } }),
            ModelUnknown,
        ),
        // Anthropic
        (
            json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } }),
            Overloaded,
        ),
        (json!({ "type": "error", "error": { "type": "rate_limit_error", "message": "x" } }), RateLimited),
        (
            json!({ "type": "error", "error": { "type": "rate_limit_error", "message": "x",
            "details": { "error_code": "enforced_spend_limit_reached" } } }),
            OutOfCredit,
        ),
        (
            json!({ "type": "error", "error": { "type": "invalid_request_error",
                "message": "prompt is too long: 9 tokens > 8 maximum" } }),
            ContextTooLong,
        ),
        (
            json!({ "error": { "type": "invalid_request_error", "message": "Your credit balance is too low." } }),
            OutOfCredit,
        ),
        // No form at all
        (json!({ "error": "model_not_found" }), ModelUnknown),
        (json!({ "error": "This model's maximum context length is 8." }), ContextTooLong),
        (json!({ "message": "Too many requests" }), RateLimited),
        (json!("Rate limit exceeded"), RateLimited),
    ];
    for (body, expected) in cases {
        assert_eq!(of(&body), expected, "{body}");
    }
}

#[test]
fn googles_details_say_more_than_its_status() {
    let google = |code: u16, status: &str, details: Json| {
        json!([{ "error": { "code": code, "message": "You exceeded your current quota, please check your billing details.",
            "status": status, "details": details } }])
    };
    let quota = |id: &str| json!([{ "@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{ "quotaId": id }] }]);
    let reason = |reason: &str| json!([{ "reason": reason, "domain": "googleapis.com" }]);
    for (body, expected) in [
        (
            google(429, "RESOURCE_EXHAUSTED", quota("GenerateRequestsPerMinutePerProjectPerModel")),
            Said::RateLimited,
        ),
        (
            google(429, "RESOURCE_EXHAUSTED", quota("GenerateRequestsPerDayPerProjectPerModel")),
            Said::OutOfCredit,
        ),
        (google(429, "RESOURCE_EXHAUSTED", json!([])), Said::RateLimited),
        (google(402, "RESOURCE_EXHAUSTED", json!([])), Said::OutOfCredit),
        (google(400, "INVALID_ARGUMENT", reason("API_KEY_INVALID")), Said::KeyRefused),
        (google(400, "INVALID_ARGUMENT", json!([])), Said::BadRequest),
        (google(400, "FAILED_PRECONDITION", json!(null)), Said::BadRequest),
        (google(403, "PERMISSION_DENIED", json!(null)), Said::KeyRefused),
        (google(404, "NOT_FOUND", json!(null)), Said::ModelUnknown),
        (google(503, "UNAVAILABLE", json!(null)), Said::Overloaded),
        (google(500, "INTERNAL", json!(null)), Said::Nothing),
        (google(504, "DEADLINE_EXCEEDED", json!(null)), Said::Nothing),
    ] {
        assert_eq!(of(&body), expected, "{body}");
        assert_eq!(of(&body[0]), expected, "{body}");
    }
}

#[test]
fn an_event_of_a_stream_says_the_same_as_a_body() {
    use Said::*;
    for (event, expected) in [
        (json!({ "error": { "code": "rate_limit_exceeded", "message": "x" } }), RateLimited),
        (
            json!({ "id": "a", "choices": [{ "delta": {}, "finish_reason": "error" }],
            "error": { "code": 503, "message": "x" } }),
            Overloaded,
        ),
        (json!({ "choices": [], "x_groq": { "id": "r", "error": "rate_limit_exceeded" } }), RateLimited),
        (json!({ "type": "error", "error": { "type": "tokens" }, "sequence_number": 3 }), RateLimited),
        (
            json!({ "type": "error", "code": "context_length_exceeded", "message": "x", "param": null }),
            ContextTooLong,
        ),
        (json!({ "type": "error", "code": null, "message": "The model is overloaded." }), Overloaded),
        (
            json!({ "type": "response.failed", "response": { "id": "r", "status": "failed",
            "error": { "code": "rate_limit_exceeded", "message": "x" } } }),
            RateLimited,
        ),
        (
            json!({ "type": "response.failed", "response": { "error": { "code": "server_error", "message": "x" } } }),
            Nothing,
        ),
        (
            json!({ "type": "response.failed", "response": { "error": { "code": "bio_policy" } } }),
            ContentFiltered,
        ),
        (
            json!({ "type": "response.failed", "response": { "error": { "code": "invalid_image" } } }),
            BadRequest,
        ),
    ] {
        assert_eq!(of(&event), expected, "{event}");
    }
}

#[test]
fn every_word_alone_says_its_meaning_wherever_it_stands() {
    for entry in &VOCABULARY {
        for word in entry.codes.iter().chain(entry.vague) {
            for word in [(*word).to_owned(), word.to_ascii_uppercase()] {
                for body in [
                    json!({ "error": { "code": word } }),
                    json!({ "error": { "type": word, "code": null, "message": "x" } }),
                    json!({ "error": { "status": word, "code": 999 } }),
                    json!({ "error": { "innererror": { "code": word } } }),
                    json!({ "error": { "details": [{}, { "reason": word }] } }),
                    json!({ "error": word }),
                    json!({ "code": word, "message": "x" }),
                    json!([{ "error": { "code": word } }]),
                ] {
                    assert_eq!(of(&body), entry.said, "{body}");
                }
            }
        }
        for phrase in entry.phrases {
            let text = format!("Sorry: {} ({}).", phrase.to_ascii_uppercase(), 9);
            for body in [
                json!({ "error": { "message": text, "type": "invalid_request_error", "code": 400 } }),
                json!({ "error": text }),
                json!({ "message": text }),
                json!({ "detail": text }),
            ] {
                assert_eq!(of(&body), entry.said, "{body}");
            }
        }
        for status in entry.statuses {
            for code in [json!(status), json!(status.to_string())] {
                assert_eq!(of(&json!({ "error": { "code": code, "message": "x" } })), entry.said, "{code}");
            }
        }
    }
}

#[test]
fn what_is_clear_is_not_overruled_by_a_sentence() {
    let quoting = "Unknown parameter: 'prompt is too long, rate limit reached'.";
    assert_eq!(
        of(&json!({ "error": { "message": quoting, "code": "unknown_parameter" } })),
        Said::BadRequest
    );
    let limited = json!({ "error": { "message": "The prompt is too long", "code": "rate_limit_exceeded" } });
    assert_eq!(of(&limited), Said::RateLimited);
}

#[test]
fn what_is_no_error_says_nothing() {
    for body in [
        "",
        "<html>429</html>",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        r#"{"error":null}"#,
        r#"{"error":{}}"#,
        r#"{"error":7}"#,
        r#"{"error":{"code":99}}"#,
        r#"{"error":{"code":200.5}}"#,
        r#"{"error":{"code":"4299"}}"#,
        r#"{"id":"a","choices":[{"message":{"content":"rate limit reached"}}]}"#,
    ] {
        assert_eq!(said(body.as_bytes()), Said::Nothing, "{body}");
    }
    let far = format!("{}prompt is too long", " ".repeat(LONGEST_TEXT));
    assert_eq!(of(&json!({ "error": { "message": far } })), Said::Nothing);
}

#[test]
fn escapes_hide_no_code() {
    assert_eq!(said(br#"{"\u0065rror":{"c\u006fde":"rate\u005flimit_exceeded"}}"#), Said::RateLimited);
}

proptest! {
    #[test]
    fn a_code_says_its_meaning_whatever_stands_around_it(
        others in prop::collection::btree_map("[a-z]{1,8}", samples::any_json(), 0..5),
        entry in 0..VOCABULARY.len(), at in any::<prop::sample::Index>(), pretty: bool,
    ) {
        let entry = &VOCABULARY[entry];
        let mut error = Json::Object(others.into_iter().collect());
        if let Some(word) = entry.codes.get(at.index(entry.codes.len().max(1))) {
            error["code"] = json!(word);
            let body = json!({ "error": error });
            let text = if pretty { serde_json::to_string_pretty(&body).unwrap() } else { body.to_string() };
            prop_assert_eq!(said(text.as_bytes()), entry.said);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in r#"([{}":,\[\]]|"error"|"code"|"message"|"details"|"detail"|429|"perday"|x){0,30}"#) {
        let _ = said(bytes.as_bytes());
        let _ = crate::dialect::openai::error::retry_after(bytes.as_bytes());
    }
}
