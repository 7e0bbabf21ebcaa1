//! A second target asked beside one that takes long: who is heard, who is charged, and when it is not done.

use std::time::Duration;

use egret::admin::Sight;
use egret::clock::Instant;
use serde_json::{Value, json};

use crate::support::*;

/// A dollar per million tokens of input and two of output; 100 tokens of output at most.
const PRICE: &str = "maxOutputTokens: 100, price: [{ inputPerMTok: \"1.00\", outputPerMTok: \"2.00\" }]";

/// Three providers with these scripts, a route through them that hedges so, and a tenant with these limits.
fn hedged(hedge: &str, mocks: [&str; 3], limits: &str) -> String {
    let [p, q, r] = mocks;
    format!(
        "providers:\n  p: {{ mock: {{ says: \"from p\", {p} }} }}\n  q: {{ mock: {{ says: \"from q\", {q} }} }}\n\
         \x20 r: {{ mock: {{ says: \"from r\", {r} }} }}\n\
         models: {{ m: {{ provider: p, {PRICE} }}, n: {{ provider: q, {PRICE} }}, o: {{ provider: r, {PRICE} }} }}\n\
         routes:\n  chat: {{ hedge: {{ {hedge} }}, targets: [{{ model: m }}, {{ model: n }}, {{ model: o }}], retry: {{ maxAttempts: 3 }} }}\n\
         \x20 alone: {{ hedge: {{ {hedge} }}, targets: [{{ model: m, when: {{ header: {{ x-any: [] }} }} }}, {{ model: n }}] }}\n\
         tenants: {{ app: {{ local: true, access: {{ allow: [\"*\"] }}, limits: {{ {limits} }} }} }}\n"
    )
}

/// After two seconds, for every call.
const ALWAYS: &str = "after: 2s, maxShare: 1";
const SILENT: &str = "faults: [{ stall: { afterChunks: 0 } }]";
const DOWN: &str = "faults: [{ status: { code: 500 } }]";

#[track_caller]
fn took(since: Instant, seconds: u64) {
    let taken = Instant::now() - since;
    assert!(
        taken >= secs(seconds) && taken < secs(seconds) + Duration::from_millis(50),
        "{taken:?}, not {seconds} s"
    );
}

/// Model and outcome of each try.
fn attempts(record: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let attempts = record["attempts"].as_array().unwrap().iter();
    attempts.map(|attempt| (text(&attempt["model"]), text(&attempt["outcome"]))).collect()
}

fn tries<const N: usize>(tries: [(&str, &str); N]) -> Vec<(String, String)> {
    tries.map(|(model, outcome)| (model.to_owned(), outcome.to_owned())).into()
}

/// The reasons for which targets were passed over.
fn reasons(record: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let passed = record["passed_over"].as_array().into_iter().flatten();
    passed.map(|passed| (text(&passed["model"]), text(&passed["reason"]))).collect()
}

async fn ask(proxy: &Proxy, stream: bool) -> Answer {
    if stream { proxy.stream("chat").await } else { proxy.chat("chat").await }
}

