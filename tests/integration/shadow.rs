//! Limits that only count: no caller feels them, operators see what they would do.

use egret::admin::Sight;
use serde_json::json;

use crate::support::*;

/// A dollar per million tokens of input and two of output; 100 tokens of output at most.
const PRICE: &str = "maxOutputTokens: 100, price: [{ inputPerMTok: \"1.00\", outputPerMTok: \"2.00\" }]";

/// A provider with these limits and a tenant with those; the model `free` has neither price nor bound.
fn policy(provider: &str, tenant: &str) -> String {
    format!(
        "providers: {{ p: {{ limits: {{ {provider} }}, mock: {{ says: \"one two three\" }} }} }}\n\
         models: {{ m: {{ provider: p, {PRICE} }}, free: {{ provider: p }} }}\n\
         tenants: {{ app: {{ local: true, access: {{ allow: [\"*\"] }}, {tenant} }} }}\n"
    )
}

fn used(proxy: &Proxy, key: &str) -> (u64, u64) {
    let cells = proxy.cells();
    let cell = cells.iter().find(|cell| cell.0 == key).unwrap_or_else(|| panic!("no {key} in {cells:?}"));
    (cell.2, cell.3)
}

const WEEK: &str = "limits: { week: { requests: 2, per: week, mode: shadow } }";

#[tokio::test(start_paused = true)]
async fn a_limit_in_shadow_refuses_nobody_and_tells_operators_whom_it_would() {
    let proxy = proxy(&policy("", WEEK));
    for call in 0..5 {
        let answer = proxy.chat("m").await;
        assert_eq!((answer.status, answer.header("x-ratelimit-limit-requests")), (200, None));
        let expected = if call < 2 { json!(null) } else { json!(["week"]) };
        assert_eq!(proxy.record()["would_refuse"], expected, "call {call}");
    }
    assert_eq!(used(&proxy, "week"), (5, 0));
    let metrics = proxy.state.sight().metrics();
    let series = "egret_limit_would_refuse_total{egret_limit=\"week\",egret_tenant=\"app\"} 3";
    assert!(metrics.lines().any(|line| line == series), "{metrics}");
    let usage = proxy.state.sight().usage();
    let week = &usage["limits"][0];
    assert_eq!((&week["mode"], &week["used"], &week["amount"]), (&json!("shadow"), &json!(5), &json!(2)));
}

#[tokio::test(start_paused = true)]
async fn turned_on_it_starts_from_its_count_at_most_the_limit() {
    let proxy = proxy(&policy("", "limits: { rpm: { requests: 4, per: 1m, mode: shadow } }"));
    for _ in 0..3 {
        proxy.chat("m").await;
    }
    let on = policy("", "limits: { rpm: { requests: 4, per: 1m } }");
    let off = policy("", "limits: { rpm: { requests: 4, per: 1m, mode: shadow } }");
    proxy.reload(&on);
    assert_eq!([proxy.chat("m").await.status, proxy.chat("m").await.status], [200, 429]);
    proxy.reload(&off);
    for _ in 0..20 {
        assert_eq!(proxy.chat("m").await.status, 200);
    }
    proxy.reload(&on);
    let refused = proxy.chat("m").await;
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (429, Some("15")),
        "it owes no more than the limit"
    );
    assert_eq!(used(&proxy, "rpm"), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_budget_in_shadow_changes_no_call_and_counts_what_has_a_price() {
    let month = "month: { usd: \"0.000001\", per: month, mode: shadow, budgetStatus: 402 }";
    let tenant = format!("reserveOutput: {{ cap: 1 }}, limits: {{ {month} }}");
    let proxy = proxy(&policy("", &tenant));
    let answer = proxy.chat("m").await;
    assert_eq!((answer.status, answer.header("x-egret-clamped")), (200, None), "no bound is written into it");
    let cost: f64 = answer.header("x-egret-cost-usd").unwrap().parse().unwrap();
    assert_eq!(used(&proxy, "month"), ((cost * 1e9).round() as u64, 0));
    assert_eq!(proxy.record()["would_refuse"], json!(["month"]));
    let before = used(&proxy, "month");
    assert_eq!(proxy.chat("free").await.status, 200, "a price is not needed");
    assert_eq!(used(&proxy, "month"), before, "and what has none counts nothing");
}

#[tokio::test(start_paused = true)]
async fn a_providers_limit_in_shadow_passes_nothing_over() {
    let proxy = proxy(&policy("rpm: { requests: 1, per: 1m, mode: shadow }", "limits: {}"));
    assert_eq!([proxy.chat("m").await.status, proxy.chat("m").await.status], [200, 200]);
    let records = proxy.records();
    assert_eq!(records[1]["would_refuse"], json!(["p/rpm"]));
    assert_eq!(records[1]["passed_over"], json!(null));
    let metrics = proxy.state.sight().metrics();
    let series = "egret_limit_would_refuse_total{egret_limit=\"rpm\",egret_provider=\"p\"} 1";
    assert!(metrics.lines().any(|line| line == series), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn calls_at_once_are_counted_in_shadow_to_their_end() {
    let proxy = proxy(&policy("", "limits: { open: { concurrent: 1, mode: shadow } }"));
    let answers = all((0..3).map(|_| proxy.stream("m"))).await;
    assert!(answers.iter().all(Answer::is_done));
    assert_eq!(used(&proxy, "open"), (0, 0));
    let told = proxy.records().iter().filter(|record| record["would_refuse"] == json!(["open"])).count();
    assert_eq!(told, 2);
}
