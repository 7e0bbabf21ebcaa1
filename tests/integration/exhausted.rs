//! What a caller hears when nobody answers: the only provider's own words, a refusal, or what the policy says.

use serde_json::{Value, json};

use crate::support::*;

const DOWN: &str = "{ status: { code: 500 } }";
const SILENT: &str = "{ stall: { afterChunks: 0 } }";

/// A chain whose route has an answer of its own.
fn responding(faults: &[&str]) -> String {
    let tries = faults.len();
    let more = format!(
        "retry: {{ maxAttempts: {tries} }}, timeouts: {{ firstToken: 5s, answer: 5s }}, \
         onExhausted: {{ respond: \"We are busy. Please try again.\" }}"
    );
    routing(&chain(faults), &more)
}

const SAID: &str = "We are busy. Please try again.";

#[tokio::test(start_paused = true)]
async fn the_only_candidates_last_error_is_returned_byte_for_byte_also_after_several_tries() {
    let often = "retry: { maxAttempts: 3, backoff: { base: 1ms, max: 1ms } }";
    for (faults, status, fault) in [
        (format!("{DOWN}, {DOWN}, {{ status: {{ code: 503 }} }}"), 503, "status=503"),
        (format!("{DOWN}, {DOWN}, {{ status: {{ code: 400 }} }}"), 400, "status=400"),
        (format!("{SILENT}, {DOWN}, {DOWN}"), 500, "status=500"),
    ] {
        for stream in [false, true] {
            let policy =
                routing(&chain(&[&faults]), &format!("{often}, timeouts: {{ firstToken: 5s, answer: 5s }}"));
            let proxy = proxy(&policy);
            let answer = if stream { proxy.stream("chat").await } else { proxy.chat("chat").await };
            let own = proxy.asked_directly("p1", fault).await;
            assert_eq!((answer.status, &answer.body), (status, &own.body), "{faults} stream: {stream}");
            assert_eq!(answer.header("x-egret-attempts"), Some("3"));
            assert_eq!(answer.header("x-should-retry"), Some("false"));
            assert_eq!(proxy.record()["outcome"], "upstream_error");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_used_up_is_told_in_the_only_providers_own_words() {
    let proxy = proxy(&chain(&["{ error: insufficient_quota }"]));
    let answer = proxy.chat("chat").await;
    let own = proxy.asked_directly("p1", "error=insufficient_quota").await;
    assert_eq!((answer.status, &answer.body), (429, &own.body));
}

#[tokio::test(start_paused = true)]
async fn a_candidate_is_the_only_one_where_the_others_do_not_come_into_question() {
    let policy =
        chain(&[DOWN, "ok"]).replace("{ model: m2 }", "{ model: m2, when: { inputTokensAbove: 100000 } }");
    let proxy = proxy(&routing(&policy, "retry: { maxAttempts: 1 }"));
    let answer = proxy.chat("chat").await;
    let own = proxy.asked_directly("p1", "status=500").await;
    assert_eq!((answer.status, &answer.body), (500, &own.body));
    // Passed over for its breaker it still is one of several.
    let policy = saying(
        &routing(&chain(&[DOWN, DOWN]), "retry: { maxAttempts: 1 }"),
        "p1",
        "breaker: { consecutiveFailures: 1 }",
    );
    let proxy = self::proxy(&policy);
    proxy.chat("chat").await;
    assert_eq!(proxy.chat("chat").await.refused(), (503, "no_provider_available".into()));
    assert_eq!(proxy.seen("p2").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_several_is_told_when_the_next_may_be_tried_where_that_is_known() {
    let limited = |seconds| format!("{{ status: {{ code: 429, retryAfter: {seconds}s }} }}");
    let overloaded = "{ status: { code: 503, retryAfter: 9s } }";
    for (first, second, hint) in [
        (limited(12), limited(17), Some("12")),
        (limited(17), limited(12), Some("12")),
        (limited(17), overloaded.to_owned(), Some("9")),
        // One that may be tried at once, as far as anybody knows.
        (limited(17), DOWN.to_owned(), None),
        (DOWN.to_owned(), DOWN.to_owned(), None),
        // Longer than an SDK waits.
        (limited(90), limited(100), None),
    ] {
        for stream in [false, true] {
            let proxy = proxy(&chain(&[&first, &second]));
            let answer = if stream { proxy.stream("chat").await } else { proxy.chat("chat").await };
            assert_eq!(answer.refused(), (503, "no_provider_available".into()), "{first} {second}");
            assert_eq!(answer.header("x-should-retry"), Some("false"), "{first} {second}");
            assert_eq!(answer.header("retry-after"), hint, "{first} {second}");
        }
    }
    let open = |seconds| format!("breaker: {{ consecutiveFailures: 1, openFor: {seconds}s }}");
    let policy = saying(&saying(&chain(&[DOWN, DOWN]), "p1", &open(40)), "p2", &open(30));
    let proxy = proxy(&policy);
    let answer = proxy.chat("chat").await;
    assert_eq!((answer.header("x-should-retry"), answer.header("retry-after")), (Some("false"), Some("30")));
    tokio::time::sleep(secs(30)).await;
    let answer = proxy.chat("chat").await;
    assert_eq!(answer.header("x-egret-attempts"), Some("1"), "who waits so long is the next probe");
    assert_eq!(answer.header("retry-after"), Some("10"), "and then the other one");
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_no_matter_of_waiting() {
    for faults in [&["{ status: { code: 401 } }"][..], &["{ status: { code: 401 } }"; 2]] {
        let proxy = proxy(&chain(faults));
        let answer = proxy.chat("chat").await;
        assert_eq!((answer.status, answer.header("retry-after")), (502, None));
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_word_of_several_is_a_timeout_where_the_last_try_ran_out_of_time() {
    let timeouts = "retry: { maxAttempts: 2 }, timeouts: { firstToken: 5s, answer: 5s }";
    for (faults, expected) in [
        ([DOWN, SILENT], (504, "upstream_timeout")),
        ([SILENT, SILENT], (504, "upstream_timeout")),
        ([SILENT, DOWN], (503, "no_provider_available")),
    ] {
        for stream in [false, true] {
            let proxy = proxy(&routing(&chain(&faults), timeouts));
            let answer = if stream { proxy.stream("chat").await } else { proxy.chat("chat").await };
            assert_eq!(answer.refused(), (expected.0, expected.1.to_owned()), "{faults:?} stream: {stream}");
            assert_eq!(answer.header("x-should-retry"), Some("false"));
            assert_eq!(proxy.record()["outcome"], "upstream_failed");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_too_long_for_every_window_is_told_so_by_the_provider() {
    let too_long = "{ error: context_length_exceeded }";
    for more in ["", ", onExhausted: { respond: \"We are busy.\" }"] {
        for stream in [false, true] {
            let policy = chain(&[too_long, too_long]);
            let policy = policy.replace("{ provider: p1 }", "{ provider: p1, contextTokens: 8000 }");
            let policy = policy.replace("{ provider: p2 }", "{ provider: p2, contextTokens: 16000 }");
            let policy = routing(&policy, &format!("onContextOverflow: nextTarget{more}"));
            let proxy = proxy(&policy);
            let answer = if stream { proxy.stream("chat").await } else { proxy.chat("chat").await };
            let own = proxy.asked_directly("p1", "error=context_length_exceeded").await;
            assert_eq!((answer.status, &answer.body), (400, &own.body), "{more} stream: {stream}");
            assert_eq!(answer.header("x-egret-attempts"), Some("2"), "the larger window was asked too");
            assert_eq!(
                answer.header("x-egret-exhausted"),
                None,
                "a call that is too long is its caller's fault"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_policys_own_answer_looks_like_a_models() {
    for (faults, why) in [
        (&[DOWN][..], "no_provider_available"),
        (&[DOWN, DOWN][..], "no_provider_available"),
        (&[DOWN, SILENT][..], "upstream_timeout"),
        (&["html"][..], "upstream_failed"),
        (&["{ status: { code: 401 } }"][..], "upstream_auth_failed"),
        (&["{ status: { code: 429, retryAfter: 40s } }"][..], "no_provider_available"),
    ] {
        let proxy = proxy(&responding(faults));
        for stream in [false, true] {
            let answer = if stream { proxy.stream("chat").await } else { proxy.chat("chat").await };
            assert_eq!((answer.status, answer.text().as_str()), (200, SAID), "{faults:?} stream: {stream}");
            assert_eq!(answer.is_done(), stream);
            for absent in
                ["retry-after", "x-should-retry", "x-egret-model", "x-egret-provider", "x-egret-cost-usd"]
            {
                assert_eq!(answer.header(absent), None, "{absent}");
            }
            let record = proxy.record();
            assert_eq!((&record["outcome"], &record["status"]), (&json!("fixed_answer"), &json!(200)));
            assert_eq!(record["refusal"], answer.header("x-egret-exhausted").unwrap());
            if !stream {
                assert_eq!(answer.header("x-egret-exhausted"), Some(why), "{faults:?}");
                let tries = faults.len().to_string();
                assert_eq!(answer.header("x-egret-attempts"), Some(tries.as_str()));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_operation_has_a_form_for_it() {
    let proxy = proxy(&responding(&[DOWN]));
    let chat = proxy.chat("chat").await.json();
    assert_eq!((&chat["object"], &chat["model"]), (&json!("chat.completion"), &json!("chat")));
    assert_eq!(chat["choices"][0]["finish_reason"], "stop");
    assert_eq!(chat["usage"]["total_tokens"], 0);

    let completion = proxy.post("/v1/completions", r#"{"model":"chat","prompt":"hi"}"#).await;
    assert_eq!((completion.status, &completion.json()["choices"][0]["text"]), (200, &json!(SAID)));
    let streamed = proxy.post("/v1/completions", r#"{"model":"chat","prompt":"hi","stream":true}"#).await;
    let text: String =
        streamed.events().iter().filter_map(|event| event["choices"][0]["text"].as_str()).collect();
    assert_eq!((text.as_str(), streamed.is_done()), (SAID, true));

    let response = proxy.post("/v1/responses", r#"{"model":"chat","input":"hi"}"#).await.json();
    assert_eq!((&response["object"], &response["status"]), (&json!("response"), &json!("completed")));
    assert_eq!(response["output"][0]["content"][0]["text"], SAID);
    let streamed = proxy.post("/v1/responses", r#"{"model":"chat","input":"hi","stream":true}"#).await;
    assert_eq!(streamed.header("content-type"), Some("text/event-stream"));
    let last = streamed.events().pop().unwrap();
    assert_eq!(
        (&last["type"], &last["response"]["output"][0]["content"][0]["text"]),
        (&json!("response.completed"), &json!(SAID))
    );
}

#[tokio::test(start_paused = true)]
async fn embeddings_have_none_and_hear_the_error() {
    let proxy = proxy(&responding(&[DOWN, DOWN]));
    let answer = proxy.post("/v1/embeddings", r#"{"model":"chat","input":"a b"}"#).await;
    assert_eq!(answer.refused(), (503, "no_provider_available".into()));
    assert_eq!((answer.header("x-egret-exhausted"), answer.header("x-should-retry")), (None, Some("false")));
    assert_eq!(proxy.record()["outcome"], "upstream_failed");
}

#[tokio::test(start_paused = true)]
async fn it_stands_in_also_where_nobody_could_be_tried() {
    let policy = saying(&responding(&[DOWN]), "p1", "breaker: { consecutiveFailures: 1 }");
    let open = proxy(&policy);
    open.chat("chat").await;
    open.log_text();
    let answer = open.chat("chat").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, SAID));
    assert_eq!((answer.header("x-egret-attempts"), open.seen("p1").len()), (Some("0"), 1));
    assert_eq!(open.record()["outcome"], "fixed_answer");

    let crowded = proxy(&saying(&responding(&["ok"]), "p1", "limits: { rpm: { requests: 1, per: 1m } }"));
    assert_eq!(crowded.chat("chat").await.text(), "hello from p1");
    assert_eq!(crowded.chat("chat").await.text(), SAID);
}

#[tokio::test(start_paused = true)]
async fn no_refusal_and_no_fault_of_the_caller_is_papered_over() {
    // The provider finds fault with the call.
    for fault in [
        "status=400",
        "status=413",
        "status=422",
        "error=content_policy_violation",
        "error=context_length_exceeded",
    ] {
        let proxy = proxy(&responding(&["ok", "ok"]));
        let answer = proxy.chat("chat").fault(fault).await;
        assert!((400..=422).contains(&answer.status), "{fault}");
        assert_eq!(answer.header("x-egret-exhausted"), None, "{fault}");
    }
    // So does egret.
    let proxy = proxy(&responding(&[DOWN]));
    for (answer, status) in [
        (proxy.chat("nothing").await, 404),
        (proxy.post("/v1/chat/completions", "{").await, 400),
        (
            proxy.post("/v1/chat/completions", r#"{"model":"chat","messages":[],"models":["other"]}"#).await,
            400,
        ),
        (proxy.chat("chat").key("wrong").await, 401),
    ] {
        assert_eq!((answer.status, answer.header("x-egret-exhausted")), (status, None), "{}", answer.raw());
    }
    // Not allowed, or beyond a limit of the caller's own.
    let tenant = |says: &str| responding(&["ok"]).replace("access: { allow: [\"*\"] }", says);
    let denied = self::proxy(&tenant("access: { allow: [m1] }"));
    assert_eq!(denied.chat("chat").await.refused(), (403, "model_not_allowed".into()));
    let limited =
        self::proxy(&tenant("access: { allow: [\"*\"] }, limits: { rpm: { requests: 1, per: 1m } }"));
    assert_eq!(limited.chat("chat").await.text(), "hello from p1");
    assert_eq!(limited.chat("chat").await.refused(), (429, "rate_limit_exceeded".into()));
}

/// Used of the tenant's requests, tokens and money after a call that heard the policy's answer.
async fn charged(faults: &[&str], stream: bool) -> (u64, u64, u64) {
    let mut policy = responding(faults);
    for at in 1..=faults.len() {
        let price = "maxOutputTokens: 100, price: [{ inputPerMTok: \"1.00\", outputPerMTok: \"2.00\" }]";
        policy =
            policy.replace(&format!("{{ provider: p{at} }}"), &format!("{{ provider: p{at}, {price} }}"));
    }
    let limits = "limits: { rpd: { requests: 10, per: day }, tpd: { tokens: 10000, per: day }, usd: { usd: \"1\", per: day } }";
    let proxy = proxy(
        &policy.replace("access: { allow: [\"*\"] }", &format!("access: {{ allow: [\"*\"] }}, {limits}")),
    );
    let answer = if stream { proxy.stream("chat").await } else { proxy.chat("chat").await };
    assert_eq!(answer.text(), SAID);
    let record: Value = proxy.record();
    assert_eq!((&record["usage"], &record["cost_usd"]), (&Value::Null, &Value::Null));
    let used = |key| {
        let cells = proxy.cells();
        let cell = cells.iter().find(|cell| cell.0 == key).unwrap();
        assert_eq!(cell.3, 0, "nothing is held any more: {cells:?}");
        cell.2
    };
    (used("rpd"), used("tpd"), used("usd"))
}

#[tokio::test(start_paused = true)]
async fn it_costs_what_the_tries_cost_and_no_more() {
    for stream in [false, true] {
        let nothing = charged(&[DOWN, DOWN], stream).await;
        assert_eq!(nothing, (1, 0, 0), "errors cost nothing");
        let (calls, tokens, money) = charged(&[SILENT], stream).await;
        assert!(
            calls == 1 && tokens > 0 && tokens < 100,
            "what was sent and given up costs its input: {tokens}"
        );
        assert_eq!(money, 1_000 * tokens, "at a dollar per million tokens");
        let twice = charged(&[SILENT, SILENT], stream).await;
        assert_eq!(twice, (1, 2 * tokens, 2 * money), "each try that cost something is charged");
        assert_eq!(charged(&[SILENT, DOWN], stream).await, (1, tokens, money));
    }
}

#[tokio::test(start_paused = true)]
async fn behind_a_head_that_is_out_it_comes_as_events() {
    let policy = responding(&["{ slowHead: 4s }, ok", DOWN])
        .replace("onExhausted", "keepAlive: { after: 1s, every: 1s }, onExhausted");
    let policy = policy.replace("firstToken: 5s", "firstToken: 3s");
    let proxy = proxy(&policy);
    let answer = proxy.stream("chat").await;
    assert!(answer.raw().starts_with(':'), "{}", answer.raw());
    let text: String =
        answer.events().iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!((answer.status, text.as_str(), answer.is_done()), (200, SAID, true));
    assert_eq!(proxy.record()["outcome"], "fixed_answer");
}

/// In real time: sockets do not know of a paused clock.
#[tokio::test]
async fn an_account_that_is_used_up_is_never_told_as_a_403() {
    let body = r#"{"error":{"message":"You exceeded your current quota.","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    let head = "HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\n";
    for stream in [false, true] {
        let raw = Raw::answers(format!("{head}content-length: {}\r\n\r\n{body}", body.len())).await;
        let proxy = proxy(&raw.policy(""));
        let answer = if stream { proxy.stream("m").await } else { proxy.chat("m").await };
        assert_eq!(answer.refused(), (503, "no_provider_available".into()), "stream: {stream}");
        assert!(!answer.raw().contains("quota"), "{}", answer.raw());
        assert_eq!(proxy.record()["attempts"][0]["outcome"], "out_of_credit");
    }
}
