//! Limits of tokens and money: what is held, what each end costs, and what the caller hears.

use egret::admin::Sight as _;
use serde_json::Value;

use crate::support::*;

/// A price of a dollar per million tokens of input and two of output; a model of 100 tokens at most.
const PRICE: &str = "maxOutputTokens: 100, price: [{ inputPerMTok: \"1.00\", outputPerMTok: \"2.00\" }]";

/// One provider with this script, and a tenant with these limits and whatever else it says.
fn policy(mock: &str, limits: &str, tenant: &str) -> String {
    format!(
        "providers: {{ p: {{ mock: {{ says: \"one two three\", {mock} }} }}, q: {{ mock: {{ says: \"four\" }} }} }}\n\
         models: {{ m: {{ provider: p, {PRICE} }}, n: {{ provider: q, {PRICE} }} }}\n\
         routes: {{ chat: {{ targets: [{{ model: m }}, {{ model: n }}] }} }}\n\
         tenants: {{ app: {{ local: true, access: {{ allow: [\"*\"] }}, limits: {{ {limits} }}, {tenant} }} }}\n"
    )
}

/// Used and held of the only limit.
fn cell(proxy: &Proxy) -> (u64, u64) {
    let cells = proxy.cells();
    assert_eq!(cells.len(), 1, "{cells:?}");
    (cells[0].2, cells[0].3)
}

fn total(usage: &Value) -> u64 {
    usage["total_tokens"].as_u64().unwrap()
}

const TOKENS: &str = "tpd: { tokens: 1000, per: day }";

#[tokio::test(start_paused = true)]
async fn a_call_costs_what_its_provider_reports_and_holds_nothing_afterwards() {
    let proxy = proxy(&policy("faults: [ok]", TOKENS, ""));
    let plain = proxy.chat("m").await.json();
    let first = total(&plain["usage"]);
    assert_eq!(cell(&proxy), (first, 0));
    assert!(proxy.stream("m").await.is_done());
    let record = &proxy.records()[1];
    let second = record["usage"]["total"].as_u64().unwrap();
    assert!(second > 0);
    assert_eq!(cell(&proxy), (first + second, 0));
}

#[tokio::test(start_paused = true)]
async fn money_is_charged_to_the_nano_dollar_that_the_answer_names() {
    let proxy = proxy(&policy("faults: [ok]", "day: { usd: \"1.00\", per: day }", ""));
    let answer = proxy.chat("m").await;
    let cost: f64 = answer.header("x-egret-cost-usd").unwrap().parse().unwrap();
    assert_eq!(cell(&proxy), ((cost * 1e9).round() as u64, 0));
}

#[tokio::test(start_paused = true)]
async fn peer_bug_01_of_many_callers_at_once_exactly_those_are_admitted_for_whom_there_is_room() {
    // Each call holds its input and 100 tokens of output, and uses far less: nobody is admitted beyond the room.
    let proxy = proxy(&policy("latency: 1s", TOKENS, ""));
    let lone = async { proxy.chat("m").await.json() };
    let looks = async {
        quiet().await;
        cell(&proxy).1
    };
    let (first, held) = tokio::join!(lone, looks);
    let before = total(&first["usage"]);
    // One report of usage changes the estimate by little: not by the token that would make room for another.
    let room = (1000 - before) / held;
    let answers = all((0..64).map(|_| proxy.chat("m"))).await;
    let admitted = answers.iter().filter(|answer| answer.status == 200).count() as u64;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    let used: u64 = answers.iter().filter(|a| a.status == 200).map(|a| total(&a.json()["usage"])).sum();
    assert_eq!(admitted, room, "of 64, each of which holds {held}");
    assert!(refused.iter().all(|answer| answer.refused() == (429, "insufficient_quota".to_owned())));
    assert_eq!(cell(&proxy), (before + used, 0));
}

