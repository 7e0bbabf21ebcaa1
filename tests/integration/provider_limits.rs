//! Limits of providers: they make calls go elsewhere, and every end of a try settles them once.

use egret::admin::Sight;
use serde_json::json;

use crate::support::*;

/// A dollar per million tokens of input and two of output; 100 tokens of output at most.
const PRICE: &str = "maxOutputTokens: 100, price: [{ inputPerMTok: \"1.00\", outputPerMTok: \"2.00\" }]";

/// A provider `p` with this script and these limits, a provider `q` without, and a tenant with whatever it says.
fn policy(mock: &str, limits: &str, tenant: &str) -> String {
    format!(
        "providers:\n\
         \x20 p: {{ limits: {{ {limits} }}, mock: {{ says: \"one two three\", {mock} }} }}\n\
         \x20 q: {{ mock: {{ says: \"four\" }} }}\n\
         models: {{ m: {{ provider: p, {PRICE} }}, n: {{ provider: q, {PRICE} }} }}\n\
         routes: {{ chat: {{ targets: [{{ model: m }}, {{ model: n }}] }} }}\n\
         tenants: {{ app: {{ local: true, access: {{ allow: [\"*\"] }}, {tenant} }} }}\n"
    )
}

const RPM: &str = "rpm: { requests: 2, per: 1m }";

/// Used and held of a limit.
fn cell(proxy: &Proxy, key: &str) -> (u64, u64) {
    let cells = proxy.cells();
    let mut found = cells.iter().filter(|cell| cell.0 == key).map(|cell| (cell.2, cell.3));
    let only = found.next().unwrap_or_else(|| panic!("no {key} in {cells:?}"));
    assert!(found.next().is_none(), "{cells:?}");
    only
}

