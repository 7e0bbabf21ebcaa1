//! In which order a route's targets are tried: by weight, speed or cost, and what is ill behind.

use std::collections::BTreeMap;
use std::time::Duration;

use egret::clock::Instant;
use serde_json::json;

use crate::support::*;

/// A route `chat` by a strategy. Of each provider `p1`, `p2`, ..: what its script says, what else is said of it, of its
/// model `m1`, `m2`, .. and of the target.
fn policy(strategy: &str, of: &[[&str; 4]]) -> String {
    let (mut providers, mut models, mut targets) = (String::new(), String::new(), String::new());
    for (at, [mock, provider, model, target]) in (1..).zip(of) {
        providers += &format!("  p{at}: {{ mock: {{ {mock} }}, {provider} }}\n");
        models += &format!("  m{at}: {{ provider: p{at}, {model} }}\n");
        targets += &format!("{{ model: m{at}, {target} }}, ");
    }
    format!(
        "providers:\n{providers}models:\n{models}\
         routes: {{ chat: {{ strategy: {strategy}, targets: [{targets}] }} }}\n{ANYONE}"
    )
}

/// Which model answered.
fn model(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.raw());
    answer.header("x-egret-model").unwrap().to_owned()
}

/// How many of so many calls, one after the other, each model answered.
async fn shares(proxy: &Proxy, calls: usize) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..calls {
        *shares.entry(model(&proxy.chat("chat").await)).or_default() += 1;
    }
    shares
}

fn share(shares: &BTreeMap<String, usize>, model: &str) -> usize {
    shares.get(model).copied().unwrap_or(0)
}

const DOWN: &str = "faults: [{ status: { code: 500 } }]";
const OPENS_AT_ONCE: &str = "breaker: { consecutiveFailures: 1, openFor: 1h }";
const COOLS: &str = "faults: [{ status: { code: 429, retryAfter: 1000s } }]";

fn weighted(first: &str, breaker: &str) -> String {
    policy(
        "weighted",
        &[
            [first, breaker, "", "weight: 40"],
            ["", "", "", "weight: 35"],
            ["", "", "", "weight: 20"],
            ["", "", "", "weight: 5"],
        ],
    )
}

