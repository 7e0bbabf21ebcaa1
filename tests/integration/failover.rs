//! Where a failed attempt leads: to the next candidate, or to the caller.

use crate::support::*;

/// The faults that send a call on, whether plain or a stream, and how the log calls them.
const GO_ON: [(&str, &str); 12] = [
    ("{ status: { code: 401 } }", "key_refused"),
    ("{ status: { code: 403 } }", "key_refused"),
    ("{ status: { code: 408 } }", "error_status"),
    ("{ status: { code: 409 } }", "conflict"),
    ("{ status: { code: 429, retryAfter: 7s } }", "rate_limited"),
    ("{ status: { code: 500 } }", "error_status"),
    ("{ status: { code: 502 } }", "error_status"),
    ("{ status: { code: 503 } }", "error_status"),
    ("{ status: { code: 529 } }", "error_status"),
    ("{ reset: { afterChunks: 0 } }", "head"),
    ("empty", "empty"),
    ("html", "wrong_content_type"),
];

#[tokio::test(start_paused = true)]
async fn peer_bug_12_every_failure_before_the_answer_goes_on_to_the_next_target() {
    for (fault, outcome) in GO_ON {
        for stream in [false, true] {
            let proxy = proxy(&chain(&[fault, "ok"]));
            let answer = if stream { proxy.stream("chat").await } else { proxy.chat("chat").await };

            assert_eq!(
                (answer.status, answer.text().as_str()),
                (200, "hello from p2"),
                "{fault} stream: {stream}"
            );
            assert_eq!(answer.header("x-egret-attempts"), Some("2"), "{fault}");
            assert_eq!(answer.header("x-egret-provider"), Some("p2"), "{fault}");
            assert_eq!(answer.header("x-egret-model"), Some("m2"), "{fault}");
            assert_eq!(answer.header("retry-after"), None, "{fault}: an answer is nothing to wait for");
            let record = proxy.record();
            assert_eq!(record["attempts"][0]["outcome"], outcome, "{fault} stream: {stream}");
            assert_eq!(record["attempts"][1]["outcome"], "answered", "{fault}");
            assert_eq!((&record["model"], &record["outcome"]), (&"m2".into(), &"answered".into()), "{fault}");
        }
    }
}

/// Faults of one kind only: the plain answer is judged when it is complete, a stream at its first bytes.
const PLAIN_GO_ON: [(&str, &str); 2] =
    [("{ reset: { afterChunks: 1 } }", "cut"), ("{ errorEvent: { afterChunks: 1 } }", "error_in_answer")];

#[tokio::test(start_paused = true)]
async fn peer_bug_13_a_plain_answer_that_breaks_after_its_good_head_goes_on_to_the_next_target() {
    for (fault, outcome) in PLAIN_GO_ON {
        let proxy = proxy(&chain(&[fault, "ok"]));
        let answer = proxy.chat("chat").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello from p2"), "{fault}");
        assert_eq!(proxy.record()["attempts"][0]["outcome"], outcome, "{fault}");
    }
}

#[tokio::test]
async fn peer_bug_13_a_plain_answer_cut_where_an_object_in_it_ends_is_no_answer() {
    let cut = r#"{"id":"a","object":"chat.completion","choices":[{"message":{"content":"half"}}"#;
    let raw = Raw::answers(canned("content-type: application/json\r\n", cut)).await;
    let proxy = proxy(&raw.policy(""));
    assert_eq!(proxy.chat("m").await.refused(), (502, "upstream_failed".to_owned()));
    assert_eq!(proxy.record()["attempts"][0]["outcome"], "no_answer");
}

