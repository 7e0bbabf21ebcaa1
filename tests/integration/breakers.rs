//! When a target that keeps failing is left alone, how it comes back, and what operators see of it.

use std::time::Duration;

use egret::admin::Sight;
use serde_json::{Value, json};

use crate::metrics::Page;
use crate::support::*;

const DOWN: &str = "{ status: { code: 500 } }";
/// Three failures in a row open it, for ten seconds.
const THREE: &str =
    "breaker: { consecutiveFailures: 3, openFor: 10s, halfOpenProbes: 2, successesToClose: 2 }";
/// One failure does.
const ONE: &str = "breaker: { consecutiveFailures: 1, openFor: 10s, halfOpenProbes: 1, successesToClose: 1 }";

/// `p1` with these faults in turn and this breaker, and `p2` that is fine.
fn broken(faults: &str, breaker: &str) -> String {
    saying(&chain(&[faults, "ok"]), "p1", breaker)
}

/// Who answers the next call.
async fn served(proxy: &Proxy) -> String {
    let answer = proxy.chat("chat").await;
    assert_eq!(answer.status, 200, "{}", answer.raw());
    answer.header("x-egret-provider").unwrap().to_owned()
}

/// How many calls the first provider has seen.
fn tried(proxy: &Proxy) -> usize {
    proxy.seen("p1").len()
}

/// What operators see of a model.
fn model(proxy: &Proxy, name: &str) -> Value {
    let page = proxy.state.sight().providers();
    let models = page["providers"].as_array().unwrap().iter().flat_map(|of| of["models"].as_array().unwrap());
    let model = models.into_iter().find(|model| model["model"] == name);
    model.cloned().unwrap_or_else(|| panic!("no {name} in {page}"))
}

fn breaker(proxy: &Proxy) -> Value {
    model(proxy, "m1")["breaker"].clone()
}

#[tokio::test(start_paused = true)]
async fn after_so_many_failures_in_a_row_it_is_passed_over() {
    let proxy = proxy(&broken(&format!("{DOWN}, {DOWN}, ok, {DOWN}, {DOWN}, {DOWN}, ok"), THREE));
    for expected in ["p2", "p2", "p1", "p2", "p2", "p2"] {
        assert_eq!(served(&proxy).await, expected, "a success begins the count anew");
    }
    proxy.log_text();
    for _ in 0..3 {
        let answer = proxy.chat("chat").await;
        assert_eq!(
            (answer.header("x-egret-provider"), answer.header("x-egret-attempts")),
            (Some("p2"), Some("1"))
        );
        let passed = json!([{ "provider": "p1", "model": "m1", "reason": "breaker_open" }]);
        assert_eq!(proxy.record()["passed_over"], passed);
    }
    assert_eq!(tried(&proxy), 6);
}

#[tokio::test(start_paused = true)]
async fn five_failures_open_it_for_a_minute_where_nothing_is_said() {
    let proxy = proxy(&chain(&[DOWN, "ok"]));
    for _ in 0..7 {
        served(&proxy).await;
    }
    assert_eq!(tried(&proxy), 5);
    tokio::time::sleep(secs(59)).await;
    served(&proxy).await;
    assert_eq!(tried(&proxy), 5);
    tokio::time::sleep(secs(1)).await;
    served(&proxy).await;
    assert_eq!(tried(&proxy), 6);
}

#[tokio::test(start_paused = true)]
async fn when_its_time_is_over_a_few_probe_it_at_once_and_it_closes_when_enough_succeed() {
    // The failures are over: what comes after is fine.
    let faults = format!("{DOWN}, {DOWN}, {DOWN}{}", ", ok".repeat(9));
    let policy = broken(&faults, THREE).replace("hello from p1\"", "hello from p1\", latency: 1s");
    let proxy = proxy(&policy);
    for _ in 0..3 {
        served(&proxy).await;
    }
    assert_eq!(breaker(&proxy), "open");
    tokio::time::sleep(secs(10)).await;
    assert_eq!(breaker(&proxy), "halfOpen");
    let answers = all((0..8).map(|_| proxy.chat("chat"))).await;
    let of = |provider| {
        answers.iter().filter(|answer| answer.header("x-egret-provider") == Some(provider)).count()
    };
    assert_eq!((of("p1"), of("p2")), (2, 6));
    assert_eq!(breaker(&proxy), "closed");
    let answers = all((0..4).map(|_| proxy.chat("chat"))).await;
    assert!(answers.iter().all(|answer| answer.header("x-egret-provider") == Some("p1")));
}