#[tokio::test(start_paused = true)]
async fn peer_bug_02_every_path_is_charged_in_tokens_and_in_money() {
    let limits = "tokens: { tokens: 100000, per: day }, money: { usd: \"1.00\", per: day }";
    let proxy = proxy(&policy("faults: [ok]", limits, ""));
    let used = || proxy.cells().into_iter().map(|(_, _, used, held)| (used, held)).collect::<Vec<_>>();
    let (mut tokens, mut money) = (0, 0);
    for (path, body) in [
        ("chat/completions", r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#),
        ("chat/completions", r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#),
        ("completions", r#"{"model":"m","prompt":"hi"}"#),
        ("completions", r#"{"model":"m","prompt":"hi","stream":true}"#),
        ("embeddings", r#"{"model":"m","input":"one two"}"#),
        ("responses", r#"{"model":"m","input":"hi"}"#),
        ("responses", r#"{"model":"m","input":"hi","stream":true}"#),
    ] {
        assert_eq!(proxy.post(&format!("/v1/{path}"), body).await.status, 200, "{path}");
        let usage = &proxy.record()["usage"];
        let (input, all) = (usage["input"].as_u64().unwrap(), usage["total"].as_u64().unwrap());
        assert!(all > 0, "{path} {body}");
        tokens += all;
        // In nano-dollars: 1,000 for a token of input, 2,000 for one of output.
        money += 1_000 * input + 2_000 * (all - input);
        assert_eq!(used(), [(money, 0), (tokens, 0)], "{path} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn peer_bug_03_a_spent_budget_is_an_account_without_money_and_no_sdk_tries_again() {
    let proxy = proxy(&policy("faults: [ok]", "day: { tokens: 150, per: day }", ""));
    assert_eq!(proxy.chat("m").await.status, 200);
    while proxy.chat("m").await.status == 200 {}
    let answer = proxy.chat("m").await;
    assert_eq!(answer.refused(), (429, "insufficient_quota".to_owned()));
    assert_eq!(answer.json()["error"]["type"], "insufficient_quota");
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert_eq!(answer.header("retry-after"), None);
    assert!(answer.message().contains("150 tokens per day"), "{}", answer.message());
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_is_a_402_where_the_policy_says_so() {
    let proxy = proxy(&policy(
        "faults: [ok]",
        "day: { tokens: 20, per: day, budgetStatus: 402 }",
        "reserveOutput: { expect: 1 }",
    ));
    while proxy.chat("m").await.status == 200 {}
    assert_eq!(proxy.chat("m").await.refused(), (402, "payment_required".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_rate_of_tokens_names_the_wait_and_keeps_it() {
    let proxy = proxy(&policy("faults: [ok]", "tpm: { tokens: 150, per: 1m }", ""));
    let answer = loop {
        let answer = proxy.chat("m").await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!(answer.refused(), (429, "rate_limit_exceeded".to_owned()));
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    let left: u64 = answer.header("x-ratelimit-remaining-tokens").unwrap().parse().unwrap();
    assert!((1..150).contains(&left), "there is room, but not enough: {left}");
    tokio::time::sleep(secs(wait)).await;
    assert_eq!(proxy.chat("m").await.status, 200, "who waits so long finds room");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_provider_costs_nothing_and_the_next_target_is_charged() {
    let proxy = proxy(&policy("faults: [{ status: { code: 503 } }]", TOKENS, ""));
    let answer = proxy.chat("chat").await;
    assert_eq!(answer.header("x-egret-model"), Some("n"));
    assert_eq!(cell(&proxy), (total(&answer.json()["usage"]), 0));
    let alone = proxy.chat("m").await;
    assert_eq!(alone.status, 503);
    assert_eq!(cell(&proxy).0, total(&answer.json()["usage"]));
}

#[tokio::test(start_paused = true)]
async fn a_try_that_was_given_up_costs_what_the_policy_says() {
    const NEVER: &str = "faults: [{ stall: { afterChunks: 0 } }]";
    let used = async |abandoned: &str| {
        let policy = policy(NEVER, TOKENS, abandoned);
        let proxy = proxy(&format!(
            "{policy}defaults: {{ timeouts: {{ answer: 5s }}, retry: {{ maxAttempts: 1 }} }}\n"
        ));
        assert_eq!(proxy.chat("m").await.status, 504);
        cell(&proxy)
    };
    let (input, held) = used("").await;
    assert!(input > 0 && held == 0);
    assert_eq!(used("onAbandoned: input").await, (input, 0));
    assert_eq!(used("onAbandoned: nothing").await, (0, 0));
    assert_eq!(used("onAbandoned: reservation").await, (input + 100, 0));
}

#[tokio::test(start_paused = true)]
async fn peer_bug_11_a_caller_that_leaves_a_stream_pays_for_its_input_and_what_came() {
    let proxy = proxy(&policy("tokens: 50, faults: [{ stall: { afterChunks: 4 } }]", TOKENS, ""));
    let mut reading = proxy.stream("m").open().await;
    reading.next().await;
    quiet().await;
    assert!(cell(&proxy).1 >= 100, "held while it runs");
    drop(reading);
    quiet().await;
    let (used, held) = cell(&proxy);
    assert_eq!(held, 0);
    assert!((5..100).contains(&used), "its input and a few words: {used}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_a_plain_call_pays_for_what_it_held() {
    let proxy = proxy(&policy("latency: 10s", TOKENS, ""));
    assert!(tokio::time::timeout(secs(1), proxy.chat("m").into_future()).await.is_err());
    quiet().await;
    let (used, held) = cell(&proxy);
    assert!(used > 100 && held == 0, "{used}");
}

#[tokio::test(start_paused = true)]
async fn a_bound_is_written_into_a_call_that_names_none_and_said() {
    let proxy = proxy(&policy("faults: [ok]", TOKENS, "reserveOutput: { cap: 7 }"));
    let answer = proxy.chat("m").await;
    assert_eq!(answer.header("x-egret-clamped"), Some("7"));
    let named = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":9}"#;
    let answer = proxy.post("/v1/chat/completions", named).await;
    assert_eq!(answer.header("x-egret-clamped"), None, "what the caller names stays");
}

#[tokio::test(start_paused = true)]
async fn what_a_call_used_beyond_its_reservation_is_debt_and_refuses_the_next() {
    // Three words at least, of which one is expected.
    let proxy =
        proxy(&policy("faults: [ok]", "tpd: { outputTokens: 2, per: day }", "reserveOutput: { expect: 1 }"));
    assert_eq!(proxy.chat("m").await.status, 200);
    let (used, held) = cell(&proxy);
    assert!(used > 2 && held == 0, "{used}");
    assert_eq!(proxy.chat("m").await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn peer_bug_04_what_was_spent_outlives_a_reload() {
    let before = policy("faults: [ok]", TOKENS, "");
    let proxy = proxy(&before);
    proxy.chat("m").await;
    let spent = cell(&proxy);
    proxy.reload(&policy("faults: [ok]", "tpd: { tokens: 5000, per: day }", ""));
    assert_eq!(cell(&proxy), spent);
}

#[tokio::test(start_paused = true)]
async fn the_policy_that_the_readme_runs_answers_four_calls_and_refuses_the_fifth() {
    let text = include_str!("../../policies/budget.yaml");
    let (_, text) = text.split_once("allowMock: true").unwrap();
    let (_, text) = text.split_once('\n').unwrap();
    let proxy = proxy(text);
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(proxy.chat("gpt-4.1").await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 429]);
}

#[tokio::test(start_paused = true)]
async fn a_window_of_the_calendar_is_a_warning_while_counts_are_in_memory() {
    let warned = |limits: &str| {
        let proxy = proxy(&policy("faults: [ok]", limits, ""));
        proxy.state.shared.store.status().warnings
    };
    assert!(warned("tpm: { tokens: 1000, per: 1m }").is_empty());
    let [warning] =
        warned("a: { tokens: 1000, per: day }, b: { usd: \"1.00\", per: month }").try_into().unwrap();
    assert!(warning.contains("limit `a` of tenant `app`, and 1 more"), "{warning}");
    assert!(warning.contains("a restart starts them anew"), "{warning}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_learns_where_it_stands_with_its_tokens_and_a_plain_answer_counts_as_used() {
    let limits =
        "rpm: { requests: 10, per: 1m }, tpm: { tokens: 1000, per: 1m }, tpd: { tokens: 900, per: day }";
    let proxy = proxy(&policy("faults: [ok]", limits, ""));
    let answer = proxy.chat("m").await;
    let left = 900 - total(&answer.json()["usage"]);
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("9"));
    assert_eq!(answer.header("x-ratelimit-limit-tokens"), Some("900"), "of two the tighter");
    assert_eq!(answer.header("x-ratelimit-remaining-tokens"), Some(left.to_string().as_str()));
    assert_eq!(
        answer.header("ratelimit-policy"),
        Some("\"rpm\";q=10;w=60, \"tpd\";q=900;qu=\"tokens\";w=86400")
    );

    // A stream's head cannot know what it will use: all that is held for it counts.
    let stream = proxy.stream("m").open().await;
    let told: u64 = stream.headers["x-ratelimit-remaining-tokens"].to_str().unwrap().parse().unwrap();
    assert!(told <= left - 100, "{told} of {left}");
}

#[tokio::test(start_paused = true)]
async fn what_is_held_of_an_answer_follows_what_earlier_ones_had() {
    let proxy = proxy(&policy(
        "latency: 1s",
        "tpd: { tokens: 100000, per: day }",
        "reserveOutput: { expect: learned }",
    ));
    let held = async || {
        let asked = async { proxy.chat("m").await.status };
        let looks = async {
            quiet().await;
            cell(&proxy).1
        };
        tokio::join!(asked, looks).1
    };
    let first = held().await;
    assert!(first > 100, "all that it may write: {first}");
    for _ in 0..8 {
        assert!(held().await > 100);
    }
    held().await;
    let learned = held().await;
    assert!(learned < 60, "three words are what it writes: {learned}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_tells_what_it_cost_in_its_body_only_where_the_policy_asks() {
    let asking = proxy(&policy("faults: [ok]", TOKENS, "annotate: true"));
    let answer = asking.chat("m").await;
    let (body, record) = (answer.json(), asking.record());
    let note = &body["egret"];
    assert_eq!(note["model"], "m");
    assert_eq!(note["provider"], "p");
    assert_eq!(note["attempts"], 1);
    assert_eq!(note["request_id"].as_str(), answer.header("x-request-id"));
    assert_eq!(note["cost_usd"].as_str(), answer.header("x-egret-cost-usd"));
    assert_eq!(note["input_tokens"], body["usage"]["prompt_tokens"]);
    assert_eq!(note["output_tokens"], body["usage"]["completion_tokens"]);
    assert_eq!(record["bytes_out"], answer.body.len());
    assert!(!asking.stream("m").await.raw().contains("\"egret\""));

    let proxy = proxy(&policy("faults: [ok]", TOKENS, ""));
    assert_eq!(proxy.chat("m").await.json().get("egret"), None);
}

#[tokio::test(start_paused = true)]
async fn operators_see_where_a_limit_was_written_and_how_far_a_call_may_go_beyond_it() {
    let limits = "tpm: { tokens: 100000, per: 1m }, rpm: { requests: 9, per: 1m }, \
                  day: { usd: \"1.00\", per: day, timeZone: Europe/Berlin }";
    let asked = |tenant: &str| {
        let policy = policy("faults: [ok]", limits, tenant);
        proxy(&policy.replace("maxOutputTokens", "contextTokens: 1000, maxOutputTokens"))
    };
    let page = |proxy: &Proxy| proxy.state.sight().policy()["limits"].clone();
    let proxy = asked("");
    let limits = page(&proxy);
    let keys: Vec<_> =
        limits.as_array().unwrap().iter().map(|limit| limit["limit"].as_str().unwrap()).collect();
    assert_eq!(keys, ["day", "rpm", "tpm"]);
    assert_eq!(limits[0]["tenant"], "app");
    assert_eq!(limits[0]["amount"], "1");
    assert_eq!((&limits[0]["window"], &limits[0]["timeZone"]), (&"day".into(), &"Europe/Berlin".into()));
    assert!(limits[0]["place"].as_str().unwrap().starts_with("policy.yaml:"), "{limits}");
    assert_eq!(proxy.chat("m").await.status, 200);
    let cells = proxy.state.sight().usage()["limits"].clone();
    for at in 0..3 {
        assert_eq!((&cells[at]["limit"], &cells[at]["place"]), (&limits[at]["limit"], &limits[at]["place"]));
    }
    // A calibrated estimate of the input may be too low by a whole window; the output is what the call may write.
    assert_eq!(limits[2]["overrun"], 1000);
    assert_eq!(limits[1]["overrun"], 0);
    assert_eq!(limits[0]["overrun"], "0.001", "a thousand tokens at a dollar a million");
    assert_eq!(page(&asked("estimate: upperBound"))[2]["overrun"], 0);
    assert_eq!(page(&asked("reserveOutput: { expect: 5 }, estimate: upperBound"))[2]["overrun"], 100);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_back_of_a_budget_takes_what_calls_use_beyond_their_reservation() {
    // Three words at least, of which one is expected: what comes beyond lands in the half that no call is granted.
    let proxy = proxy(&policy(
        "faults: [ok]",
        "tpd: { outputTokens: 10, per: day, reserveBuffer: 50% }",
        "reserveOutput: { expect: 1 }",
    ));
    assert_eq!([proxy.chat("m").await.status, proxy.chat("m").await.status], [200, 200]);
    let (used, held) = cell(&proxy);
    assert!((5..=10).contains(&used) && held == 0, "beyond what is granted, within the limit: {used}");
    assert_eq!(proxy.chat("m").await.status, 429);
    let usage = proxy.state.sight().usage();
    let limit = &usage["limits"][0];
    assert_eq!((limit["amount"].as_u64(), limit["keptBack"].as_u64()), (Some(10), Some(5)));
    assert_eq!(limit["debt"].as_u64(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_more_than_may_be_granted_is_told_what_is_kept_back() {
    let limit = "tpd: { inputTokens: 4, per: day, reserveBuffer: 50% }";
    let proxy = proxy(&policy("faults: [ok]", limit, "estimate: upperBound"));
    let message = proxy.chat("m").await.message();
    let start = "Limit `tpd` of tenant `app` is 4 input tokens per day, of which 2 input tokens are kept back, and this";
    assert!(message.starts_with(start), "{message}");
}
