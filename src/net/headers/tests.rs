use http::header::AUTHORIZATION;
use proptest::prelude::*;

use super::*;

fn map<const N: usize>(entries: [(&'static str, &'static str); N]) -> HeaderMap {
    entries
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

fn agent() -> HeaderValue {
    HeaderValue::from_static("egret/0.1.0")
}

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

#[test]
fn only_the_allow_list_goes_to_a_provider() {
    let caller = map([
        ("accept", "text/event-stream"),
        ("accept-encoding", "gzip, br"),
        ("api-key", "k"),
        ("authorization", "Bearer k"),
        ("baggage", "a=b"),
        ("connection", "keep-alive"),
        ("content-length", "12"),
        ("content-type", "application/json"),
        ("cookie", "c"),
        ("host", "127.0.0.1:4100"),
        ("idempotency-key", "i"),
        ("openai-beta", "assistants=v2"),
        ("openai-organization", "org"),
        ("traceparent", "t"),
        ("x-api-key", "k"),
        ("x-client-request-id", "r"),
        ("x-egret-task", "summarization"),
        ("x-goog-api-key", "k"),
        ("x-stainless-lang", "python"),
    ]);
    let sent = to_provider(&caller, &agent(), &["openai-beta", "x-client-request-id"]);
    assert_eq!(
        sent,
        map([
            ("accept", "text/event-stream"),
            ("accept-encoding", "identity"),
            ("content-type", "application/json"),
            ("idempotency-key", "i"),
            ("openai-beta", "assistants=v2"),
            ("user-agent", "egret/0.1.0"),
            ("x-client-request-id", "r"),
        ])
    );
}

#[test]
fn the_callers_own_user_agent_is_kept() {
    let sent = to_provider(&map([("user-agent", "OpenAI/Python 2.0")]), &agent(), &[]);
    assert_eq!(sent["user-agent"], "OpenAI/Python 2.0");
}

#[test]
fn what_describes_our_account_or_this_hop_stays_behind() {
    let provider = map([
        ("alt-svc", "h3"),
        ("anthropic-organization-id", "o"),
        ("anthropic-ratelimit-tokens-limit", "1"),
        ("cf-ray", "1"),
        ("connection", "keep-alive, X-Hop"),
        ("content-length", "12"),
        ("content-type", "application/json"),
        ("date", "d"),
        ("keep-alive", "timeout=5"),
        ("openai-organization", "o"),
        ("openai-processing-ms", "12"),
        ("openai-project", "p"),
        ("ratelimit-policy", "p"),
        ("request-id", "r"),
        ("retry-after", "1"),
        ("server", "cloudflare"),
        ("set-cookie", "c"),
        ("strict-transport-security", "s"),
        ("te", "trailers"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("x-egret-cost-usd", "0"),
        ("x-hop", "1"),
        ("x-ratelimit-limit-requests", "1"),
        ("x-request-id", "r"),
        ("x-should-retry", "true"),
    ]);
    assert_eq!(
        to_caller(&provider),
        map([
            ("content-type", "application/json"),
            ("openai-processing-ms", "12"),
            ("retry-after", "1"),
            ("x-should-retry", "true"),
        ])
    );
}

#[test]
fn a_value_that_is_no_text_crosses_as_it_is() {
    let mut provider = HeaderMap::new();
    let value = HeaderValue::from_bytes(b"caf\xe9").unwrap();
    provider.insert("x-note", value.clone());
    assert_eq!(to_caller(&provider)["x-note"], value);
}

#[test]
fn the_providers_request_id_is_found_under_each_vendors_name() {
    assert_eq!(upstream_request_id(&map([("x-request-id", "a")])).unwrap(), "a");
    assert_eq!(upstream_request_id(&map([("request-id", "b")])).unwrap(), "b");
    assert_eq!(upstream_request_id(&map([("apim-request-id", "c")])).unwrap(), "c");
    assert_eq!(upstream_request_id(&HeaderMap::new()), None);
}

#[test]
fn an_encoded_body_is_recognised() {
    assert!(!is_encoded(&HeaderMap::new()));
    assert!(!is_encoded(&map([("content-encoding", "Identity")])));
    assert!(is_encoded(&map([("content-encoding", "gzip")])));
}

#[test]
fn a_key_is_set_and_never_printed() {
    let mut headers = HeaderMap::new();
    let key = SecretString::from("sk-very-secret");
    set_key(&mut headers, AUTHORIZATION, "Bearer ", &key).unwrap();
    assert_eq!(headers[AUTHORIZATION], "Bearer sk-very-secret");
    assert!(!format!("{headers:?}").contains("secret"));

    let broken = SecretString::from("sk\nx");
    assert_eq!(set_key(&mut headers, AUTHORIZATION, "Bearer ", &broken), Err(KeyError));
}

#[test]
fn a_pause_is_read_in_milliseconds_seconds_or_as_a_date() {
    let wait = |name, value| retry_after(&map([(name, value)]), now());
    assert_eq!(wait("retry-after-ms", "1500"), Some(Duration::from_millis(1500)));
    assert_eq!(wait("retry-after", "3"), Some(Duration::from_secs(3)));
    assert_eq!(wait("retry-after", " 0.25 "), Some(Duration::from_millis(250)));
    assert_eq!(wait("retry-after", "Fri, 20 Nov 2026 12:00:20 GMT"), Some(Duration::from_secs(20)));
}

#[test]
fn the_finer_pause_wins_unless_it_makes_no_sense() {
    let both = map([("retry-after-ms", "10"), ("retry-after", "1")]);
    assert_eq!(retry_after(&both, now()), Some(Duration::from_millis(10)));
    let odd = map([("retry-after-ms", "-10"), ("retry-after", "1")]);
    assert_eq!(retry_after(&odd, now()), Some(Duration::from_secs(1)));
}

#[test]
fn a_senseless_pause_is_none() {
    for value in ["-1", "NaN", "inf", "1e300", "86401", "soon", "", "Fri, 20 Nov 2026 11:59:59 GMT"] {
        assert_eq!(retry_after(&map([("retry-after", value)]), now()), None, "{value:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_in_a_pause_are_survived(value in proptest::collection::vec(0x20_u8..=0xff, 0..40)) {
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value);
            if let Some(wait) = retry_after(&headers, now()) {
                prop_assert!(wait <= RETRY_AFTER_MAX);
            }
        }
    }
}