#[tokio::test(start_paused = true)]
async fn one_success_is_not_enough_where_two_are_asked_for() {
    let proxy = proxy(&broken(&format!("{DOWN}, {DOWN}, {DOWN}, ok, {DOWN}, ok, ok"), THREE));
    for _ in 0..3 {
        served(&proxy).await;
    }
    tokio::time::sleep(secs(10)).await;
    assert_eq!((served(&proxy).await, breaker(&proxy)), ("p1".into(), json!("halfOpen")));
    assert_eq!(
        (served(&proxy).await, breaker(&proxy)),
        ("p2".into(), json!("open")),
        "one failed probe opens it"
    );
    tokio::time::sleep(secs(20)).await;
    assert_eq!((served(&proxy).await, breaker(&proxy)), ("p1".into(), json!("halfOpen")));
    assert_eq!((served(&proxy).await, breaker(&proxy)), ("p1".into(), json!("closed")));
}

#[tokio::test(start_paused = true)]
async fn each_time_a_probe_fails_it_stays_open_longer() {
    let proxy = proxy(&broken(DOWN, ONE));
    served(&proxy).await;
    for (probes, open) in (1..).zip([10, 20, 40, 40]) {
        tokio::time::sleep(secs(open) - Duration::from_millis(100)).await;
        served(&proxy).await;
        assert_eq!(tried(&proxy), probes, "{open} s are not over");
        tokio::time::sleep(Duration::from_millis(100)).await;
        served(&proxy).await;
        assert_eq!(tried(&proxy), probes + 1, "{open} s are over");
    }
    assert_eq!(model(&proxy, "m1")["opened"], 5);
}

#[tokio::test(start_paused = true)]
async fn a_part_of_what_was_tried_opens_it_if_enough_was_tried_of_late() {
    let ratio = "breaker: { failureRatio: 50%, window: 10s, minRequests: 10 }";
    let proxy = proxy(&broken(&format!("ok, {DOWN}"), ratio));
    let calls = async |count| {
        for _ in 0..count {
            served(&proxy).await;
        }
        breaker(&proxy)
    };
    assert_eq!(calls(9).await, "closed", "too few to tell");
    tokio::time::sleep(secs(11)).await;
    assert_eq!(calls(9).await, "closed", "what was long ago does not count");
    // Of eleven six have failed; what goes well opens nothing.
    assert_eq!(calls(1).await, "closed");
    assert_eq!(calls(1).await, "open");
    let tried = tried(&proxy);
    assert_eq!((calls(5).await, self::tried(&proxy)), (json!("open"), tried));

    let rarely = self::proxy(&broken(&format!("ok, ok, {DOWN}"), ratio));
    for _ in 0..60 {
        served(&rarely).await;
    }
    assert_eq!(breaker(&rarely), "closed", "a third is less than a half");
    let in_a_row = self::proxy(&broken(
        &format!("{DOWN}, {DOWN}, {DOWN}, {DOWN}, {DOWN}, {DOWN}, {DOWN}, {DOWN}, ok"),
        ratio,
    ));
    for _ in 0..8 {
        served(&in_a_row).await;
    }
    assert_eq!(breaker(&in_a_row), "closed", "where a ratio is said, failures in a row alone do not open it");
}

/// Both of a call that is plain and of a stream.
async fn breaker_after(fault: &str, stream: bool) -> Value {
    let policy = broken(fault, ONE)
        .replace("chat: { targets", "chat: { timeouts: { firstToken: 5s, answer: 5s }, targets");
    let proxy = proxy(&policy);
    if stream {
        proxy.stream("chat").await
    } else {
        proxy.chat("chat").await
    };
    assert_eq!(tried(&proxy), 1);
    breaker(&proxy)
}

