use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::dialect::samples;

fn of(body: &Json) -> Option<Duration> {
    retry_after(body.to_string().as_bytes())
}

fn told(message: &str) -> Option<Duration> {
    of(&json!({ "error": { "message": message, "code": "rate_limit_exceeded" } }))
}

fn ms(ms: u64) -> Option<Duration> {
    Some(Duration::from_millis(ms))
}

#[test]
fn googles_retry_info_is_read_in_a_list_or_alone() {
    let delayed = |delay: &str| {
        json!({ "error": { "code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Please retry in 3s.", "details": [
            { "@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [] },
            { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay },
        ] } })
    };
    for (delay, expected) in
        [("17s", ms(17_000)), ("0.5s", ms(500)), ("86400s", ms(86_400_000)), ("soon", ms(3_000))]
    {
        assert_eq!(of(&delayed(delay)), expected, "{delay}");
        assert_eq!(of(&json!([delayed(delay)])), expected, "{delay}");
    }
    assert_eq!(of(&delayed("86401s")), ms(3_000), "what is out of bounds is not said");
}

#[test]
fn a_sentence_names_its_wait_in_many_units() {
    let openai =
        "Rate limit reached for gpt-4.1 on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. ";
    for (text, expected) in [
        ("Please try again in 20ms. Visit x.", ms(20)),
        ("Please try again in 6.5s. Visit x.", ms(6_500)),
        ("Please try again in 7m12s.", ms(432_000)),
        ("Please try again in 1h2m3.5s", ms(3_723_500)),
        ("Please retry after 6 seconds.", ms(6_000)),
        ("TRY AGAIN IN 1 minute", ms(60_000)),
        ("Please retry in 17.473s.", ms(17_473)),
        ("Please try again in 0s.", ms(0)),
        ("Please try again in 24h", ms(86_400_000)),
        ("Please try again in 24h1s", None),
        ("Please try again in 6.", None),
        ("Please try again in 6 parsecs.", None),
        ("Please try again in a minute.", None),
        ("Please try again in 1.2.3s.", None),
        ("Please try again in ", None),
        ("Please try again in 99999999999999999999999999999999999999999999s", None),
        ("Please try again later.", None),
    ] {
        assert_eq!(told(text), expected, "{text}");
        assert_eq!(told(&format!("{openai}{text}")), expected, "{text}");
        assert_eq!(of(&json!({ "error": text })), expected, "{text}");
        assert_eq!(of(&json!({ "statusCode": 429, "message": text })), expected, "{text}");
    }
}

#[test]
fn an_error_event_names_it_too() {
    let failed = json!({ "type": "response.failed", "response": { "error": {
        "code": "rate_limit_exceeded", "message": "Please try again in 2s." } } });
    assert_eq!(of(&failed), ms(2_000));
}

#[test]
fn most_errors_name_none() {
    for line in String::from_utf8(samples::openai("errors.jsonl")).unwrap().lines() {
        let sample: Json = serde_json::from_str(line).unwrap();
        assert_eq!(of(&sample["body"]), None, "{line}");
    }
    for body in
        ["", "{}", "oops", r#"{"error":{"details":7}}"#, r#"{"error":{"details":[{"retryDelay":7}]}}"#]
    {
        assert_eq!(retry_after(body.as_bytes()), None, "{body}");
    }
}

proptest! {
    #[test]
    fn every_wait_up_to_a_day_is_read_to_the_millisecond(wait in 0..=86_400_000_u64, before in samples::any_text()) {
        let (hours, rest) = (wait / 3_600_000, wait % 3_600_000);
        let (minutes, seconds) = (rest / 60_000, (rest % 60_000) as f64 / 1000.0);
        for text in [format!("{wait}ms"), format!("{}s", wait as f64 / 1000.0), format!("{hours}h{minutes}m{seconds}s")] {
            let read = told(&format!("{before} Please try again in {text}. Bye.")).unwrap();
            prop_assert_eq!(read.as_micros().div_ceil(10) / 100, u128::from(wait), "{}", text);
        }
    }
}
