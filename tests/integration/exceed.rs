//! What happens beyond a limit: less output, a turn in the line, another model.

use serde_json::{Value, json};

use crate::support::*;

/// A price of a dollar per million tokens of input and two of output; a model of 1,000 tokens at most.
const PRICE: &str = "maxOutputTokens: 1000, price: [{ inputPerMTok: \"1.00\", outputPerMTok: \"2.00\" }]";

/// Two providers, of which the first has this script, a route through both, and a tenant with these limits.
fn policy(mock: &str, limits: &str, tenant: &str) -> String {
    format!(
        "providers: {{ p: {{ mock: {{ says: \"one two three\", {mock} }} }}, q: {{ mock: {{ says: \"four\" }} }} }}\n\
         models: {{ m: {{ provider: p, {PRICE} }}, n: {{ provider: q, {PRICE} }} }}\n\
         routes: {{ chat: {{ targets: [{{ model: m }}, {{ model: n }}] }} }}\n\
         tenants: {{ app: {{ local: true, access: {{ allow: [\"*\"] }}, limits: {{ {limits} }}, {tenant} }} }}\n"
    )
}

/// Asks for a chat with these fields more.
async fn chat(proxy: &Proxy, model: &str, more: Value) -> Answer {
    let mut body = json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    proxy.post("/v1/chat/completions", body.to_string()).await
}

/// The tokens to which an answer was bounded.
fn clamped(answer: &Answer) -> Option<u64> {
    answer.header("x-egret-clamped").map(|tokens| tokens.parse().unwrap())
}

/// The bodies that a provider was asked.
fn asked(proxy: &Proxy, provider: &str) -> Vec<Value> {
    proxy.seen(provider).iter().map(|seen| serde_json::from_slice(&seen.body).unwrap()).collect()
}

/// Used and held of a limit.
fn cell(proxy: &Proxy, key: &str) -> (u64, u64) {
    let cells = proxy.cells();
    let cell = cells.iter().find(|cell| cell.0 == key).unwrap_or_else(|| panic!("no {key} in {cells:?}"));
    (cell.2, cell.3)
}

const CLAMP: &str = "onExceed: { clamp: { atLeast: 50 } }";

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_fit_writes_what_there_is_room_for() {
    let proxy = proxy(&policy("latency: 1s", &format!("tpd: {{ tokens: 700, per: day, {CLAMP} }}"), ""));
    let first = proxy.chat("m");
    let looks = async {
        quiet().await;
        cell(&proxy, "tpd").1
    };
    let (answer, held) = tokio::join!(first, looks);
    let bound = clamped(&answer).unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(held, 700, "all the room, to the token");
    assert!((600..700).contains(&bound), "{bound}");
    assert_eq!(asked(&proxy, "p")[0]["max_tokens"], bound);
}

#[tokio::test(start_paused = true)]
async fn a_bound_that_the_caller_names_is_lowered_in_its_own_field_and_never_raised() {
    let limit = format!("tpd: {{ outputTokens: 700, per: day, {CLAMP} }}");
    let proxy = proxy(&policy("latency: 1s", &limit, ""));
    let answer = chat(&proxy, "m", json!({ "max_tokens": 900 })).await;
    assert_eq!((answer.status, clamped(&answer)), (200, Some(700)));
    let answer = chat(&proxy, "m", json!({ "max_tokens": 90 })).await;
    assert_eq!((answer.status, clamped(&answer)), (200, None));
    let bounds: Vec<_> = asked(&proxy, "p").iter().map(|body| body["max_tokens"].clone()).collect();
    assert_eq!(bounds, [700, 90]);
}

#[tokio::test(start_paused = true)]
async fn several_answers_share_the_room() {
    let proxy =
        proxy(&policy("latency: 1s", &format!("tpd: {{ outputTokens: 700, per: day, {CLAMP} }}"), ""));
    let answer = chat(&proxy, "m", json!({ "n": 3 })).await;
    assert_eq!((answer.status, clamped(&answer)), (200, Some(233)));
}