#[tokio::test(start_paused = true)]
async fn beyond_a_providers_limit_the_next_target_serves() {
    let proxy = proxy(&policy("faults: [ok]", RPM, ""));
    for _ in 0..2 {
        assert_eq!(proxy.chat("chat").await.header("x-egret-model"), Some("m"));
    }
    proxy.records();
    let third = proxy.chat("chat").await;
    assert_eq!((third.status, third.header("x-egret-model")), (200, Some("n")));
    assert_eq!(third.header("x-egret-attempts"), Some("1"));
    assert_eq!(third.header("x-ratelimit-limit-requests"), None, "it is no limit of the caller's");
    let passed = json!([{ "provider": "p", "model": "m", "reason": "provider_limit" }]);
    assert_eq!(proxy.record()["passed_over"], passed);
    assert_eq!(proxy.seen("p").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_is_left_the_answer_says_when_there_is_room_and_nothing_of_how_much() {
    let proxy = proxy(&policy("faults: [ok]", RPM, "limits: { mine: { requests: 5, per: 1m } }"));
    proxy.chat("m").await;
    proxy.chat("m").await;
    let refused = proxy.chat("m").await;
    assert_eq!(refused.refused(), (503, "no_provider_available".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("30"));
    let message = "What may be asked of this model's provider is used up for now. Try again in 30 s.";
    assert_eq!(refused.message(), message);
    assert_eq!(cell(&proxy, "mine"), (2, 0), "a call that was never sent costs its tenant nothing");
    tokio::time::sleep(secs(30)).await;
    assert_eq!(proxy.chat("m").await.status, 200, "who waits so long finds room");
}

#[tokio::test(start_paused = true)]
async fn of_several_providers_the_shortest_wait_is_told_and_a_long_one_is_not_waited_for() {
    let two = |p: &str, q: &str| {
        policy("faults: [ok]", p, "").replace("q: { mock", &format!("q: {{ limits: {{ {q} }}, mock"))
    };
    let told = async |policy: String| {
        let proxy = proxy(&policy);
        proxy.chat("m").await;
        proxy.chat("n").await;
        let refused = proxy.chat("chat").await;
        assert_eq!(refused.status, 503);
        let header = |name| refused.header(name).map(str::to_owned);
        (header("retry-after"), header("x-should-retry"))
    };
    let (slow, quick) = ("a: { requests: 1, per: 40s }", "b: { requests: 1, per: 20s }");
    assert_eq!(told(two(slow, quick)).await, (Some("20".into()), None));
    assert_eq!(told(two(quick, slow)).await, (Some("20".into()), None));
    let day = "c: { requests: 1, per: day }";
    assert_eq!(told(two(day, quick)).await, (Some("20".into()), None));
    assert_eq!(told(two(day, day)).await, (None, Some("false".into())));
}

#[tokio::test(start_paused = true)]
async fn all_tenants_share_a_providers_limit() {
    let other = format!(
        "other: {{ match: [{{ apiKeySha256: \"{}\" }}], access: {{ allow: [\"*\"] }} }}, app:",
        hash("key")
    );
    let proxy = proxy(&policy("faults: [ok]", RPM, "").replace("app:", &other));
    assert_eq!(proxy.chat("m").key("key").await.status, 200);
    assert_eq!(proxy.chat("m").await.status, 200);
    assert_eq!([proxy.chat("m").await.status, proxy.chat("m").key("key").await.status], [503, 503]);
    assert_eq!(cell(&proxy, "rpm"), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_place_at_a_provider_is_free_before_its_caller_sees_the_end() {
    let proxy = proxy(&policy("tokensPerSecond: 1, tokens: 3", "open: { concurrent: 1 }", ""));
    for _ in 0..3 {
        assert_eq!(proxy.chat("m").await.status, 200);
        assert!(proxy.stream("m").await.is_done());
    }
    let mut reading = proxy.stream("m").open().await;
    reading.next().await;
    assert_eq!(cell(&proxy, "open"), (0, 1), "held while the stream goes on");
    let refused = proxy.chat("m").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    drop(reading);
    quiet().await;
    assert_eq!(proxy.chat("m").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn each_model_of_a_provider_may_have_its_own() {
    let each = "rpm: { requests: 1, per: 1m, each: model }";
    let two = policy("faults: [ok]", each, "").replace("provider: q", "provider: p");
    let proxy = proxy(&two);
    assert_eq!(proxy.chat("chat").await.header("x-egret-model"), Some("m"));
    assert_eq!(proxy.chat("chat").await.header("x-egret-model"), Some("n"));
    assert_eq!(proxy.chat("chat").await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn tokens_and_money_are_counted_at_a_provider_though_its_callers_have_no_such_limit() {
    let limits = "tpd: { tokens: 1000, per: day }, month: { usd: \"1.00\", per: month }";
    let proxy = proxy(&policy("faults: [ok]", limits, ""));
    let plain = proxy.chat("m").await;
    let tokens = plain.json()["usage"]["total_tokens"].as_u64().unwrap();
    let cost: f64 = plain.header("x-egret-cost-usd").unwrap().parse().unwrap();
    assert_eq!(cell(&proxy, "tpd"), (tokens, 0));
    assert_eq!(cell(&proxy, "month"), ((cost * 1e9).round() as u64, 0));
    assert!(proxy.stream("m").await.is_done());
    let streamed = proxy.records()[1]["usage"]["total"].as_u64().unwrap();
    assert_eq!(cell(&proxy, "tpd"), (tokens + streamed, 0));
}

#[tokio::test(start_paused = true)]
async fn of_many_callers_at_once_no_more_are_sent_than_there_is_room_for() {
    let proxy = proxy(&policy("latency: 1s", "tpd: { tokens: 1000, per: day }", ""));
    let asked = async { all((0..32).map(|_| proxy.chat("chat"))).await };
    let looks = async {
        quiet().await;
        cell(&proxy, "tpd").1
    };
    let (answers, held) = tokio::join!(asked, looks);
    let served =
        |model| answers.iter().filter(|answer| answer.header("x-egret-model") == Some(model)).count();
    assert_eq!(served("m") + served("n"), 32);
    let each = held / served("m") as u64;
    assert!(held <= 1000 && held + each > 1000, "{} calls hold {held}", served("m"));
    assert_eq!(proxy.seen("p").len(), served("m"));
    assert_eq!(cell(&proxy, "tpd").1, 0);
}

const ALL: &str = "rpm: { requests: 9, per: day }, tpd: { tokens: 1000, per: day }, open: { concurrent: 3 }";

/// Used calls, used tokens, and that nothing is held.
fn used(proxy: &Proxy) -> (u64, u64) {
    let (calls, tokens, open) = (cell(proxy, "rpm"), cell(proxy, "tpd"), cell(proxy, "open"));
    assert_eq!((calls.1, tokens.1, open.1), (0, 0, 0), "something is still held");
    (calls.0, tokens.0)
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_provider_is_a_call_there_and_costs_nothing() {
    let failing = proxy(&policy("faults: [{ status: { code: 503 } }]", ALL, ""));
    assert_eq!(failing.chat("chat").await.header("x-egret-model"), Some("n"));
    assert_eq!(used(&failing), (1, 0));
    assert_eq!(failing.chat("m").await.status, 503, "its own error, passed on after three tries");
    assert_eq!(used(&failing), (4, 0));
    let refusing = proxy(&policy("faults: [{ status: { code: 400 } }]", ALL, ""));
    assert_eq!(refusing.chat("m").await.status, 400);
    assert_eq!(used(&refusing), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_try_that_was_given_up_costs_its_provider_what_the_tenant_pays() {
    let costs = async |abandoned: &str| {
        let policy = policy("faults: [{ stall: { afterChunks: 0 } }]", ALL, abandoned);
        let proxy = proxy(&format!("{policy}defaults: {{ timeouts: {{ answer: 5s }} }}\n"));
        assert_eq!(proxy.chat("chat").await.header("x-egret-model"), Some("n"));
        used(&proxy)
    };
    let (calls, input) = costs("").await;
    assert!(calls == 1 && input > 0);
    assert_eq!(costs("onAbandoned: nothing").await, (1, 0));
    assert_eq!(costs("onAbandoned: reservation").await, (1, input + 100));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_gives_back_what_its_provider_held_and_pays_for_what_came() {
    let stalling = proxy(&policy("tokens: 50, faults: [{ stall: { afterChunks: 4 } }]", ALL, ""));
    let mut reading = stalling.stream("m").open().await;
    reading.next().await;
    quiet().await;
    assert_eq!((cell(&stalling, "open").1, cell(&stalling, "rpm")), (1, (1, 0)));
    drop(reading);
    quiet().await;
    let (calls, tokens) = used(&stalling);
    assert!(calls == 1 && (5..100).contains(&tokens), "{calls} {tokens}");

    let slow = proxy(&policy("latency: 10s", ALL, ""));
    assert!(tokio::time::timeout(secs(1), slow.chat("m").into_future()).await.is_err());
    quiet().await;
    let (calls, tokens) = used(&slow);
    assert!(calls == 1 && tokens > 100, "{calls} {tokens}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_costs_its_provider_what_came() {
    let broken = proxy(&policy("tokens: 50, faults: [{ reset: { afterChunks: 4 } }]", ALL, ""));
    assert!(broken.stream("m").await.error_event().is_object());
    let (calls, tokens) = used(&broken);
    assert!(calls == 1 && (5..100).contains(&tokens), "{calls} {tokens}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_never_written_is_no_call_there() {
    // Nobody listens at port 1.
    let policy = policy("faults: [ok]", RPM, "").replace(
        "q: { mock: { says: \"four\" } }",
        &format!("q: {{ dialect: openai, baseUrl: \"http://127.0.0.1:1/v1\", limits: {{ {ALL} }} }}"),
    );
    let proxy = proxy(&policy);
    assert_eq!(proxy.chat("n").await.status, 503);
    let cells = proxy.cells();
    assert!(!cells.is_empty() && cells.iter().all(|cell| (cell.2, cell.3) == (0, 0)), "{cells:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_alone_is_more_than_its_provider_takes_is_not_told_to_wait() {
    let proxy = proxy(&policy("faults: [ok]", "tpd: { inputTokens: 1, per: 1m }", ""));
    let refused = proxy.chat("m").await;
    assert_eq!(refused.refused(), (503, "no_provider_available".to_owned()));
    assert_eq!((refused.header("retry-after"), refused.header("x-should-retry")), (None, Some("false")));
    assert_eq!(proxy.chat("chat").await.header("x-egret-model"), Some("n"));
}

#[tokio::test(start_paused = true)]
async fn the_callers_own_limit_refuses_before_anything_is_taken_at_a_provider() {
    let own = "limits: { rpd: { requests: 1, per: 1m } }";
    let proxy = proxy(&policy("faults: [ok]", "tries: { requests: 9, per: day }", own));
    assert_eq!(proxy.chat("m").await.status, 200);
    assert_eq!(proxy.chat("m").await.refused(), (429, "rate_limit_exceeded".to_owned()));
    assert_eq!(cell(&proxy, "tries"), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn operators_see_whose_limit_it_is() {
    let proxy = proxy(&policy("faults: [ok]", RPM, "limits: { mine: { requests: 5, per: 1m } }"));
    proxy.chat("m").await;
    let usage = proxy.state.sight().usage();
    let limits = usage["limits"].as_array().unwrap();
    let of = |key: &str| limits.iter().find(|limit| limit["limit"] == key).unwrap();
    assert_eq!((&of("rpm")["provider"], &of("rpm")["used"]), (&json!("p"), &json!(1)));
    assert_eq!((&of("mine")["tenant"], of("rpm").get("tenant")), (&json!("app"), None));
    let metrics = proxy.state.shared.telemetry.metrics.render();
    let shown = metrics.lines().find(|line| line.starts_with("egret_limit_used") && line.contains("\"rpm\""));
    assert!(
        shown.is_some_and(|line| line.contains("egret_provider=\"p\"") && line.ends_with(" 1")),
        "{shown:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_first_target_without_room_does_not_make_the_next_at_its_provider_a_retry() {
    let each = "open: { concurrent: 1, each: model }";
    let proxy = proxy(&policy("faults: [ok]", each, "").replace("provider: q", "provider: p"));
    let hangs = tokio::time::timeout(secs(1), proxy.chat("chat").fault("stall=0").into_future());
    let others = async {
        quiet().await;
        for call in 0..100 {
            let answer = proxy.chat("chat").await;
            assert_eq!((answer.status, answer.header("x-egret-model")), (200, Some("n")), "call {call}");
        }
    };
    let (hung, ()) = tokio::join!(hangs, others);
    assert!(hung.is_err(), "it has its place all the while");
}