#[tokio::test(start_paused = true)]
async fn weights_are_exact_shares_over_time() {
    let proxy = proxy(&weighted("", ""));
    for _ in 0..2 {
        let shares = shares(&proxy, 200).await;
        assert_eq!(["m1", "m2", "m3", "m4"].map(|model| share(&shares, model)), [80, 70, 40, 10]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_share_of_one_that_is_ill_goes_to_the_others_in_proportion_and_comes_back_with_it() {
    for first in [DOWN, COOLS] {
        let proxy = proxy(&weighted(first, OPENS_AT_ONCE));
        // One that it fails at is enough.
        shares(&proxy, 20).await;
        assert_eq!(proxy.seen("p1").len(), 1, "{first}");
        let shares = shares(&proxy, 120).await;
        for (model, expected) in [("m1", 0), ("m2", 70), ("m3", 40), ("m4", 10)] {
            assert!(share(&shares, model).abs_diff(expected) <= 1, "{first}: {shares:?}");
        }
        assert_eq!(proxy.seen("p1").len(), 1, "{first}");

        proxy.reload(&weighted("", OPENS_AT_ONCE));
        tokio::time::sleep(secs(3_601)).await;
        let shares = self::shares(&proxy, 200).await;
        for (model, expected) in [("m1", 80), ("m2", 70), ("m3", 40), ("m4", 10)] {
            assert!(share(&shares, model).abs_diff(expected) <= 2, "{first}: {shares:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_one_whose_turn_it_is_fails_the_others_stand_in_the_heavier_first() {
    let never = "breaker: { consecutiveFailures: 1000 }, retryBudget: { ratio: 10, minPerSecond: 1000 }";
    let light = ["", "", "", "weight: 5"];
    let of = [[DOWN, never, "", "weight: 40"], light, ["", "", "", "weight: 35"], ["", "", "", "weight: 20"]];
    let proxy = proxy(&policy("weighted", &of));
    let shares = shares(&proxy, 200).await;
    assert_eq!(["m1", "m2", "m3", "m4"].map(|model| share(&shares, model)), [0, 10, 150, 40]);
    assert_eq!(proxy.seen("p1").len(), 80, "its own share was tried there, and no more");
    for record in proxy.records() {
        let attempts = record["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), if attempts[0]["model"] == "m1" { 2 } else { 1 });
    }
}

/// Latencies of plain answers, or of the first token, in milliseconds.
fn fastest(latencies: &[u64]) -> String {
    let mocks: Vec<_> = latencies.iter().map(|latency| format!("latency: {latency}ms")).collect();
    let of: Vec<_> = mocks.iter().map(|mock| [mock.as_str(), "", "", ""]).collect();
    policy("fastest", &of)
}

#[tokio::test(start_paused = true)]
async fn the_faster_of_two_serves_once_both_are_known() {
    for stream in [false, true] {
        let proxy = proxy(&fastest(&[900, 100]));
        let mut models = Vec::new();
        for _ in 0..20 {
            let answer = if stream { proxy.stream("chat").await } else { proxy.chat("chat").await };
            models.push(model(&answer));
        }
        assert_eq!(models[0], "m1", "nobody is known: as written");
        assert!(models[1..].iter().all(|model| model == "m2"), "stream {stream}: {models:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_becomes_slow_is_left_and_comes_back_after_a_while() {
    let proxy = proxy(&fastest(&[200, 100]));
    assert_eq!(share(&shares(&proxy, 12).await, "m2"), 11);
    // Now the second is the slow one. One call finds out.
    proxy.reload(&fastest(&[200, 4_000]));
    let after = shares(&proxy, 6).await;
    assert_eq!((share(&after, "m1"), share(&after, "m2")), (5, 1));
    // It is fast again, and nobody knows: after some time it is tried, and comes back bit by bit.
    proxy.reload(&fastest(&[200, 100]));
    let (begun, seen) = (Instant::now(), proxy.seen("p2").len());
    while proxy.seen("p2").len() == seen {
        proxy.chat("chat").await;
    }
    // 4 s fall below 200 ms in ten seconds times the logarithm of twenty.
    let away = begun.elapsed();
    assert!((secs(25)..secs(33)).contains(&away), "{away:?}");
    shares(&proxy, 100).await;
    assert_eq!(share(&shares(&proxy, 10).await, "m2"), 10);
}

#[tokio::test(start_paused = true)]
async fn streams_are_measured_by_their_first_token_and_plain_answers_by_their_end() {
    // The first is slow to the end of a plain answer, the second to the first token of a stream.
    let text =
        policy("fastest", &[["latency: 500ms", "", "", ""], ["tokensPerSecond: 1, tokens: 3", "", "", ""]]);
    let proxy = proxy(&text);
    let (mut plain, mut streams) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        plain.push(model(&proxy.chat("chat").await));
        streams.push(model(&proxy.stream("chat").await));
    }
    assert_eq!(plain, ["m1", "m2", "m2", "m2", "m2", "m2"]);
    // The second takes a second to its first token, the first half of one.
    assert_eq!(streams, ["m1", "m2", "m1", "m1", "m1", "m1"]);
}

#[tokio::test(start_paused = true)]
async fn of_three_the_faster_of_two_drawn_ones_serves_so_that_not_all_go_to_the_best() {
    let models = async |_: u64| {
        let proxy = proxy(&fastest(&[10, 20, 30]));
        let mut models = Vec::new();
        for _ in 0..90 {
            models.push(model(&proxy.chat("chat").await));
        }
        models
    };
    let (one, other) = (models(0).await, models(1).await);
    assert_eq!(one, other, "the same draws, the same choices");
    let count = |model: &str| one.iter().filter(|one| *one == model).count();
    // Two of three pairs hold the fastest; the slowest is the better one of none.
    assert!((50..=70).contains(&count("m1")), "{one:?}");
    assert!((20..=40).contains(&count("m2")), "{one:?}");
    assert!((1..=2).contains(&count("m3")), "only before it was known: {one:?}");
}

#[tokio::test(start_paused = true)]
async fn calls_that_come_at_once_do_not_all_go_to_the_same_target() {
    for streams in [false, true] {
        let proxy = proxy(&fastest(&[100, 100]));
        let ask = |_| if streams { proxy.stream("chat") } else { proxy.chat("chat") };
        all((0..20).map(ask)).await;
        assert_eq!((proxy.seen("p1").len(), proxy.seen("p2").len()), (10, 10), "streams: {streams}");
    }
}

/// Prices of input and output in dollars for a million tokens.
fn price(input: &str, output: &str) -> String {
    format!("price: [{{ inputPerMTok: \"{input}\", outputPerMTok: \"{output}\" }}]")
}

/// The models in the order in which they are tried where each fails.
async fn order(proxy: &Proxy, words: usize, more: serde_json::Value) -> Vec<String> {
    let content = "word ".repeat(words);
    let mut body = json!({ "model": "chat", "messages": [{ "role": "user", "content": content }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    proxy.records();
    assert_eq!(proxy.post("/v1/chat/completions", body.to_string()).await.status, 503);
    let record = proxy.record();
    let attempts = record["attempts"].as_array().unwrap().iter();
    attempts.map(|attempt| attempt["model"].as_str().unwrap().to_owned()).collect()
}

/// Every provider fails, and none is ill for it.
fn cheapest(models: &[&str]) -> String {
    let never = "breaker: { consecutiveFailures: 1000 }, retryBudget: { ratio: 10, minPerSecond: 1000 }";
    let of: Vec<_> = models.iter().map(|model| [DOWN, never, *model, ""]).collect();
    let tries = format!("retry: {{ maxAttempts: {} }}, targets", models.len());
    policy("cheapest", &of).replace("targets", &tries)
}

#[tokio::test(start_paused = true)]
async fn the_cheapest_is_the_one_at_which_this_call_costs_least() {
    // The first is cheap to read, the second to write.
    let proxy = proxy(&cheapest(&[&price("1.00", "10.00"), &price("5.00", "2.00"), &price("9.00", "20.00")]));
    assert_eq!(order(&proxy, 1, json!({ "max_tokens": 500 })).await, ["m2", "m1", "m3"]);
    assert_eq!(order(&proxy, 3_000, json!({ "max_tokens": 5 })).await, ["m1", "m2", "m3"]);
    assert_eq!(order(&proxy, 1, json!({})).await, ["m2", "m1", "m3"], "an answer of usual length");
    // 400 tokens more or less of input at 4 dollars, against 8 dollars for each of output.
    assert_eq!(order(&proxy, 600, json!({ "max_tokens": 50 })).await, ["m1", "m2", "m3"]);
    assert_eq!(
        order(&proxy, 600, json!({ "max_tokens": 50, "n": 16 })).await,
        ["m2", "m1", "m3"],
        "each answer costs"
    );
}

#[tokio::test(start_paused = true)]
async fn what_nobody_knows_the_price_of_comes_last_and_so_does_a_window_that_is_too_small() {
    let small = format!("contextTokens: 100, {}", price("0.01", "0.01"));
    let proxy = proxy(&cheapest(&["", &small, &price("9.00", "9.00"), &price("2.00", "2.00")]));
    assert_eq!(order(&proxy, 1, json!({})).await, ["m2", "m4", "m3", "m1"]);
    let long = order(&proxy, 1_000, json!({})).await;
    assert_eq!(long[..2], ["m4", "m3"]);
    // Of those that nobody can tell the cost of, the order is the policy's.
    assert_eq!(long[2..], ["m1", "m2"]);
}

#[tokio::test(start_paused = true)]
async fn an_ill_target_comes_behind_whatever_speaks_for_it() {
    let cheap = price("0.01", "0.01");
    let dear = price("9.00", "9.00");
    for ill in [DOWN, COOLS] {
        for (strategy, target) in [("weighted", "weight: 1000"), ("fastest", ""), ("cheapest", "")] {
            let of = [
                [ill, OPENS_AT_ONCE, cheap.as_str(), target],
                ["latency: 2s", "", dear.as_str(), ""],
                ["latency: 1s", "", dear.as_str(), ""],
            ];
            let (proxy, traces) = traced(&policy(strategy, &of));
            // Until the first has been tried.
            while proxy.seen("p1").is_empty() {
                proxy.chat("chat").await;
            }
            traces.candidates();
            for _ in 0..6 {
                model(&proxy.chat("chat").await);
            }
            for candidates in traces.candidates() {
                assert_eq!(candidates[2], "m1: not needed", "{strategy} {ill}: {candidates:?}");
                assert!(candidates[0].ends_with(": tried"), "{strategy} {ill}: {candidates:?}");
            }
            assert_eq!(proxy.seen("p1").len(), 1, "{strategy} {ill}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_on_an_id_of_its_provider_goes_where_such_calls_always_go() {
    let (cheap, dear) = (price("0.01", "0.01"), price("9.00", "9.00"));
    for (strategy, target) in [("weighted", "weight: 99"), ("fastest", ""), ("cheapest", "")] {
        let of = [["latency: 3s", "", dear.as_str(), ""], ["", "", cheap.as_str(), target]];
        let proxy = proxy(&policy(strategy, &of));
        for _ in 0..4 {
            model(&proxy.chat("chat").await);
        }
        let others = proxy.seen("p1").len();
        assert!(proxy.seen("p2").len() >= 3, "{strategy}: its like goes to the other");
        for more in [
            json!({ "previous_response_id": "resp_1" }),
            json!({ "store": true }),
            json!({ "background": true }),
        ] {
            let mut body = json!({ "model": "chat", "input": "hi" });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let begun = Instant::now();
            assert_eq!(
                model(&proxy.post("/v1/responses", body.to_string()).await),
                "m1",
                "{strategy} {more}"
            );
            assert!(begun.elapsed() >= Duration::from_secs(3));
        }
        assert_eq!(proxy.seen("p1").len(), others + 3, "{strategy}");
    }
}