#[tokio::test(start_paused = true)]
async fn below_the_least_answer_a_call_is_refused_and_told_when_that_will_fit() {
    let limit = format!("tpm: {{ outputTokens: 60, per: 1m, {CLAMP} }}");
    let proxy = proxy(&policy("latency: 1s", &limit, "onMissingUsage: estimate"));
    let (first, second) = tokio::join!(proxy.chat("m"), async {
        quiet().await;
        chat(&proxy, "m", json!({ "max_tokens": 1000 })).await
    });
    assert_eq!((first.status, clamped(&first)), (200, Some(60)));
    assert_eq!(second.refused(), (429, "rate_limit_exceeded".to_owned()));
    // 60 are held, of which 50 have to leak: the whole call would never fit.
    assert_eq!(second.header("retry-after"), Some("50"), "{}", second.message());
}

#[tokio::test(start_paused = true)]
async fn money_bounds_output_by_the_price_and_is_never_passed() {
    // 0.0005 dollars buy 250 tokens of output, less the input's worth.
    let limit = format!("day: {{ usd: \"0.0005\", per: day, {CLAMP} }}");
    let proxy = proxy(&policy("latency: 1s", &limit, ""));
    let looks = async {
        quiet().await;
        cell(&proxy, "day").1
    };
    let (answer, held) = tokio::join!(proxy.chat("m"), looks);
    let bound = clamped(&answer).unwrap();
    assert!((200..250).contains(&bound), "{bound}");
    assert!(held <= 500_000 && held + 2_000 > 500_000, "a token more would not fit: {held}");
}