#[tokio::test(start_paused = true)]
async fn what_is_not_the_providers_fault_is_no_failure() {
    for code in [400, 401, 402, 403, 404, 409, 413, 422, 429] {
        for stream in [false, true] {
            let fault = format!("{{ status: {{ code: {code} }} }}");
            assert_eq!(breaker_after(&fault, stream).await, "closed", "{code} stream: {stream}");
        }
    }
    for code in [
        "context_length_exceeded",
        "content_filter",
        "model_not_found",
        "insufficient_quota",
        "slow_down",
        "invalid_api_key",
    ] {
        for fault in
            [format!("{{ error: {code} }}"), format!("{{ errorEvent: {{ afterChunks: 0, code: {code} }} }}")]
        {
            for stream in [false, true] {
                assert_eq!(breaker_after(&fault, stream).await, "closed", "{fault} stream: {stream}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_shows_a_provider_to_be_ill_is_a_failure() {
    let statuses = [408, 500, 502, 503, 504, 529].map(|code| format!("{{ status: {{ code: {code} }} }}"));
    let others = [
        "{ reset: { afterChunks: 0 } }",
        "resetAfterHead",
        "{ stall: { afterChunks: 0 } }",
        "stallAfterHead",
        "empty",
        "html",
        "redirect",
        "{ error: server_is_overloaded }",
        "{ errorEvent: { afterChunks: 0 } }",
    ];
    for fault in statuses.iter().map(String::as_str).chain(others) {
        for stream in [false, true] {
            assert_eq!(breaker_after(fault, stream).await, "open", "{fault} stream: {stream}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_event_is_judged_by_what_it_says_also_when_the_stream_has_begun() {
    for (code, judged) in [
        ("content_filter", "closed"),
        ("context_length_exceeded", "closed"),
        ("rate_limit_exceeded", "closed"),
        ("insufficient_quota", "closed"),
        ("server_is_overloaded", "open"),
    ] {
        let fault = format!("{{ errorEvent: {{ afterChunks: 3, code: {code} }} }}");
        assert_eq!(breaker_after(&fault, true).await, judged, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_counts_though_each_of_them_begins_well() {
    for fault in [
        "{ reset: { afterChunks: 3 } }",
        "{ stall: { afterChunks: 3 } }",
        "{ truncate: { afterChunks: 3 } }",
        "{ errorEvent: { afterChunks: 3 } }",
    ] {
        let proxy = proxy(&broken(fault, THREE));
        for _ in 0..3 {
            let answer = proxy.stream("chat").await;
            assert_eq!((answer.status, answer.header("x-egret-provider")), (200, Some("p1")), "{fault}");
            assert!(!answer.is_done(), "{fault}");
        }
        assert_eq!(breaker(&proxy), "open", "{fault}");
        assert!(proxy.stream("chat").await.is_done(), "{fault}: by p2");
        assert_eq!(tried(&proxy), 3);
    }
    let now_and_then =
        proxy(&broken("{ reset: { afterChunks: 3 } }, { reset: { afterChunks: 3 } }, ok", THREE));
    for _ in 0..12 {
        now_and_then.stream("chat").await;
    }
    assert_eq!((tried(&now_and_then), breaker(&now_and_then)), (12, json!("closed")));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_breaks_after_a_good_begin_counts_too() {
    let proxy = proxy(&broken("{ reset: { afterChunks: 3 } }", ONE));
    let mut probes = 0;
    for _ in 0..1_000 {
        probes += usize::from(proxy.stream("chat").await.header("x-egret-provider") == Some("p1"));
        tokio::time::sleep(secs(1)).await;
    }
    assert!(
        probes <= 1_000 / 10,
        "{probes} streams in 1000 s that all broke, though it opens for 10 s at one"
    );
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_says_nothing_of_its_provider() {
    for fault in ["{ stall: { afterChunks: 0 } }", "stallAfterHead", "{ stall: { afterChunks: 3 } }"] {
        let proxy = proxy(&broken(fault, ONE));
        for _ in 0..5 {
            let left = tokio::time::timeout(secs(2), proxy.stream("chat").into_future()).await;
            assert!(left.is_err(), "{fault}");
            quiet().await;
        }
        assert_eq!((tried(&proxy), breaker(&proxy)), (5, json!("closed")), "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_place_of_a_probe_whose_caller_leaves_is_free_again() {
    for fault in ["{ stall: { afterChunks: 0 } }", "stallAfterHead"] {
        let proxy = proxy(&broken(&format!("{DOWN}, {fault}, {fault}, {fault}, ok"), ONE));
        served(&proxy).await;
        tokio::time::sleep(secs(10)).await;
        for leaves in 1..=3 {
            let asked = proxy.chat("chat").into_future();
            let while_it_probes = async {
                quiet().await;
                assert_eq!(served(&proxy).await, "p2", "the only place is taken");
            };
            let left = tokio::time::timeout(secs(2), async { tokio::join!(asked, while_it_probes) }).await;
            assert!(left.is_err());
            quiet().await;
            assert_eq!((tried(&proxy), breaker(&proxy)), (1 + leaves, json!("halfOpen")), "{fault}");
        }
        assert_eq!((served(&proxy).await, breaker(&proxy)), ("p1".into(), json!("closed")));
    }
}

#[tokio::test(start_paused = true)]
async fn what_judges_nothing_gives_the_place_of_a_probe_back() {
    for fault in ["{ status: { code: 429, retryAfter: 1s } }", "{ status: { code: 409 } }"] {
        let proxy = proxy(&broken(&format!("{DOWN}, {fault}, ok"), ONE));
        served(&proxy).await;
        tokio::time::sleep(secs(10)).await;
        served(&proxy).await;
        assert_eq!((tried(&proxy), breaker(&proxy)), (2, json!("halfOpen")), "{fault}");
        tokio::time::sleep(secs(1)).await;
        assert_eq!((served(&proxy).await, breaker(&proxy)), ("p1".into(), json!("closed")), "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_model_of_a_provider_has_its_own() {
    let third = "m2: { provider: p2 }\n  m3: { provider: p1 }";
    let policy = broken(DOWN, ONE).replace("m2: { provider: p2 }", third);
    let proxy = proxy(&policy);
    served(&proxy).await;
    assert_eq!(
        (model(&proxy, "m1")["breaker"].clone(), model(&proxy, "m3")["breaker"].clone()),
        (json!("open"), json!("closed"))
    );
    proxy.chat("m3").await;
    assert_eq!(tried(&proxy), 2);
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_it_open() {
    let policy = broken(&format!("{DOWN}, ok"), ONE);
    let proxy = proxy(&policy);
    served(&proxy).await;
    proxy.reload(&format!("{policy}# another\n"));
    assert_eq!((served(&proxy).await, breaker(&proxy)), ("p2".into(), json!("open")));
    tokio::time::sleep(secs(4)).await;
    assert_eq!(model(&proxy, "m1")["probedInMs"], 6_000);

    proxy.reload(&policy.replace("openFor: 10s", "openFor: 20s"));
    assert_eq!(model(&proxy, "m1")["probedInMs"], 16_000, "another length counts from when it opened");
    proxy.reload(&policy.replace("openFor: 10s", "openFor: 3s"));
    assert_eq!(breaker(&proxy), "halfOpen");
    assert_eq!((served(&proxy).await, breaker(&proxy)), ("p1".into(), json!("closed")));
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_are_counted_through_a_reload() {
    let policy = broken(DOWN, THREE);
    let proxy = proxy(&policy);
    for at in 0..3 {
        served(&proxy).await;
        proxy.reload(&format!("{policy}# {at}\n"));
    }
    assert_eq!((served(&proxy).await, tried(&proxy)), ("p2".into(), 3));
}

/// Two targets that fail, of which the first is open for `p1` seconds and the second for `p2`.
fn both(p1: &str, p2: &str, more: &str) -> String {
    let breaker = |open: &str| format!("breaker: {{ consecutiveFailures: 1, openFor: {open} }}");
    let policy = routing(
        &chain(&[&format!("{DOWN}, ok"), &format!("{DOWN}, ok")]),
        &format!("retry: {{ maxAttempts: 2 }}, {more}"),
    );
    saying(&saying(&policy, "p1", &breaker(p1)), "p2", &breaker(p2))
}

#[tokio::test(start_paused = true)]
async fn while_all_are_open_a_call_is_refused_and_told_when_the_next_probe_is() {
    for more in ["", "onAllOpen: reject"] {
        for (p1, p2, wait) in [("30s", "20s", "20"), ("12500ms", "40s", "13"), ("60s", "60s", "60")] {
            let proxy = proxy(&both(p1, p2, more));
            proxy.chat("chat").await;
            let tried = (proxy.seen("p1").len(), proxy.seen("p2").len());
            for stream in [false, true] {
                let ask = if stream { proxy.stream("chat") } else { proxy.chat("chat") };
                let answer = ask.await;
                assert_eq!(answer.refused(), (503, "no_provider_available".into()));
                assert_eq!(answer.header("retry-after"), Some(wait), "{p1} {p2}");
                assert_eq!(
                    answer.header("x-should-retry"),
                    None,
                    "nobody was tried: it may help to come again"
                );
                assert_eq!(answer.header("x-egret-attempts"), None);
                assert!(
                    !answer.raw().contains("p1") && !answer.raw().contains("m1"),
                    "no provider is named: {}",
                    answer.message()
                );
            }
            assert_eq!((proxy.seen("p1").len(), proxy.seen("p2").len()), tried);
            tokio::time::sleep(secs(wait.parse().unwrap())).await;
            assert_eq!(proxy.chat("chat").await.status, 200, "who waits so long is served");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_no_sdk_would_wait_is_said_and_not_hinted() {
    let proxy = proxy(&both("5m", "10m", ""));
    proxy.chat("chat").await;
    let answer = proxy.chat("chat").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, None));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert!(answer.message().contains("5 min"), "{}", answer.message());
}

#[tokio::test(start_paused = true)]
async fn while_all_are_open_the_one_that_closes_first_may_be_tried_all_the_same() {
    for (p1, p2, least_bad) in [("30s", "20s", "p2"), ("20s", "30s", "p1")] {
        let proxy = proxy(&both(p1, p2, "onAllOpen: probe"));
        proxy.chat("chat").await;
        let answer = proxy.chat("chat").await;
        assert_eq!((answer.status, answer.header("x-egret-provider")), (200, Some(least_bad)));
        assert_eq!(answer.header("x-egret-attempts"), Some("1"));
    }
    // One that is still ill is not made iller, and the call ends there.
    let policy = both("30s", "20s", "onAllOpen: probe").replace(", ok", "");
    let proxy = proxy(&policy);
    proxy.chat("chat").await;
    tokio::time::sleep(secs(5)).await;
    let answer = proxy.chat("chat").await;
    assert_eq!(answer.refused(), (503, "no_provider_available".into()));
    assert_eq!((proxy.seen("p1").len(), proxy.seen("p2").len()), (1, 2));
    assert_eq!(model(&proxy, "m2")["probedInMs"], 20_000, "its time begins anew");
}

#[tokio::test(start_paused = true)]
async fn a_target_without_a_word_against_it_is_never_passed_over_for_an_open_one() {
    let policy = routing(&chain(&[&format!("{DOWN}, ok"), "ok"]), "onAllOpen: probe");
    let proxy = proxy(&saying(&policy, "p1", ONE));
    for _ in 0..3 {
        assert_eq!(served(&proxy).await, "p2");
    }
    assert_eq!(tried(&proxy), 1);
}

#[tokio::test(start_paused = true)]
async fn operators_see_it_on_the_page_and_in_metrics() {
    let proxy = proxy(&broken(&format!("{DOWN}, {{ status: {{ code: 429, retryAfter: 7s }} }}, ok"), ONE));
    let labels = [r#"egret_model="m1""#, r#"egret_provider="p1""#];
    let metrics = || {
        let page = Page::of(&proxy);
        (
            page.sum("egret_breaker_state", &labels),
            page.sum("egret_breaker_opened_total", &labels),
            page.sum("egret_target_cooling_down", &labels),
        )
    };
    assert_eq!(metrics(), (0.0, 0.0, 0.0));
    assert_eq!(breaker(&proxy), "closed");

    served(&proxy).await;
    assert_eq!(metrics(), (2.0, 1.0, 0.0));
    let seen = model(&proxy, "m1");
    assert_eq!(
        (&seen["breaker"], &seen["opened"], &seen["probedInMs"]),
        (&json!("open"), &json!(1), &json!(10_000))
    );
    assert_eq!(model(&proxy, "m2")["breaker"], "closed");

    tokio::time::sleep(secs(10)).await;
    assert_eq!(metrics(), (1.0, 1.0, 0.0));
    served(&proxy).await;
    assert_eq!(metrics(), (1.0, 1.0, 1.0), "it asked to slow down");
    assert_eq!(
        model(&proxy, "m1")["leftAlone"],
        json!([{ "key": "p1", "why": "cooling_down", "forMs": 7_000 }])
    );

    tokio::time::sleep(secs(7)).await;
    assert_eq!(served(&proxy).await, "p1");
    assert_eq!(metrics(), (0.0, 1.0, 0.0));
    assert_eq!(model(&proxy, "m1")["leftAlone"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_call_under_the_former_policy_says_nothing_of_the_provider_to_which_a_model_was_moved() {
    let overloaded = "{ status: { code: 503, retryAfter: 3s } }";
    let retry = "retry: { maxAttempts: 2, backoff: { base: 1ms, max: 5s } }";
    let at_p1 = routing(&chain(&[overloaded]), retry);
    let p2 = format!("  p2: {{ {ONE}, mock: {{ says: \"hello from p2\" }} }}\nmodels:");
    let at_p2 = at_p1.replace("m1: { provider: p1 }", "m1: { provider: p2 }").replace("models:", &p2);
    for stream in [false, true] {
        let proxy = proxy(&at_p1);
        let moves = async {
            tokio::time::sleep(secs(1)).await;
            proxy.reload(&at_p2);
        };
        let ask = if stream { proxy.stream("chat") } else { proxy.chat("chat") };
        let (answer, ()) = tokio::join!(ask.into_future(), moves);
        assert_eq!((answer.status, answer.header("x-egret-attempts")), (503, Some("2")), "stream: {stream}");
        let providers = proxy.record()["attempts"].clone();
        assert_eq!((&providers[0]["provider"], &providers[1]["provider"]), (&json!("p1"), &json!("p1")));
        assert_eq!((breaker(&proxy), served(&proxy).await), (json!("closed"), "p2".into()));
    }
}

/// In real time: sockets do not know of a paused clock.
#[tokio::test]
async fn an_error_of_the_callers_making_is_one_however_long_its_words() {
    for bytes in [100, 300 << 10] {
        for stream in [false, true] {
            let body = format!("{{\"error\":{{\"message\":\"{}\"}}}}", "x".repeat(bytes));
            let head = "HTTP/1.1 422 Unprocessable Entity\r\ncontent-type: application/json\r\n";
            let raw = Raw::answers(format!("{head}content-length: {}\r\n\r\n{body}", body.len())).await;
            let proxy = proxy(&raw.policy(&format!(", {ONE}")));
            for call in 0..2 {
                let answer = if stream { proxy.stream("m").await } else { proxy.chat("m").await };
                assert_eq!(answer.status, 422, "{bytes} bytes, call {call}, stream: {stream}");
                assert_eq!(answer.raw() == body, bytes < 1_000, "words that are too long are not held");
                assert!(answer.json()["error"]["message"].is_string());
            }
            assert_eq!((model(&proxy, "m")["breaker"].clone(), raw.asked().len()), (json!("closed"), 2));
        }
    }
}
