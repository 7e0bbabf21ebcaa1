//! What `/metrics` tells after real calls, and that the README tells the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use egret::admin::Sight;
use egret::ids::RequestId;
use egret::limits::{Amounts, Owner};
use egret::telemetry::record::{AttemptRecord, CallRecord, Destination, PassedOver};
use egret::telemetry::sampler::{Root, Sampler};
use egret::telemetry::semconv::Edition;
use egret::telemetry::spans::{Queue, Spans};
use egret::units::{NanoUsd, Tokens};
use egret::usage::Usage;
use opentelemetry::trace::SpanId;

use crate::leaving::Endless;
use crate::support::*;

/// Prometheus' text, read back.
pub(crate) struct Page(String);

impl Page {
    pub(crate) fn of(proxy: &Proxy) -> Self {
        Self(proxy.state.sight().metrics())
    }

    /// The sum of a metric's series that have all of these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let series = self.0.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (of, rest) = series.split_once('{').unwrap_or((series, ""));
            let wanted = of == name && labels.iter().all(|label| rest.contains(label));
            wanted.then(|| value.parse::<f64>().unwrap())
        });
        series.sum()
    }

    fn series(&self) -> usize {
        self.0.lines().filter(|line| !line.starts_with('#')).count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_fallback_is_two_attempts_of_one_call() {
    let proxy = proxy(&chain(&["{ status: { code: 503 } }", "ok"]));
    assert_eq!(proxy.chat("chat").await.text(), "hello from p2");
    let page = Page::of(&proxy);
    assert_eq!(page.sum("egret_calls_total", &[r#"egret_route="chat""#, r#"egret_outcome="answered""#]), 1.0);
    assert_eq!(page.sum("egret_attempts_total", &[r#"egret_provider="p1""#]), 1.0);
    assert_eq!(page.sum("egret_attempts_total", &[r#"egret_provider="p2""#, "answered"]), 1.0);
    assert_eq!(page.sum("egret_fallbacks_total", &[r#"egret_provider="p1""#, r#"egret_model="m1""#]), 1.0);
    assert_eq!(page.sum("gen_ai_client_inference_duration_seconds_count", &[r#"error_type="503""#]), 1.0);
    assert_eq!(page.sum("egret_call_overhead_seconds_count", &[]), 1.0);
    assert_eq!(page.sum("egret_upstream_connects_total", &[r#"result="opened""#]), 2.0);
    assert_eq!(page.sum("egret_upstream_connections", &[r#"state="active""#]), 0.0);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_callers_body_is_no_time_of_egret_whatever_comes_of_it() {
    let proxy = proxy(&chain(&["ok"]));
    let body = || Endless(Some(Bytes::from_static(b"{")));
    assert_eq!(proxy.chat("chat").open_with(body()).await.rest().await.status, 408);
    assert_eq!(proxy.post("/v1/nothing", "").open_with(body()).await.rest().await.status, 404);
    let page = Page::of(&proxy);
    assert_eq!(page.sum("egret_call_overhead_seconds_count", &[]), 2.0);
    assert_eq!(page.sum("egret_call_overhead_seconds_sum", &[]), 0.0);
}

#[tokio::test]
async fn waiting_for_a_stream_that_falls_silent_within_its_first_event_is_no_time_of_egret() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let raw = Raw::stalls(format!("{head}data: {{")).await;
    let proxy = proxy(&raw.policy("").replace("retry:", "timeouts: { firstToken: 1s }, retry:"));
    assert_eq!(proxy.stream("m").await.status, 504);
    let overhead = Page::of(&proxy).sum("egret_call_overhead_seconds_sum", &[]);
    assert!(overhead < 0.5, "{overhead} s");
}

#[tokio::test]
async fn an_answer_too_large_to_be_held_lasts_to_its_end() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9000001\r\n\r\n";
    let raw = Raw::stalls(format!("{head}{}", "x".repeat(9_000_000))).await;
    let proxy = proxy(&raw.policy("").replace("retry:", "timeouts: { answer: 1s }, retry:"));
    let mut answer = proxy.chat("m").open().await;
    while answer.next().await.is_some() {}
    let lasted = Page::of(&proxy).sum("gen_ai_client_inference_duration_seconds_sum", &[]);
    assert!(lasted >= 1.0, "{lasted} s");
}

#[tokio::test(start_paused = true)]
async fn a_stream_counts_when_it_has_ended() {
    let proxy = proxy(&format!(
        "providers: {{ p: {{ mock: {{ says: \"fine words here\", tokensPerSecond: 1 }} }} }}\n\
         models: {{ m: {{ provider: p }} }}\n{ANYONE}"
    ));
    let mut open = proxy.stream("m").open().await;
    open.next().await;
    let page = Page::of(&proxy);
    assert_eq!(page.sum("egret_upstream_connections", &[r#"state="active""#]), 1.0);
    assert_eq!(page.sum("egret_calls_in_flight", &[]), 1.0);
    assert_eq!(page.sum("egret_calls_total", &[]), 0.0);
    open.rest().await;
    quiet().await;
    let page = Page::of(&proxy);
    assert_eq!(page.sum("egret_calls_total", &[r#"egret_outcome="answered""#]), 1.0);
    assert_eq!(page.sum("egret_calls_in_flight", &[]), 0.0);
    for name in ["gen_ai_client_inference_time_to_first_chunk", "gen_ai_server_time_to_first_token"] {
        assert_eq!(page.sum(&format!("{name}_seconds_count"), &[]), 1.0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_and_one_that_is_refused_are_counted_as_such() {
    let proxy = proxy(&chain(&["{ stall: { afterChunks: 0 } }"]));
    drop(tokio::time::timeout(secs(1), proxy.chat("chat").into_future()).await);
    proxy.chat("nothing").await;
    quiet().await;
    let page = Page::of(&proxy);
    assert_eq!(page.sum("egret_calls_total", &[r#"egret_outcome="client_gone""#]), 1.0);
    assert_eq!(page.sum("egret_attempts_total", &[r#"egret_outcome="abandoned""#]), 1.0);
    assert_eq!(page.sum("egret_refusals_total", &[r#"egret_tenant="app""#]), 1.0);
}

#[tokio::test(start_paused = true)]
async fn limits_tell_where_they_stand_without_naming_callers() {
    let proxy = proxy(
        "providers: { p: { mock: {} } }\nmodels: { m: { provider: p }, n: { provider: p } }\n\
         tenants: { app: { local: true, access: { allow: [\"*\"] }, limits: {\n  \
         rpm: { requests: 10, per: 1m }, each: { requests: 5, per: 1m, each: model } } } }\n",
    );
    proxy.chat("m").await;
    proxy.chat("m").await;
    proxy.chat("n").await;
    let page = Page::of(&proxy);
    let of = |name: &str, limit: &str| page.sum(name, &[&format!(r#"egret_limit="{limit}""#)]);
    assert_eq!((of("egret_limit_used", "rpm"), of("egret_limit_available", "rpm")), (3.0, 7.0));
    assert_eq!((of("egret_limit_used", "each"), of("egret_limit_available", "each")), (2.0, 3.0));
    assert_eq!(of("egret_limit_cells", "each"), 2.0);
    assert!(!page.0.contains("egret_limit_cells{egret_each=\"tenant\""), "{}", page.0);
}

#[tokio::test(start_paused = true)]
async fn peer_bug_17_unknown_names_never_become_labels() {
    let proxy = proxy(&chain(&["ok"]));
    proxy.chat("unknown").await;
    let before = Page::of(&proxy).series();
    for number in 0..10_000 {
        proxy.chat(&format!("unknown-{number}")).await;
        if number % 1_000 == 0 {
            proxy.log_text();
        }
    }
    let page = Page::of(&proxy);
    assert_eq!(page.series(), before, "{}", page.0);
    assert_eq!(page.sum("egret_refusals_total", &[]), 10_001.0);
}

/// A record of which everything is known that can be counted.
fn everything() -> CallRecord {
    let to = Arc::new(Destination {
        provider: "p".into(),
        convention: "openai".into(),
        model: "m".into(),
        name: "m".into(),
        server: None,
    });
    let attempt = |outcome, status, first_chunk| AttemptRecord {
        destination: Arc::clone(&to),
        outcome,
        status: Some(status),
        held: Amounts::NONE,
        began: Duration::ZERO,
        duration: Duration::from_millis(1),
        lasted: Duration::from_millis(1),
        first_chunk,
        span: SpanId::INVALID,
    };
    let mut record = CallRecord::begun(RequestId::new(1), None);
    record.api = Some("chat");
    record.outcome = "answered";
    record.refusal = Some("limit");
    record.attempts.push(attempt("error_status", 503, None));
    record.attempts.push(attempt("answered", 200, Some(Duration::from_millis(1))));
    record.passed_over.push(PassedOver { destination: Arc::clone(&to), reason: "limit", at: Duration::ZERO });
    record.would_refuse.push((Owner::Tenant("app".into()), "l".into()));
    record.would_refuse.push((Owner::Provider("p".into()), "l".into()));
    let one = Tokens(1);
    record.usage = Some(Usage {
        input: one,
        cache_read: one,
        cache_write: one,
        input_audio: one,
        output: one,
        reasoning: one,
        output_audio: one,
    });
    record.cost = Some(NanoUsd(1));
    record.queued = Duration::from_millis(1);
    record.first_byte = Some(Duration::from_millis(1));
    record
}

/// The labels that the README calls those of an attempt.
const ATTEMPT: [&str; 5] = [
    "egret_tenant",
    "egret_provider",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "gen_ai_operation_name",
];

/// Every metric with its kind, its labels and what it says of itself, as rows of a Markdown table.
fn table(page: &Page) -> String {
    let mut rows: BTreeMap<&str, (&str, &str, BTreeSet<&str>)> = BTreeMap::new();
    let (mut name, mut help) = ("", "");
    for line in page.0.lines() {
        if let Some(of) = line.strip_prefix("# HELP ") {
            (name, help) = of.split_once(' ').unwrap();
        } else if let Some((_, kind)) = line.strip_prefix("# TYPE ").and_then(|of| of.split_once(' ')) {
            rows.insert(name, (kind, help, BTreeSet::new()));
        } else if let Some((_, labels)) = line.split_once('{') {
            // Values of this test hold no comma.
            let labels = labels.split(',').filter_map(|label| label.split_once('=')).map(|(label, _)| label);
            rows.get_mut(name).unwrap().2.extend(labels.filter(|label| *label != "le"));
        }
    }
    let row = |(name, (kind, help, labels)): (&str, (&str, &str, BTreeSet<&str>))| {
        // Those that every metric of an attempt has are written once.
        let common = ATTEMPT.iter().all(|label| labels.contains(label));
        let rest = labels.iter().filter(|label| !common || !ATTEMPT.contains(label));
        let first = common.then(|| "*attempt*".to_owned());
        let labels: Vec<String> = first.into_iter().chain(rest.map(|label| format!("`{label}`"))).collect();
        format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", "))
    };
    rows.into_iter().map(row).collect()
}

#[tokio::test(start_paused = true)]
async fn the_readme_lists_every_metric_as_it_is() {
    let spans = Spans::new(Sampler::Root(Root::AlwaysOn), Edition::Both, Queue::new(100));
    let proxy = Start { spans: Some(spans), ..Start::default() }.proxy(
        "providers: { p: { mock: {}, limits: { l: { concurrent: 1, each: model } } } }\nmodels: { m: { provider: p } }\n\
         tenants: { app: { local: true, access: { allow: [\"*\"] }, limits: { l: { concurrent: 1, each: model } } } }\n",
    );
    proxy.chat("m").await;
    proxy.state.shared.telemetry.metrics.note(&everything());
    let table = table(&Page::of(&proxy));
    let readme = include_str!("../../README.md");
    assert!(readme.contains(&table), "the README's table is not what /metrics tells, which is\n{table}");
}