#[tokio::test(start_paused = true)]
async fn a_request_fault_is_returned_byte_for_byte_and_tried_nowhere_else() {
    let faults = ["status=400", "status=413", "status=415", "status=422"];
    let codes = ["error=content_policy_violation"];
    for fault in faults.into_iter().chain(codes) {
        for stream in [false, true] {
            let proxy = proxy(&chain(&["ok", "ok"]));
            let ask = if stream { proxy.stream("chat") } else { proxy.chat("chat") };
            let answer = ask.fault(fault).await;

            let own = proxy.asked_directly("p1", fault).await;
            assert_eq!((answer.status, &answer.body), (own.status, &own.body), "{fault} stream: {stream}");
            assert_eq!(answer.header("content-type"), own.header("content-type"), "{fault}");
            assert_eq!(answer.header("x-egret-attempts"), Some("1"), "{fault}");
            assert_eq!(answer.header("x-should-retry"), None, "{fault}: the SDK knows this status");
            assert_eq!(proxy.seen("p2").len(), 0, "{fault}");
            let record = proxy.record();
            assert_eq!(record["outcome"], "upstream_error", "{fault}");
            assert_eq!(record["status"], answer.status, "{fault}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_code_decides_no_less_than_a_status_that_the_next_target_is_tried() {
    for (code, attempts) in [
        ("invalid_api_key", 2),
        ("insufficient_quota", 2),
        ("slow_down", 2),
        ("server_is_overloaded", 2),
        ("model_not_found", 2),
        ("context_length_exceeded", 1),
        ("content_policy_violation", 1),
    ] {
        let proxy = proxy(&chain(&["ok", "ok"]));
        let answer = proxy.chat("chat").fault(&format!("error={code}")).await;
        assert_eq!(answer.header("x-egret-attempts"), Some(attempts.to_string().as_str()), "{code}");
        assert_eq!(proxy.record()["attempts"].as_array().unwrap().len(), attempts, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_too_long_is_the_callers_fault_also_where_a_good_status_says_so() {
    for providers in [1, 2] {
        for stream in [false, true] {
            let proxy = proxy(&chain(&vec!["ok"; providers]));
            let ask = if stream { proxy.stream("chat") } else { proxy.chat("chat") };
            let answer = ask.fault("error-event=0;code=context_length_exceeded").await;
            assert_eq!(answer.refused(), (400, "context_length_exceeded".into()), "{providers} {stream}");
            assert_eq!(answer.header("x-egret-attempts"), Some("1"));
            assert_eq!(proxy.record()["outcome"], "refused");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_nothing_but_a_refusal_is_no_fault_of_its_provider() {
    // Five in a row would open its breaker.
    let proxy = proxy(&chain(&["ok", "ok"]));
    for _ in 0..10 {
        let answer = proxy.stream("chat").fault("error-event=1;code=content_policy_violation").await;
        assert_eq!(answer.error_event()["code"], "content_policy_violation");
        assert_eq!(proxy.record()["outcome"], "upstream_error");
    }
    assert_eq!((proxy.seen("p1").len(), proxy.seen("p2").len()), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn the_only_providers_own_error_is_returned_and_its_own_hint() {
    for status in [408, 409, 429, 500, 503, 529] {
        let fault = format!("status={status};retry-after=7");
        let proxy = proxy(&chain(&["ok"]));
        let answer = proxy.chat("chat").fault(&fault).await;
        let own = proxy.asked_directly("p1", &fault).await;
        assert_eq!((answer.status, &answer.body), (status, &own.body));
        assert_eq!(answer.header("retry-after"), Some("7"), "{status}");
        assert_eq!(answer.header("x-egret-attempts"), Some("1"));
        assert_eq!(answer.header("x-should-retry"), None, "{status}: nobody has retried yet");
        assert_eq!(proxy.record()["outcome"], "upstream_error");
    }
}

#[tokio::test(start_paused = true)]
async fn several_providers_that_fail_are_no_provider_available_and_not_to_be_retried() {
    for stream in [false, true] {
        let proxy =
            proxy(&chain(&["{ status: { code: 500 } }", "{ status: { code: 429, retryAfter: 7s } }"]));
        let ask = if stream { proxy.stream("chat") } else { proxy.chat("chat") };
        let answer = ask.await;
        assert_eq!(answer.refused(), (503, "no_provider_available".into()));
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert_eq!(answer.header("x-egret-attempts"), Some("2"));
        let record = proxy.record();
        assert_eq!(record["outcome"], "upstream_failed");
        assert_eq!(record["refusal"], "no_provider_available");
        assert_eq!(record["attempts"][0]["status"], 500);
        assert_eq!(record["attempts"][1]["status"], 429);
        assert_eq!(record["attempts"][1]["outcome"], "rate_limited");
        assert_eq!(record["provider"], "p2", "the one tried last");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_word_is_a_timeout_when_the_last_attempt_ran_out_of_time() {
    let silent = "{ stall: { afterChunks: 0 } }";
    for (faults, expected) in [
        (&["empty", silent][..], (504, "upstream_timeout")),
        (&[silent][..], (504, "upstream_timeout")),
        (&[silent, "empty"][..], (503, "no_provider_available")),
    ] {
        for stream in [false, true] {
            let proxy = proxy(&chain(faults));
            let answer = if stream { proxy.stream("chat").await } else { proxy.chat("chat").await };
            assert_eq!(answer.refused(), (expected.0, expected.1.into()), "{faults:?} stream: {stream}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_only_provider_that_answers_nonsense_is_a_bad_gateway() {
    for fault in ["empty", "html", "error-event=0", "reset=1"] {
        let proxy = proxy(&chain(&["ok"]));
        let answer = proxy.chat("chat").fault(fault).await;
        assert_eq!(answer.refused(), (502, "upstream_failed".into()), "{fault}");
    }
    let proxy = proxy(&chain(&["ok"]));
    let answer = proxy.chat("chat").fault("reset=0").await;
    assert_eq!(answer.refused(), (503, "no_provider_available".into()), "no answer at all");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_every_provider_refuses_is_our_fault_and_never_looks_like_the_callers() {
    for status in [401, 403] {
        let fault = format!("{{ status: {{ code: {status} }} }}");
        for providers in [1, 2] {
            let proxy = proxy(&chain(&vec![fault.as_str(); providers]));
            let answer = proxy.chat("chat").await;
            assert_eq!(answer.refused(), (502, "upstream_auth_failed".into()));
            assert!(!answer.raw().contains("Incorrect API key"), "{}", answer.raw());
            assert_eq!(answer.header("www-authenticate"), None);
            assert_eq!(proxy.record()["refusal"], "upstream_auth_failed");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_there_is_passed_over_before_anything_is_sent() {
    let policy = format!(
        "providers:\n  openai: {{ key: {{ fromEnv: NOT_SET }} }}\n  p2: {{ mock: {{ says: hello }} }}\n\
         models: {{ m1: {{ provider: openai }}, m2: {{ provider: p2 }} }}\n\
         routes: {{ chat: {{ targets: [{{ model: m1 }}, {{ model: m2 }}] }} }}\n{ANYONE}"
    );
    let proxy = proxy(&policy);
    assert_eq!(proxy.chat("chat").await.text(), "hello");
    assert_eq!(proxy.record()["attempts"][0]["outcome"], "key_missing");

    let alone = proxy.chat("m1").await;
    assert_eq!(alone.refused(), (502, "upstream_auth_failed".into()));
}

/// In real time: sockets do not know of a paused clock.
#[tokio::test]
async fn peer_bug_14_a_name_without_address_and_a_port_without_listener_go_on_to_the_next_target() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    // No label is that long: the resolver knows without asking anybody.
    let nobody = format!("{}.invalid", "nobody".repeat(11));
    for (url, outcome) in
        [(format!("http://127.0.0.1:{closed}/v1"), "connect"), (format!("http://{nobody}/v1"), "resolve")]
    {
        let policy = format!(
            "providers:\n  p1: {{ dialect: openai, baseUrl: \"{url}\" }}\n  p2: {{ mock: {{ says: hello }} }}\n\
             models: {{ m1: {{ provider: p1 }}, m2: {{ provider: p2 }} }}\n\
             routes: {{ chat: {{ targets: [{{ model: m1 }}, {{ model: m2 }}] }} }}\n{ANYONE}"
        );
        let proxy = proxy(&policy);
        assert_eq!(proxy.stream("chat").await.text(), "hello", "{url}");
        assert_eq!(proxy.record()["attempts"][0]["outcome"], outcome, "{url}");
        let alone = proxy.chat("m1").await;
        assert_eq!(alone.refused(), (503, "no_provider_available".into()), "{url}");
        assert!(!alone.raw().contains("nobody") && !alone.raw().contains("127.0.0.1"), "{}", alone.raw());
    }
}

#[tokio::test(start_paused = true)]
async fn the_callers_choice_among_providers_is_the_policys_order() {
    let proxy = proxy(&chain(&["ok", "ok", "ok"]));
    for _ in 0..5 {
        assert_eq!(proxy.chat("chat").await.text(), "hello from p1");
    }
    assert_eq!((proxy.seen("p1").len(), proxy.seen("p2").len()), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn peer_bug_15_every_target_is_tried_at_most_once_a_call() {
    let faults = ["empty"; 20];
    let proxy = proxy(&chain(&faults));
    let answer = proxy.chat("chat").await;
    assert_eq!(answer.header("x-egret-attempts"), Some("20"));
    assert!((1..=20).all(|at| proxy.seen(&format!("p{at}")).len() == 1));
}

#[tokio::test(start_paused = true)]
async fn a_target_whose_provider_lacks_the_operation_is_passed_over() {
    let policy = format!(
        "providers:\n  p1: {{ apis: [chat], mock: {{}} }}\n  p2: {{ mock: {{}} }}\n\
         models: {{ m1: {{ provider: p1 }}, m2: {{ provider: p2 }} }}\n\
         routes: {{ both: {{ targets: [{{ model: m1 }}, {{ model: m2 }}] }} }}\n{ANYONE}"
    );
    let proxy = proxy(&policy);
    let answer = proxy.post("/v1/embeddings", r#"{"model":"both","input":"a b"}"#).await;
    assert_eq!((answer.status, answer.header("x-egret-provider")), (200, Some("p2")));
    assert_eq!(proxy.seen("p1").len(), 0);

    let alone = proxy.post("/v1/embeddings", r#"{"model":"m1","input":"a b"}"#).await;
    assert_eq!(alone.refused(), (400, "invalid_request".into()));
    assert_eq!(proxy.seen("p1").len(), 0);
}

#[tokio::test]
async fn an_error_page_of_something_in_between_reaches_the_caller_as_an_error_of_its_dialect() {
    for (status, headers, body) in [
        ("404 Not Found", "content-type: text/html\r\n", "<html>nothing here</html>"),
        ("503 Service Unavailable", "content-type: application/json\r\n", "upstream connect error"),
        ("400 Bad Request", "", ""),
        ("500 Oops", "content-type: application/json\r\ncontent-encoding: gzip\r\n", "{\"error\":{}}"),
    ] {
        let page = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
        let raw = Raw::answers(page).await;
        let proxy = proxy(&raw.policy(""));
        let answer = proxy.chat("m").await;
        assert_eq!(answer.status, status[..3].parse::<u16>().unwrap());
        assert_eq!(answer.header("content-type"), Some("application/json"), "{status}");
        assert_eq!(answer.header("content-encoding"), None, "{status}");
        assert_eq!(answer.json()["error"]["code"], "upstream_failed", "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_connection_of_a_provider_that_answers_errors_is_used_again() {
    let proxy = proxy(&chain(&["{ status: { code: 503 } }", "ok"]));
    for _ in 0..3 {
        assert_eq!(proxy.chat("chat").await.text(), "hello from p2");
    }
    assert_eq!(proxy.idle(), 2, "one to each provider");
}