#[tokio::test(start_paused = true)]
async fn of_several_limits_the_smallest_room_bounds_and_one_that_refuses_still_does() {
    let clamps = |name: &str, unit: &str| format!("{name}: {{ {unit}, per: day, {CLAMP} }}, ");
    let limits =
        clamps("a", "tokens: 900") + &clamps("b", "outputTokens: 500") + &clamps("c", "usd: \"0.0015\"");
    let proxy = proxy(&policy("latency: 1s", &limits, ""));
    assert_eq!(clamped(&proxy.chat("m").await), Some(500));
    proxy.reload(&policy(
        "",
        &format!("{limits} d: {{ outputTokens: 400, per: day }}"),
        "reserveOutput: { cap: 400 }",
    ));
    assert_eq!(chat(&proxy, "m", json!({ "max_tokens": 800 })).await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_is_bounded_by_what_is_left_for_it() {
    let limit = format!("tpd: {{ outputTokens: 700, per: day, {CLAMP} }}");
    let faults = "faults: [{ status: { code: 503 } }]";
    let proxy = proxy(&policy(faults, &limit, ""));
    let answer = chat(&proxy, "chat", json!({ "max_tokens": 900 })).await;
    assert_eq!((answer.header("x-egret-model"), clamped(&answer)), (Some("n"), Some(700)));
    assert_eq!(asked(&proxy, "q")[0]["max_tokens"], 700);
}

#[tokio::test(start_paused = true)]
async fn an_operation_without_output_is_not_clamped() {
    let limit = format!("tpd: {{ tokens: 60, per: day, {CLAMP} }}");
    let proxy = proxy(&policy("faults: [ok]", &limit, ""));
    let input = "word ".repeat(1_000);
    let answer = proxy.post("/v1/embeddings", json!({ "model": "m", "input": input }).to_string()).await;
    assert_eq!(answer.refused(), (429, "insufficient_quota".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn of_many_that_are_clamped_at_once_all_together_stay_within_the_limit() {
    let limit = format!("tpd: {{ outputTokens: 2500, per: day, {CLAMP} }}");
    let proxy = proxy(&policy("latency: 1s", &limit, ""));
    let looks = async {
        quiet().await;
        cell(&proxy, "tpd")
    };
    let (answers, held) = tokio::join!(all((0..16).map(|_| proxy.chat("m"))), looks);
    assert_eq!(held, (0, 2_500));
    let mut bounds: Vec<_> = answers.iter().filter(|answer| answer.status == 200).map(clamped).collect();
    bounds.sort_unstable();
    assert_eq!(bounds, [None, None, Some(500)]);
}

const DOWNGRADE: &str = "onExceed: { downgrade: { to: n } }";

#[tokio::test(start_paused = true)]
async fn beyond_a_limit_a_call_is_served_by_way_of_another_route_which_the_limit_does_not_count() {
    let limit = format!("rpd: {{ requests: 2, per: day, {DOWNGRADE} }}");
    let proxy = proxy(&policy("", &limit, ""));
    let answers =
        [proxy.chat("m").await, proxy.chat("m").await, proxy.chat("m").await, proxy.chat("m").await];
    let models: Vec<_> = answers.iter().map(|answer| answer.header("x-egret-model").unwrap()).collect();
    assert_eq!(models, ["m", "m", "n", "n"]);
    assert_eq!(cell(&proxy, "rpd"), (2, 0));
    let records = proxy.records();
    assert_eq!(records[1].get("downgraded_to"), None);
    assert_eq!((&records[2]["route"], &records[2]["downgraded_to"]), (&json!("m"), &json!("n")));
    assert_eq!((&records[2]["model"], &records[2]["attempts"].as_array().unwrap().len()), (&json!("n"), &1));
    assert_eq!(proxy.chat("n").await.status, 200, "asked for by its name it is not counted either");
    assert_eq!(cell(&proxy, "rpd"), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn every_other_limit_counts_the_calls_that_were_downgraded() {
    let limits = format!("few: {{ requests: 1, per: day, {DOWNGRADE} }}, all: {{ requests: 3, per: day }}");
    let proxy = proxy(&policy("", &limits, ""));
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(proxy.chat("m").await);
    }
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert_eq!((cell(&proxy, "few"), cell(&proxy, "all")), ((1, 0), (3, 0)));
    assert!(answers[3].message().contains("`all` of tenant `app`"), "{}", answers[3].message());
}

#[tokio::test(start_paused = true)]
async fn a_call_is_downgraded_once_and_clamped_there() {
    let limits = format!(
        "a: {{ requests: 1, per: day, {DOWNGRADE} }}, b: {{ outputTokens: 700, per: 1m, {CLAMP} }}, \
         c: {{ requests: 3, per: day, onExceed: {{ downgrade: {{ to: m }} }} }}"
    );
    let proxy = proxy(&policy("", &limits, ""));
    // By way of `m` only the first two count, by way of `n` only the last two.
    assert_eq!(proxy.chat("m").await.header("x-egret-model"), Some("m"));
    let clamped_there = proxy.chat("m").await;
    assert_eq!(clamped_there.header("x-egret-model"), Some("n"));
    assert!(clamped(&clamped_there).is_some());
    for _ in 0..2 {
        assert_eq!(proxy.chat("m").await.header("x-egret-model"), Some("n"));
    }
    let refused = proxy.chat("m").await;
    assert!(refused.message().contains("`c` of tenant `app`"), "{}", refused.message());
}

#[tokio::test(start_paused = true)]
async fn a_route_is_left_only_when_none_of_its_targets_has_room() {
    let limit = "rpd: { requests: 1, per: day, each: model, onExceed: { downgrade: { to: spare } } }";
    let text = policy("", limit, "").replace("models: {", "models: { spare: { provider: q, name: other },");
    let proxy = proxy(&text);
    let mut models = Vec::new();
    for _ in 0..3 {
        models.push(proxy.chat("chat").await.header("x-egret-model").unwrap().to_owned());
    }
    assert_eq!(models, ["m", "n", "spare"]);
}

#[tokio::test(start_paused = true)]
async fn beyond_a_budget_of_money_a_model_without_a_price_serves() {
    let limit = "day: { usd: \"0.0021\", per: day, onExceed: { downgrade: { to: spare } } }";
    let text = policy("", limit, "").replace("models: {", "models: { spare: { provider: q, name: other },");
    let proxy = proxy(&text);
    let (first, second) = tokio::join!(proxy.chat("m"), proxy.chat("m"));
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(second.header("x-egret-model"), Some("spare"));
}

#[tokio::test(start_paused = true)]
async fn where_the_other_way_lacks_the_operation_or_the_callers_state_the_limit_refuses() {
    let limit = "rpd: { requests: 1, per: day, onExceed: { downgrade: { to: n } } }";
    let text = policy("", limit, "");
    let lacking = text.replace("q: { mock", "q: { apis: [embeddings], mock");
    let without = proxy(&lacking);
    assert_eq!(without.chat("m").await.status, 200);
    assert_eq!(without.chat("m").await.refused(), (429, "insufficient_quota".to_owned()));
    let proxy = proxy(&text);
    let body = json!({ "model": "m", "input": "hi", "previous_response_id": "resp_1" }).to_string();
    assert_eq!(proxy.post("/v1/responses", body.clone()).await.status, 200);
    assert_eq!(proxy.post("/v1/responses", body).await.status, 429, "another provider knows no such id");
    assert_eq!(proxy.chat("m").await.status, 200);
}
