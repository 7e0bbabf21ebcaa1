//! Calls that wait for room, as their callers feel it.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use crate::support::*;

/// One provider `p` with model `m` and this script, and one tenant on loopback with these limits.
fn limited(limits: &str, mock: &str) -> String {
    format!(
        "providers: {{ p: {{ mock: {{ {mock} }} }} }}\nmodels: {{ m: {{ provider: p, maxOutputTokens: 100 }} }}\n\
         tenants: {{ app: {{ local: true, access: {{ allow: [\"*\"] }}, limits: {{ {limits} }} }} }}\n"
    )
}

/// A limit that lets its callers wait so long.
fn queue(counted: &str, max_wait: &str) -> String {
    format!("it: {{ {counted}, onExceed: {{ queue: {{ maxWait: {max_wait} }} }} }}")
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Asks some time from now; gives the answer and how long it took from then on.
async fn chat(proxy: &Proxy, after: u64, says: &str, most: u64) -> (Answer, Duration) {
    sleep(millis(after)).await;
    let began = Instant::now();
    let messages = json!([{ "role": "user", "content": says }]);
    let body = json!({ "model": "m", "max_tokens": most, "messages": messages });
    let answer = proxy.post("/v1/chat/completions", body.to_string()).await;
    (answer, began.elapsed())
}

/// What the provider was asked, in order.
fn asked(proxy: &Proxy) -> Vec<String> {
    let words = |seen: &egret::mock::Seen| {
        let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
        body["messages"][0]["content"].as_str().unwrap().to_owned()
    };
    proxy.seen("p").iter().map(words).collect()
}

#[tokio::test(start_paused = true)]
async fn twenty_callers_at_once_are_served_one_after_the_other_in_the_order_in_which_they_came() {
    let proxy = proxy(&limited(&queue("concurrent: 1", "60s"), "latency: 100ms"));
    let names: Vec<_> = (0..20).map(|n| format!("caller {n}")).collect();
    let calls = names.iter().zip(0..).map(|(name, n)| Box::pin(chat(&proxy, n, name, 5)));
    let answers = all(calls).await;
    assert!(answers.iter().all(|(answer, _)| answer.status == 200));
    assert_eq!(asked(&proxy), names);
    let took: Vec<_> = answers.iter().map(|(_, took)| took.as_millis()).collect();
    assert!(
        took.is_sorted() && (100..110).contains(&took[0]) && (1_980..2_100).contains(&took[19]),
        "{took:?}"
    );
    let records = proxy.records();
    let queued = |record: &serde_json::Value| record["queued_ms"].as_f64();
    assert_eq!(queued(&records[0]), None);
    let last = queued(&records[19]).unwrap();
    assert!((1_880.0..2_000.0).contains(&last), "{last}");
    assert_eq!(proxy.cells()[0].3, 0);
    let metrics = proxy.state.shared.telemetry.metrics.render();
    assert!(metrics.contains("egret_call_queued_seconds_count{egret_tenant=\"app\"} 19"), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_line_is_passed_by() {
    let proxy = proxy(&limited(&queue("concurrent: 1", "60s"), "latency: 100ms"));
    let leaves = async |after| {
        sleep(millis(after)).await;
        timeout(millis(50), chat(&proxy, 0, "left", 5)).await.is_err()
    };
    let stays = (chat(&proxy, 0, "one", 5), chat(&proxy, 2, "two", 5), chat(&proxy, 4, "three", 5));
    let (one, two, three, first, second) = tokio::join!(stays.0, stays.1, stays.2, leaves(1), leaves(3));
    assert!(first && second);
    assert_eq!(asked(&proxy), ["one", "two", "three"]);
    assert!([&one.0, &two.0, &three.0].iter().all(|answer| answer.status == 200));
    assert!(three.1 < millis(310), "{:?}", three.1);
    let mut left = proxy.records();
    left.retain(|record| record["outcome"] == "client_gone");
    assert_eq!(left.len(), 2);
    assert_eq!(proxy.cells(), [("it".into(), None, 0, 0)]);
}

#[tokio::test(start_paused = true)]
async fn after_the_longest_wait_a_call_is_refused_as_usual() {
    let proxy = proxy(&limited(&queue("concurrent: 1", "500ms"), "latency: 10s"));
    let (_, (answer, took)) = tokio::join!(chat(&proxy, 0, "one", 5), chat(&proxy, 1, "two", 5));
    assert_eq!(answer.refused(), (429, "rate_limit_exceeded".to_owned()));
    assert!((500..510).contains(&took.as_millis()), "{took:?}");
    let records = proxy.records();
    assert_eq!(records[0]["outcome"], "refused");
    assert!((500.0..502.0).contains(&records[0]["queued_ms"].as_f64().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_longer_than_the_whole_call_may_take() {
    let total = "defaults: { timeouts: { total: 2s } }\n";
    let proxy = proxy(&(limited(&queue("requests: 1, per: 30s", "60s"), "") + total));
    chat(&proxy, 0, "hi", 5).await;
    let (answer, took) = chat(&proxy, 0, "hi", 5).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("30")));
    assert!(took < millis(5), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rate_lets_them_in_at_the_moment_at_which_there_is_room() {
    let proxy = proxy(&limited(&queue("requests: 1, per: 2s", "5s"), ""));
    let calls = (0..4).map(|n| Box::pin(chat(&proxy, n, "hi", 5)));
    let answers = all(calls).await;
    let told: Vec<_> =
        answers.iter().zip(0..).map(|((answer, took), n)| (answer.status, took.as_millis() + n)).collect();
    assert!(told[0].1 < 5, "{told:?}");
    assert!((2_000..2_010).contains(&told[1].1) && (4_000..4_015).contains(&told[2].1), "{told:?}");
    // The fourth had to wait for 6 s: it is told so at once.
    let (refused, took) = &answers[3];
    assert_eq!(refused.refused(), (429, "rate_limit_exceeded".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("6"));
    assert!(took < &millis(5), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_too_long_is_told_at_once() {
    let proxy = proxy(&limited(&queue("requests: 1, per: 1m", "5s"), ""));
    chat(&proxy, 0, "hi", 5).await;
    let (answer, took) = chat(&proxy, 0, "hi", 5).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("60")));
    assert!(took < millis(5), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn tokens_that_come_back_let_the_next_one_in_and_a_smaller_call_does_not_overtake() {
    // The first holds most of the limit; the second needs as much, the third would fit beside the first.
    let proxy = proxy(&limited(&queue("outputTokens: 100, per: 1m", "30s"), "latency: 1s, tokens: 3"));
    let calls = (chat(&proxy, 0, "one", 90), chat(&proxy, 1, "two", 90), chat(&proxy, 2, "three", 5));
    let (one, two, three) = tokio::join!(calls.0, calls.1, calls.2);
    assert!([&one.0, &two.0, &three.0].iter().all(|answer| answer.status == 200));
    assert_eq!(asked(&proxy), ["one", "two", "three"]);
    assert!((1_990..2_010).contains(&two.1.as_millis()), "{:?}", two.1);
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_waited_for_while_others_may_give_back_and_not_for_its_turn() {
    let proxy = proxy(&limited(&queue("outputTokens: 100, per: day", "30s"), "latency: 1s, tokens: 3"));
    let (_, (answer, took)) = tokio::join!(chat(&proxy, 0, "one", 100), chat(&proxy, 1, "two", 90));
    assert_eq!(answer.status, 200);
    assert!((1_990..2_010).contains(&took.as_millis()), "{took:?}");
    let (answer, took) = chat(&proxy, 0, "three", 100).await;
    assert_eq!(answer.refused(), (429, "insufficient_quota".to_owned()));
    assert!(took < millis(5), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_raises_the_limit_lets_in_who_waits() {
    let of = |places: u32| limited(&queue(&format!("concurrent: {places}"), "30s"), "latency: 10s");
    let proxy = proxy(&of(1));
    let reload = async {
        sleep(millis(500)).await;
        proxy.reload(&of(2));
    };
    let calls = (chat(&proxy, 0, "one", 5), chat(&proxy, 1, "two", 5), chat(&proxy, 2, "three", 5));
    let (_, two, three, ()) = tokio::join!(calls.0, calls.1, calls.2, reload);
    assert!((10_490..10_510).contains(&two.1.as_millis()), "{:?}", two.1);
    assert!((19_990..20_010).contains(&three.1.as_millis()), "{:?}", three.1);
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_whichever_of_its_targets_has_room_first() {
    let each = queue("concurrent: 1, each: model", "30s");
    let text = limited(&each, "latency: 10s")
        .replace("providers: {", "providers: { q: { mock: { latency: 1s } },")
        .replace("models: {", "models: { n: { provider: q, maxOutputTokens: 100 },")
        + "routes: { chat: { targets: [{ model: n }, { model: m }] } }\n";
    let proxy = proxy(&text);
    let ask = async |model: &'static str, after| {
        sleep(millis(after)).await;
        let began = Instant::now();
        let answer = proxy.chat(model).await;
        (answer.header("x-egret-model").map(str::to_owned), began.elapsed())
    };
    let (_, _, (model, took)) = tokio::join!(ask("n", 0), ask("m", 0), ask("chat", 1));
    assert_eq!(model.as_deref(), Some("n"));
    assert!((1_990..2_010).contains(&took.as_millis()), "{took:?}");
    let records = proxy.records();
    let waited = records.iter().find(|record| record["route"] == "chat").unwrap();
    assert_eq!(waited["attempts"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_limit_may_downgrade_and_another_let_wait_on_the_other_way() {
    let limits = format!(
        "few: {{ requests: 1, per: day, onExceed: {{ downgrade: {{ to: n }} }} }}, {}",
        queue("concurrent: 1", "30s")
    );
    let text = limited(&limits, "latency: 1s")
        .replace("models: {", "models: { n: { provider: p, maxOutputTokens: 9 },");
    let proxy = proxy(&text);
    let (_, (answer, took)) = tokio::join!(chat(&proxy, 0, "one", 5), chat(&proxy, 1, "two", 5));
    assert_eq!((answer.status, answer.header("x-egret-model")), (200, Some("n")));
    assert!((1_990..2_010).contains(&took.as_millis()), "{took:?}");
    let record = proxy.records().pop().unwrap();
    assert_eq!(record["downgraded_to"], "n");
    assert!(record["queued_ms"].as_f64().unwrap() > 900.0);
}

#[tokio::test(start_paused = true)]
async fn streams_keep_their_place_to_their_end_while_others_wait() {
    let proxy = proxy(&limited(&queue("concurrent: 1", "30s"), "tokensPerSecond: 1, tokens: 5"));
    let mut stream = proxy.stream("m").open().await;
    stream.next().await;
    let began = Instant::now();
    let (rest, next) = tokio::join!(stream.rest(), proxy.stream("m").open());
    assert!(rest.is_done());
    assert_eq!(next.status, 200);
    assert!(began.elapsed() >= secs(3), "{:?}", began.elapsed());
}

/// Numbers that look random, the same at each run.
fn scattered(seed: u64, n: u64) -> u64 {
    let mixed = (seed << 32 | n).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
}

#[tokio::test(start_paused = true)]
async fn of_many_that_come_and_leave_at_any_time_those_who_stay_are_served_in_order() {
    for seed in 0..12 {
        let limits = format!(
            "{}, tpm: {{ outputTokens: 1000, per: 1m, onExceed: {{ queue: {{ maxWait: 60s }} }} }}",
            queue("concurrent: 2", "60s")
        );
        let proxy = proxy(&limited(&limits, "latency: 50ms, tokens: 2"));
        let one = async |n: u64| {
            let name = format!("{n:02}");
            let most = 1 + scattered(seed, n) % 600;
            let call = chat(&proxy, 5 * n + scattered(seed, n + 100) % 5, &name, most);
            match scattered(seed, n + 200) % 4 {
                0 => timeout(millis(5 * n + scattered(seed, n + 300) % 400), call).await.ok(),
                _ => Some(call.await),
            }
        };
        let answers = all((0..40).map(|n| Box::pin(one(n)))).await;
        assert!(answers.iter().flatten().all(|(answer, _)| answer.status == 200), "seed {seed}");
        let served = asked(&proxy);
        assert!(served.is_sorted(), "seed {seed}: {served:?}");
        let stayed = answers.iter().filter(|answer| answer.is_some()).count();
        assert!((20..40).contains(&stayed) && served.len() >= stayed, "seed {seed}: {stayed}");
        quiet().await;
        assert!(proxy.cells().iter().all(|cell| cell.3 == 0), "seed {seed}: {:?}", proxy.cells());
    }
}
