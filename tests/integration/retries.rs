//! How often a call is tried, how long is waited between, and when it is left at that.

use std::time::Duration;

use egret::clock::Instant;
use serde_json::{Value, json};

use crate::support::*;

const DOWN: &str = "{ status: { code: 500 } }";
const SLOW_DOWN: &str = "{ status: { code: 429, retryAfter: 3s } }";
const OVERLOADED: &str = "{ status: { code: 503, retryAfter: 3s } }";

/// Breakers stay closed, and budgets are never used up.
const FOREVER: &str =
    "breaker: { consecutiveFailures: 100000 }, retryBudget: { ratio: 10, minPerSecond: 1000 }";

/// A chain of which no provider is ever left alone, and whose route says this of its tries.
fn tireless(faults: &[&str], retry: &str) -> String {
    let policy = routing(&chain(faults), &format!("retry: {{ {retry} }}"));
    (1..=faults.len()).fold(policy, |policy, at| saying(&policy, &format!("p{at}"), FOREVER))
}

/// Who was tried, in order.
fn tried(record: &Value) -> Vec<&str> {
    let attempts = record["attempts"].as_array().unwrap();
    attempts.iter().map(|attempt| attempt["provider"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn every_try_counts_and_the_first_is_one_of_them() {
    for most in 1..=7 {
        for stream in [false, true] {
            let proxy = proxy(&tireless(&[DOWN, DOWN, DOWN], &format!("maxAttempts: {most}")));
            let ask = if stream { proxy.stream("chat") } else { proxy.chat("chat") };
            let answer = ask.await;
            assert_eq!(answer.header("x-egret-attempts"), Some(most.to_string().as_str()));
            let expected: Vec<_> = ["p1", "p2", "p3"].into_iter().cycle().take(most).collect();
            assert_eq!(tried(&proxy.record()), expected, "the list from its begin to its end, and again");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn three_tries_are_usual_or_as_many_as_there_are_targets() {
    for (targets, tries) in [(1, 3), (2, 3), (3, 3), (5, 5), (25, 20)] {
        let policy = routing(&chain(&vec![DOWN; targets]), "onAllOpen: reject");
        let proxy = proxy(&policy);
        proxy.chat("chat").await;
        assert_eq!(tried(&proxy.record()).len(), tries, "{targets} targets");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_try_may_still_be_answered() {
    let proxy = proxy(&tireless(&[&format!("{DOWN}, {DOWN}, {DOWN}, ok")], "maxAttempts: 4"));
    let answer = proxy.chat("chat").await;
    assert_eq!((answer.text().as_str(), answer.header("x-egret-attempts")), ("hello from p1", Some("4")));
    assert_eq!(answer.header("x-should-retry"), None, "an answer is nothing to try again");
}

#[tokio::test(start_paused = true)]
async fn the_next_target_is_tried_at_once_and_the_list_again_only_after_a_wait() {
    let proxy = proxy(&tireless(&[DOWN; 4], "maxAttempts: 4"));
    let begun = Instant::now();
    proxy.chat("chat").await;
    took(begun, Duration::ZERO);

    let (base, max) = (Duration::from_secs(2), Duration::from_secs(5));
    // One call with one wait, one with two and so on; each waits up to twice as long as before, up to the longest.
    let mut average = Vec::new();
    let mut longest = Duration::ZERO;
    for waits in 1..=4 {
        longest += (base * 2_u32.pow(waits - 1)).min(max);
        let policy = tireless(&[DOWN, DOWN], &format!("maxAttempts: {}, {BACKOFF}", 2 + 2 * waits));
        let proxy = self::proxy(&policy);
        let mut taken = Vec::new();
        for _ in 0..60 {
            let begun = Instant::now();
            proxy.chat("chat").await;
            taken.push(begun.elapsed());
        }
        assert!(taken.iter().all(|time| *time <= longest + waits * Duration::from_millis(2)), "{taken:?}");
        taken.sort();
        taken.dedup();
        assert!(taken.len() > 50, "callers who failed together come back at different times: {taken:?}");
        average.push(taken.iter().sum::<Duration>().as_secs_f64() / taken.len() as f64);
    }
    // Half of the longest waits of 2, 4, 5 and 5 seconds.
    for (average, expected) in average.iter().zip([1.0, 3.0, 5.5, 8.0]) {
        assert!((average - expected).abs() < 0.15 * expected + 0.2, "{average} s, about {expected} expected");
    }
}

const BACKOFF: &str = "backoff: { base: 2s, max: 5s }";

#[tokio::test(start_paused = true)]
async fn one_seed_waits_always_the_same() {
    let times = async || {
        let proxy = proxy(&tireless(&[DOWN], "maxAttempts: 3"));
        let mut times = Vec::new();
        for _ in 0..5 {
            let begun = Instant::now();
            proxy.chat("chat").await;
            times.push(begun.elapsed());
        }
        times
    };
    assert_eq!(times().await, times().await);
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_asks_for_is_waited_for_where_it_fits() {
    for stream in [false, true] {
        for slow_down in [SLOW_DOWN, OVERLOADED] {
            let policy =
                tireless(&[&format!("{slow_down}, ok")], "maxAttempts: 2, backoff: { base: 10ms, max: 3s }");
            let proxy = proxy(&policy);
            let begun = Instant::now();
            let answer = if stream { proxy.stream("chat").await } else { proxy.chat("chat").await };
            took(begun, secs(3));
            assert_eq!(answer.text(), "hello from p1", "{slow_down}");
            assert_eq!(answer.header("x-egret-attempts"), Some("2"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_into_the_longest_wait_or_the_call_is_not_waited_for() {
    for (retry, more) in [
        ("maxAttempts: 5, backoff: { base: 10ms, max: 2900ms }", ""),
        ("maxAttempts: 5, backoff: { base: 10ms, max: 60s }", ", timeouts: { total: 2s }"),
    ] {
        for slow_down in [SLOW_DOWN, OVERLOADED] {
            let policy = tireless(&[&format!("{slow_down}, ok")], retry);
            let policy =
                policy.replace(&format!("retry: {{ {retry} }}"), &format!("retry: {{ {retry} }}{more}"));
            let proxy = proxy(&policy);
            let begun = Instant::now();
            let answer = proxy.chat("chat").await;
            took(begun, Duration::ZERO);
            assert_eq!(
                (answer.status, answer.header("retry-after")),
                (if slow_down == SLOW_DOWN { 429 } else { 503 }, Some("3"))
            );
            assert_eq!(answer.header("x-egret-attempts"), Some("1"));
            assert_eq!(answer.header("x-should-retry"), None, "its own hint is good: nobody has retried yet");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_wants_to_be_left_alone_is_not_waited_for_while_there_is_another() {
    for slow_down in [SLOW_DOWN, OVERLOADED] {
        let retry = "maxAttempts: 4, backoff: { base: 1ms, max: 5s }";
        let proxy = proxy(&tireless(&[&format!("{slow_down}, ok"), DOWN], retry));
        let begun = Instant::now();
        let answer = proxy.chat("chat").await;
        let record = proxy.record();
        // p2 may be tried again long before.
        assert_eq!(tried(&record), ["p1", "p2", "p2", "p2"], "{slow_down}");
        assert!(begun.elapsed() < secs(1), "{slow_down}: {:?}", begun.elapsed());
        let passed = json!([{ "provider": "p1", "model": "m1", "reason": "cooling_down" }]);
        assert_eq!(record["passed_over"], passed, "{slow_down}");
        assert_eq!(answer.refused(), (503, "no_provider_available".into()));
    }

    let proxy = proxy(&tireless(&[&format!("{SLOW_DOWN}, ok"), "ok"], "maxAttempts: 4"));
    let begun = Instant::now();
    assert_eq!(proxy.chat("chat").await.text(), "hello from p2");
    took(begun, Duration::ZERO);
    assert_eq!(proxy.chat("chat").await.text(), "hello from p2", "it cools down for others too");
    tokio::time::sleep(secs(3)).await;
    assert_eq!(proxy.chat("chat").await.text(), "hello from p1");
    assert_eq!(proxy.seen("p1").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn of_several_that_cool_down_the_one_that_is_ready_first_is_waited_for() {
    let faults =
        ["{ status: { code: 429, retryAfter: 4s } }, ok", "{ status: { code: 429, retryAfter: 2s } }, ok"];
    let proxy = proxy(&tireless(&faults, "maxAttempts: 3, backoff: { base: 1ms, max: 5s }"));
    let begun = Instant::now();
    let answer = proxy.chat("chat").await;
    took(begun, secs(2));
    assert_eq!((answer.text().as_str(), answer.header("x-egret-attempts")), ("hello from p2", Some("3")));
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_time_bounds_all_tries_together() {
    let policy = tireless(&[DOWN], "maxAttempts: 20, backoff: { base: 60s, max: 600s }");
    let policy = policy.replace("chat: { targets", "chat: { timeouts: { total: 100s }, targets");
    let proxy = proxy(&policy);
    for _ in 0..20 {
        let begun = Instant::now();
        let answer = proxy.chat("chat").await;
        assert!(begun.elapsed() < secs(100));
        assert_eq!(
            answer.status, 500,
            "its own word, and not that time is over: nobody waits for what comes too late"
        );
    }
}

/// So many calls, one every 50 ms. Gives how many tries they took together.
async fn storm(proxy: &Proxy, model: &str, calls: u32) -> u64 {
    let mut tries = 0;
    for call in 0..calls {
        let asked = proxy.chat(model);
        let (answer, ()) = tokio::join!(asked.into_future(), tokio::time::sleep(Duration::from_millis(50)));
        tries += answer.header("x-egret-attempts").unwrap().parse::<u64>().unwrap();
        // Some of the calls' lines are enough to see why.
        if call % 100 == 99 {
            proxy.log_text();
        }
    }
    tries
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_not_made_worse_by_more_tries_than_the_budget_has() {
    let down = saying(
        &routing(&chain(&[DOWN]), "retry: { maxAttempts: 4, backoff: { base: 1ms, max: 1ms } }"),
        "p1",
        "breaker: { consecutiveFailures: 100000 }, retryBudget: { ratio: 0.2, minPerSecond: 1 }",
    );
    let proxy = proxy(&down);
    let calls = 2_000;
    let begun = Instant::now();
    let tries = storm(&proxy, "chat", calls).await;
    let seconds = begun.elapsed().as_secs();
    assert!((100..=101).contains(&seconds), "{seconds} s");
    // (1 + ratio) of the calls and one a second; what ten seconds give may be taken at once, and once more at the end.
    let (calls, floor) = (u64::from(calls), seconds + 10);
    assert!(tries <= calls + calls / 5 + floor, "{tries} tries of {calls} calls");
    assert!(tries >= calls + calls / 5, "{tries} tries of {calls} calls: the budget is there to be used");
    proxy.log_text();
    let mut reasons = Vec::new();
    for _ in 0..20 {
        proxy.chat("chat").await;
        reasons.push(proxy.record()["passed_over"].clone());
    }
    assert!(
        reasons.contains(&json!([{ "provider": "p1", "model": "m1", "reason": "retry_budget" }])),
        "{reasons:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn where_nothing_may_be_tried_again_each_provider_is_tried_once() {
    let none = "breaker: { consecutiveFailures: 100000 }, retryBudget: { ratio: 0, minPerSecond: 0 }";
    let policy = routing(&chain(&[DOWN, DOWN]), "retry: { maxAttempts: 10 }");
    let proxy = proxy(&saying(&saying(&policy, "p1", none), "p2", none));
    for _ in 0..3 {
        let answer = proxy.chat("chat").await;
        assert_eq!(answer.header("x-egret-attempts"), Some("2"));
        let record = proxy.record();
        assert_eq!(tried(&record), ["p1", "p2"]);
        assert_eq!(
            record["passed_over"],
            json!([
                { "provider": "p1", "model": "m1", "reason": "retry_budget" },
                { "provider": "p2", "model": "m2", "reason": "retry_budget" },
            ])
        );
    }
}

#[tokio::test(start_paused = true)]
async fn two_models_of_one_provider_share_its_budget() {
    let none = "retryBudget: { ratio: 0, minPerSecond: 0 }";
    let policy = saying(&chain(&[DOWN, DOWN, "ok"]), "p1", none);
    let policy = policy.replace("m2: { provider: p2 }", "m2: { provider: p1 }");
    let proxy = proxy(&policy);
    assert_eq!(proxy.chat("chat").await.text(), "hello from p3");
    let record = proxy.record();
    assert_eq!(tried(&record), ["p1", "p3"]);
    assert_eq!(record["passed_over"], json!([{ "provider": "p1", "model": "m2", "reason": "retry_budget" }]));
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_used_up_by_all_calls_and_comes_back() {
    let policy = routing(&chain(&[DOWN]), "retry: { maxAttempts: 2, backoff: { base: 1ms, max: 1ms } }");
    let few = "breaker: { consecutiveFailures: 1000 }, retryBudget: { ratio: 0, minPerSecond: 1 }";
    let proxy = proxy(&saying(&policy, "p1", few));
    let retried = async || {
        let answers = all((0..30).map(|_| proxy.chat("chat"))).await;
        answers.iter().filter(|answer| answer.header("x-egret-attempts") == Some("2")).count()
    };
    assert_eq!(retried().await, 10, "what ten seconds give");
    assert_eq!(retried().await, 0);
    tokio::time::sleep(secs(11)).await;
    assert_eq!(retried().await, 10);
}

#[tokio::test(start_paused = true)]
async fn an_error_is_not_to_be_retried_only_after_we_did() {
    for (faults, attempts, hint) in [
        (&["{ status: { code: 400 } }"][..], "1", None),
        (&["{ status: { code: 500 } }"][..], "1", None),
        (&["{ stall: { afterChunks: 0 } }"][..], "1", None),
        (&[DOWN, "{ status: { code: 400 } }"][..], "2", Some("false")),
        (&[DOWN, DOWN][..], "2", Some("false")),
        (&[DOWN, "{ stall: { afterChunks: 0 } }"][..], "2", Some("false")),
        (&[DOWN, "ok"][..], "2", None),
    ] {
        let proxy = proxy(&chain(faults));
        let answer = proxy.chat("chat").await;
        assert_eq!(answer.header("x-egret-attempts"), Some(attempts), "{faults:?}");
        assert_eq!(answer.header("x-should-retry"), hint, "{faults:?}");
    }
    // Of one target alone, tried twice.
    let proxy = proxy(&tireless(&[DOWN], "maxAttempts: 2"));
    let answer = proxy.chat("chat").await;
    assert_eq!((answer.status, answer.header("x-should-retry")), (500, Some("false")));
}

/// Calls that belong to what a provider keeps, and one that does not.
const KEPT: [&str; 4] = [
    r#"{"model":"chat","input":"hi","previous_response_id":"resp_1"}"#,
    r#"{"model":"chat","input":"hi","conversation":"conv_1"}"#,
    r#"{"model":"chat","input":"hi","store":true}"#,
    r#"{"model":"chat","input":"hi","store":true,"stream":true}"#,
];
const FREE: &str = r#"{"model":"chat","input":"hi","store":false}"#;

#[tokio::test(start_paused = true)]
async fn a_call_that_a_provider_keeps_is_not_tried_again_once_it_was_written() {
    for fault in
        [DOWN, SLOW_DOWN, "{ reset: { afterChunks: 0 } }", "empty", "html", "{ status: { code: 401 } }"]
    {
        for body in KEPT {
            let proxy = proxy(&tireless(&[fault, "ok"], "maxAttempts: 4"));
            let answer = proxy.post("/v1/responses", body).await;
            assert_ne!(answer.status, 200, "{fault} {body}");
            assert_eq!((proxy.seen("p1").len(), proxy.seen("p2").len()), (1, 0), "{fault} {body}");
        }
        let proxy = proxy(&tireless(&[fault, "ok"], "maxAttempts: 4"));
        assert_eq!(proxy.post("/v1/responses", FREE).await.header("x-egret-provider"), Some("p2"), "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_provider_keeps_goes_where_such_calls_always_go() {
    for strategy in ["ordered", "weighted", "fastest", "cheapest"] {
        let policy =
            chain(&["ok", "ok", "ok"]).replace("chat: {", &format!("chat: {{ strategy: {strategy},"));
        let proxy = Start::keyed().proxy(&saying(&policy, "p1", POOL));
        for _ in 0..8 {
            // Calls of others in between, which take turns.
            proxy.post("/v1/responses", FREE).await;
        }
        let before = proxy.seen("p1").len();
        for body in KEPT.iter().cycle().take(8) {
            let answer = proxy.post("/v1/responses", *body).await;
            assert_eq!((answer.status, answer.header("x-egret-provider")), (200, Some("p1")), "{strategy}");
        }
        let seen = proxy.seen("p1");
        assert!(seen[before..].iter().all(|seen| seen.key_ends() == Some("aaaa")), "{strategy}");
    }
}

/// In real time: sockets do not know of a paused clock.
#[tokio::test]
async fn a_call_that_a_provider_keeps_is_tried_again_there_while_nothing_was_written() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let policy = format!(
        "providers:\n  p1: {{ dialect: openai, baseUrl: \"http://127.0.0.1:{closed}/v1\" }}\n  p2: {{ mock: {{}} }}\n\
         models: {{ m1: {{ provider: p1 }}, m2: {{ provider: p2 }} }}\n\
         routes: {{ chat: {{ targets: [{{ model: m1 }}, {{ model: m2 }}], \
         retry: {{ maxAttempts: 3, backoff: {{ base: 1ms, max: 1ms }} }} }} }}\n{ANYONE}"
    );
    for body in KEPT {
        let proxy = proxy(&policy);
        let answer = proxy.post("/v1/responses", body).await;
        assert_eq!(answer.refused(), (503, "no_provider_available".into()), "{body}");
        assert_eq!(tried(&proxy.record()), ["p1", "p1", "p1"], "{body}");
        assert_eq!(proxy.seen("p2").len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn peer_bug_15_a_fallback_waits_between_its_rounds_and_comes_to_an_end() {
    for fault in [
        DOWN,
        "{ status: { code: 409 } }",
        "{ status: { code: 429 } }",
        "{ reset: { afterChunks: 0 } }",
        "html",
    ] {
        let proxy = proxy(&tireless(&[fault, fault], "maxAttempts: 20, backoff: { base: 1s, max: 1s }"));
        let begun = Instant::now();
        let answer = proxy.chat("chat").await;
        assert_eq!(answer.refused(), (503, "no_provider_available".into()), "{fault}");
        assert_eq!(answer.header("x-egret-attempts"), Some("20"), "{fault}");
        assert_eq!((proxy.seen("p1").len(), proxy.seen("p2").len()), (10, 10), "{fault}");
        // Nine waits of half a second on average.
        let taken = begun.elapsed();
        assert!(taken > secs(2) && taken <= secs(10), "{fault}: {taken:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn peer_bug_15_a_key_pool_of_which_no_key_works_comes_to_an_end() {
    for code in [401, 402, 403, 429] {
        let fault = format!("{{ status: {{ code: {code} }} }}");
        let policy = routing(&chain(&[&fault, &fault]), "retry: { maxAttempts: 20 }");
        let proxy = Start::keyed().proxy(&saying(&policy, "p1", POOL));
        proxy.chat("chat").await;
        let tries = tried(&proxy.record()).len();
        assert!((4..=20).contains(&tries), "{code}: {tries}");
        let mut ends: Vec<_> =
            proxy.seen("p1").iter().map(|seen| seen.key_ends().unwrap().to_owned()).collect();
        ends.truncate(3);
        ends.sort();
        ends.dedup();
        assert_eq!(ends, ["aaaa", "bbbb", "cccc"], "{code}: each key once before any of them again");
    }
}