#[tokio::test(start_paused = true)]
async fn peer_bug_21_a_second_target_answers_where_the_first_takes_long_and_the_first_is_left_at_once() {
    for stream in [false, true] {
        for slow in [SILENT, "faults: [{ slowFirstToken: { delay: 9s, pings: 1s } }]", "latency: 9s"] {
            let proxy = proxy(&hedged(ALWAYS, [slow, "latency: 1s", ""], ""));
            let begun = Instant::now();
            let answer = ask(&proxy, stream).await;
            took(begun, 3);
            assert_eq!((answer.status, answer.text().as_str()), (200, "from q"), "{slow} stream: {stream}");
            assert_eq!(answer.header("x-egret-attempts"), Some("2"));
            assert_eq!(answer.header("x-egret-model"), Some("n"));
            quiet().await;
            assert!(proxy.seen("p")[0].left(), "{slow} stream: {stream}");
            assert_eq!((proxy.seen("q").len(), proxy.seen("r").len()), (1, 0));
            let record = proxy.record();
            assert_eq!(attempts(&record), tries([("m", "hedged_away"), ("n", "answered")]));
            assert_eq!((&record["outcome"], &record["model"]), (&json!("answered"), &json!("n")));
            assert!(!proxy.state.sight().metrics().contains("egret_fallbacks_total{"), "nobody has failed");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_target_is_heard_where_it_is_faster_after_all_and_the_second_is_left_at_once() {
    for stream in [false, true] {
        let proxy = proxy(&hedged(ALWAYS, ["latency: 3s", "latency: 5s", ""], ""));
        let begun = Instant::now();
        let answer = ask(&proxy, stream).await;
        took(begun, 3);
        assert_eq!((answer.text().as_str(), answer.header("x-egret-model")), ("from p", Some("m")));
        quiet().await;
        assert!(proxy.seen("q")[0].left());
        assert_eq!(attempts(&proxy.record()), tries([("n", "hedged_away"), ("m", "answered")]));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_time_is_the_only_one_that_is_asked_for() {
    for stream in [false, true] {
        let proxy = proxy(&hedged(ALWAYS, ["latency: 1900ms", "", ""], ""));
        assert_eq!(ask(&proxy, stream).await.text(), "from p");
        assert_eq!(proxy.seen("q").len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_commit_point_nobody_else_is_asked_however_slow_the_stream() {
    let proxy = proxy(&hedged(ALWAYS, ["tokensPerSecond: 1", "", ""], ""));
    let begun = Instant::now();
    assert_eq!(ask(&proxy, true).await.text(), "from p");
    took(begun, 2);
    let slower = self::proxy(
        &hedged(ALWAYS, ["tokensPerSecond: 1, says: \"a b c d e f\"", "", ""], "")
            .replace("says: \"from p\", ", ""),
    );
    assert_eq!(ask(&slower, true).await.text(), "a b c d e f");
    assert_eq!(slower.seen("q").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn two_answers_are_never_spliced_however_close_they_come() {
    for latency in [1_980, 1_999, 2_000, 2_001, 2_020] {
        for stream in [false, true] {
            let q = format!("latency: {latency}ms, tokensPerSecond: 10");
            let proxy = proxy(&hedged(ALWAYS, ["latency: 4s, tokensPerSecond: 10", &q, ""], ""));
            let answer = ask(&proxy, stream).await;
            let from = answer.header("x-egret-provider").unwrap();
            assert_eq!(answer.text(), format!("from {from}"), "{latency} stream: {stream}");
            assert!(!stream || answer.is_done());
            let other = if from == "p" { "q" } else { "p" };
            quiet().await;
            assert!(proxy.seen(other)[0].left() || latency == 2_000, "{latency} stream: {stream}");
            assert_eq!(attempts(&proxy.record()).len(), 2);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_is_learned_from_the_first_twenty_answers() {
    for stream in [false, true] {
        let usual = hedged("after: p95, maxShare: 1", ["latency: 1s", "", ""], "");
        let slow = usual.replace("latency: 1s", "latency: 30s");
        let proxy = proxy(&usual);
        for _ in 0..19 {
            ask(&proxy, stream).await;
        }
        proxy.reload(&slow);
        // Nineteen tell nothing yet; the other kind of answers was never measured.
        let begun = Instant::now();
        assert_eq!(ask(&proxy, stream).await.text(), "from p");
        took(begun, 30);

        let known = self::proxy(&usual);
        for _ in 0..20 {
            ask(&known, stream).await;
        }
        known.reload(&slow);
        let begun = Instant::now();
        assert_eq!(ask(&known, !stream).await.text(), "from p", "streams and plain answers are told apart");
        took(begun, 30);
        let begun = Instant::now();
        assert_eq!(ask(&known, stream).await.text(), "from q");
        took(begun, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_than_their_share_of_all_calls_is_hedged() {
    // One of twenty where the policy says nothing.
    for (hedge, calls, expected) in [("after: 2s", 200, 10), ("after: 2s, maxShare: 0.25", 100, 25)] {
        let proxy = proxy(&hedged(hedge, ["latency: 3s", "", ""], ""));
        for _ in 0..calls {
            proxy.chat("chat").await;
        }
        assert_eq!(proxy.seen("q").len(), expected, "{hedge}");
        let records = proxy.records();
        let refused = records.iter().filter(|record| reasons(record) == tries([("n", "hedge_share")]));
        assert_eq!(refused.count(), calls - expected, "{hedge}");
        // At no moment more than its share so far.
        let mut hedges = 0;
        for (at, record) in (1..).zip(&records) {
            hedges += attempts(record).len() - 1;
            assert!(hedges * calls <= at * expected, "{hedge}: {hedges} of {at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_on_an_id_and_a_call_with_one_target_are_not_hedged() {
    let proxy = proxy(&hedged(ALWAYS, ["latency: 5s", "latency: 5s", ""], ""));
    let body = json!({ "model": "chat", "input": "hi", "previous_response_id": "resp_1" }).to_string();
    assert_eq!(proxy.post("/v1/responses", body).await.header("x-egret-model"), Some("m"));
    // Of the two of this route one does not come into question.
    assert_eq!(proxy.chat("alone").await.header("x-egret-model"), Some("n"));
    // And the last of several has nobody behind it.
    assert_eq!((proxy.seen("p").len(), proxy.seen("q").len(), proxy.seen("r").len()), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_first_target_that_fails_beside_the_second_leaves_the_call_to_it() {
    for stream in [false, true] {
        let down = format!("latency: 3s, {DOWN}");
        let proxy = proxy(&hedged(ALWAYS, [&down, "latency: 5s", ""], ""));
        let begun = Instant::now();
        assert_eq!(ask(&proxy, stream).await.text(), "from q");
        took(begun, 7);
        assert_eq!(attempts(&proxy.record()), tries([("m", "error_status"), ("n", "answered")]));
        assert_eq!(proxy.seen("q").len(), 1, "it is not asked twice");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_target_that_fails_leaves_the_call_to_the_first() {
    for stream in [false, true] {
        let proxy = proxy(&hedged(ALWAYS, ["latency: 5s", DOWN, ""], ""));
        let begun = Instant::now();
        assert_eq!(ask(&proxy, stream).await.text(), "from p");
        took(begun, 5);
        assert_eq!(attempts(&proxy.record()), tries([("n", "error_status"), ("m", "answered")]));
        assert_eq!(proxy.seen("r").len(), 0, "two at a time");
    }
}

#[tokio::test(start_paused = true)]
async fn where_both_fail_the_call_goes_on_to_the_next_target() {
    for (p, q, tried) in [
        ("latency: 3s", "latency: 2s", [("m", "error_status"), ("n", "error_status"), ("o", "answered")]),
        ("latency: 4s", "latency: 1s", [("n", "error_status"), ("m", "error_status"), ("o", "answered")]),
    ] {
        for stream in [false, true] {
            let (p, q) = (format!("{p}, {DOWN}"), format!("{q}, {DOWN}"));
            let proxy = proxy(&hedged(ALWAYS, [&p, &q, ""], "tpd: { tokens: 10000, per: day }"));
            let begun = Instant::now();
            assert_eq!(ask(&proxy, stream).await.text(), "from r");
            took(begun, 4);
            assert_eq!(attempts(&proxy.record()), tries(tried));
            assert_eq!((proxy.seen("p").len(), proxy.seen("q").len(), proxy.seen("r").len()), (1, 1, 1));
            // Errors cost nothing; what is counted is the third's: one word read, two said.
            assert_eq!(proxy.cells(), [("tpd".into(), None, 3, 0)]);
        }
    }
}

/// Limits of every unit.
const LIMITS: &str = "a: { tokens: 10000, per: day }, b: { inputTokens: 10000, per: day }, \
     c: { outputTokens: 10000, per: day }, d: { usd: \"1.00\", per: day }, e: { requests: 10, per: day }, f: { concurrent: 1 }";

/// Used and held of each limit.
fn cells(proxy: &Proxy) -> Vec<(u64, u64)> {
    proxy.cells().into_iter().map(|(_, _, used, held)| (used, held)).collect()
}

/// What a call's body is estimated at, before anything was learned.
fn input(record: &Value) -> u64 {
    record["bytes_in"].as_u64().unwrap().div_ceil(3)
}

#[tokio::test(start_paused = true)]
async fn both_are_charged_and_as_a_call_they_count_once() {
    for stream in [false, true] {
        for (p, q) in [("latency: 9s", "latency: 1s"), ("latency: 4s", "latency: 9s")] {
            let proxy = proxy(&hedged(ALWAYS, [p, q, ""], LIMITS));
            let looks = async {
                tokio::time::sleep(Duration::from_millis(2_500)).await;
                cells(&proxy)
            };
            let (answer, held) = tokio::join!(ask(&proxy, stream), looks);
            assert_eq!(answer.status, 200);
            let record = proxy.record();
            let input = input(&record);
            // While both run: the input of each, and 100 tokens of output of each.
            let both = [(0, 2 * (input + 100)), (0, 2 * input), (0, 200), (0, 2 * (input * 1_000 + 200_000))];
            assert_eq!(held[..4], both, "stream: {stream}");
            assert_eq!(held[4..].iter().map(|cell| cell.0 + cell.1).collect::<Vec<_>>(), [1, 1]);
            // Whoever was heard: one word read and two said. The other: its input.
            let used = [
                (1 + 2 + input, 0),
                (1 + input, 0),
                (2, 0),
                ((1 + input) * 1_000 + 2 * 2_000, 0),
                (1, 0),
                (0, 0),
            ];
            assert_eq!(cells(&proxy), used, "{p} {q} stream: {stream}");
            assert_eq!(record["usage"]["total"], 3, "the record tells what was heard");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_one_that_is_heard_goes_on_nothing_is_held_for_the_other_any_more() {
    for (p, q) in [(SILENT, "tokensPerSecond: 1"), ("latency: 3s, tokensPerSecond: 1", "latency: 9s")] {
        let proxy = proxy(&hedged(
            ALWAYS,
            [p, q, ""],
            "a: { tokens: 10000, per: day }, b: { outputTokens: 10000, per: day }",
        ));
        let mut opened = proxy.stream("chat").open().await;
        opened.next().await.unwrap();
        let held = cells(&proxy);
        let answer = opened.rest().await;
        assert!(answer.is_done());
        let input = input(&proxy.record());
        assert_eq!(held, [(input, input + 100), (0, 100)], "{p}");
        assert_eq!(cells(&proxy), [(input + 3, 0), (2, 0)], "{p}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_counted_for_each_model_is_counted_where_it_was_used() {
    let limit = "tpd: { tokens: 10000, per: day, each: model }";
    let proxy = proxy(&hedged(ALWAYS, [SILENT, "latency: 1s", ""], limit));
    assert_eq!(ask(&proxy, false).await.text(), "from q");
    let input = input(&proxy.record());
    let cell = |model: &str, used| ("tpd".to_owned(), Some(model.to_owned()), used, 0);
    assert_eq!(proxy.cells(), [cell("m", input), cell("n", 3)]);
}

#[tokio::test(start_paused = true)]
async fn what_a_slower_one_costs_is_what_the_policy_says_of_abandoned_tries() {
    for (says, charged) in [("nothing", 3), ("input", 0), ("reservation", 0)] {
        let text = hedged(ALWAYS, [SILENT, "latency: 1s", ""], "tpd: { tokens: 10000, per: day }")
            .replace("limits:", &format!("onAbandoned: {says}, limits:"));
        let proxy = proxy(&text);
        assert_eq!(ask(&proxy, false).await.text(), "from q");
        let input = input(&proxy.record());
        let expected = match says {
            "input" => 3 + input,
            "reservation" => 3 + input + 100,
            _ => charged,
        };
        assert_eq!(cells(&proxy), [(expected, 0)], "{says}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_target_is_asked_only_where_there_is_room_for_it_too() {
    for (limit, at_q) in [
        ("x: { tokens: 200, per: day }", ""),
        ("x: { outputTokens: 199, per: day }", ""),
        ("x: { usd: \"0.0004\", per: day }", ""),
        // And at its provider, which serves one call only.
        ("x: { tokens: 10000, per: day }", "limits: { y: { requests: 1, per: day } }, "),
    ] {
        let text = hedged(ALWAYS, ["latency: 5s", "", ""], limit);
        let text = text.replace("q: { mock", &format!("q: {{ {at_q}mock")).replace(", { model: o }]", "]");
        let proxy = proxy(&text);
        let before = usize::from(!at_q.is_empty());
        for _ in 0..before {
            proxy.chat("n").await;
        }
        proxy.records();
        let begun = Instant::now();
        assert_eq!(ask(&proxy, false).await.text(), "from p", "{limit}");
        took(begun, 5);
        assert_eq!(proxy.seen("q").len(), before, "{limit}");
        assert_eq!(reasons(&proxy.record()), tries([("n", "hedge_limit")]), "{limit}");
        let cell = proxy.cells().into_iter().find(|cell| cell.0 == "x").unwrap();
        assert_eq!(cell.3, 0, "{limit}: nothing is held any more");
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_caller_that_leaves_while_both_run_both_are_charged_and_nothing_is_held() {
    let text = hedged(ALWAYS, [SILENT, SILENT, ""], LIMITS);
    let text = text.replace("p: { mock", "p: { limits: { y: { concurrent: 5 } }, mock");
    let text = text.replace("q: { mock", "q: { limits: { z: { tokens: 9000, per: day } }, mock");
    let proxy = proxy(&text);
    tokio::select! {
        _ = ask(&proxy, true) => panic!("there was an answer"),
        () = tokio::time::sleep(secs(3)) => {}
    }
    quiet().await;
    assert!(proxy.seen("p")[0].left() && proxy.seen("q")[0].left());
    let record = proxy.record();
    assert_eq!(record["outcome"], "client_gone");
    assert_eq!(attempts(&record), tries([("m", "abandoned"), ("n", "abandoned")]));
    let input = input(&record);
    let used =
        [(2 * input, 0), (2 * input, 0), (0, 0), (2 * input * 1_000, 0), (1, 0), (0, 0), (0, 0), (input, 0)];
    assert_eq!(cells(&proxy), used);
    assert_eq!((proxy.callers.running(), proxy.idle()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_others_were_faster_than_is_not_ill_for_it() {
    let text = hedged(ALWAYS, [SILENT, "", ""], "")
        .replace("p: { mock", "p: { breaker: { consecutiveFailures: 1 }, mock");
    let proxy = proxy(&text);
    for _ in 0..5 {
        assert_eq!(ask(&proxy, false).await.text(), "from q");
    }
    assert_eq!(proxy.seen("p").len(), 5, "its breaker has not opened");
}

#[tokio::test(start_paused = true)]
async fn where_the_fastest_is_first_one_that_others_were_faster_than_is_no_longer_first() {
    let usual = hedged(ALWAYS, ["latency: 100ms", "latency: 500ms", ""], "")
        .replace("chat: {", "chat: { strategy: fastest,")
        .replace(", { model: o }]", "]");
    for stream in [false, true] {
        let proxy = proxy(&usual);
        for expected in ["from p", "from q", "from p"] {
            assert_eq!(ask(&proxy, stream).await.text(), expected);
        }
        proxy.reload(&usual.replace("latency: 100ms", "latency: 1h"));
        assert_eq!(ask(&proxy, stream).await.text(), "from q", "hedged");
        let asked = proxy.seen("p").len();
        assert_eq!(ask(&proxy, stream).await.text(), "from q");
        assert_eq!(
            proxy.seen("p").len(),
            asked,
            "stream: {stream}: it takes two seconds at least, as far as is known"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_target_whose_breaker_is_open_is_passed_over_for_the_one_behind_it() {
    let text = hedged(ALWAYS, ["latency: 5s", DOWN, ""], "");
    let proxy = proxy(&text.replace("q: { mock", "q: { breaker: { consecutiveFailures: 1 }, mock"));
    assert_eq!(ask(&proxy, false).await.text(), "from p");
    let begun = Instant::now();
    assert_eq!(ask(&proxy, false).await.text(), "from r");
    took(begun, 2);
    assert_eq!(reasons(&proxy.records()[1]), tries([("n", "breaker_open")]));
}

#[tokio::test(start_paused = true)]
async fn a_second_target_that_the_share_forbids_is_not_charged_for_a_try() {
    for stream in [false, true] {
        // Of one call nothing may be hedged.
        let text = hedged("after: 2s, maxShare: 0.05", [SILENT, "", DOWN], "")
            .replace("q: { mock", "q: { retryBudget: { ratio: 0, minPerSecond: 0 }, mock")
            .replace("chat: {", "chat: { timeouts: { answer: 5s, firstToken: 5s },");
        let proxy = proxy(&text);
        let begun = Instant::now();
        assert_eq!(ask(&proxy, stream).await.text(), "from q", "stream: {stream}");
        took(begun, 5);
        let record = proxy.record();
        assert_eq!(reasons(&record), tries([("n", "hedge_share")]));
        assert_eq!(attempts(&record).len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_target_one_of_whose_keys_is_refused_is_asked_with_the_next_when_the_first_has_failed() {
    // The key is refused before the first target fails, and thereafter.
    for latency in ["0s", "2s"] {
        for stream in [false, true] {
            let (p, q) = (
                "latency: 3s, faults: [{ error: model_not_found }]",
                "faults: [{ forKey: { endsWith: aaaa, code: 401 } }]",
            );
            let text = hedged(ALWAYS, [p, &format!("latency: {latency}, {q}"), ""], "")
                .replace("q: { mock", "q: { keys: [{ name: a, fromEnv: A }, { name: b, fromEnv: B }], mock")
                .replace(", { model: o }]", "]");
            let proxy = Start::keyed().proxy(&text);
            let answer = ask(&proxy, stream).await;
            assert_eq!(answer.status, 200, "{latency} stream: {stream}: {}", answer.raw());
            assert_eq!((answer.text().as_str(), answer.header("x-egret-attempts")), ("from q", Some("3")));
            let seen = proxy.seen("q");
            let keys: Vec<_> = seen.iter().filter_map(|seen| seen.key_ends()).collect();
            assert_eq!((proxy.seen("p").len(), keys), (1, vec!["aaaa", "bbbb"]));
        }
    }
}
