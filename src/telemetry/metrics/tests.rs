//! Each instrument moves as it should, and no name becomes a label that the policy does not know.

use std::sync::Arc;

use opentelemetry::trace::SpanId;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use parking_lot::Mutex;
use proptest::prelude::*;

use super::*;
use crate::clock::Instant;
use crate::ids::RequestId;
use crate::limits::Amounts;
use crate::telemetry::Telemetry;
use crate::telemetry::record::{Destination, PassedOver};
use crate::units::{NanoUsd, Tokens};
use crate::usage::Usage;

const MINUTE: Duration = Duration::from_secs(60);

/// Keeps the names of what is pushed.
#[derive(Clone, Default)]
struct Pushes(Arc<Mutex<Vec<String>>>);

impl PushMetricExporter for Pushes {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let names =
            metrics.scope_metrics().flat_map(|scope| scope.metrics().map(|metric| metric.name().to_owned()));
        self.0.lock().extend(names);
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

fn metrics(edition: Edition) -> Metrics {
    Metrics::new(edition, Resource::builder_empty().build(), None::<(Pushes, Duration)>)
}

fn destination(provider: &str, model: &str) -> Arc<Destination> {
    Arc::new(Destination {
        provider: provider.into(),
        convention: "openai".into(),
        model: model.into(),
        name: format!("{model}-2026").into(),
        server: None,
    })
}

fn attempt(to: &Arc<Destination>, outcome: &'static str, status: Option<u16>) -> AttemptRecord {
    AttemptRecord {
        destination: Arc::clone(to),
        outcome,
        status,
        held: Amounts::NONE,
        began: Duration::ZERO,
        duration: Duration::from_millis(30),
        lasted: Duration::from_millis(30),
        first_chunk: None,
        span: SpanId::INVALID,
    }
}

/// A plain call that `p`'s model `m` answered, with a usage of 8 and 5 tokens.
fn answered() -> CallRecord {
    let mut record = CallRecord::begun(RequestId::new(1), None);
    record.tenant = Some("app".into());
    record.route = Some("chat".into());
    record.api = Some("chat");
    record.status = 200;
    record.outcome = "answered";
    record.attempts.push(attempt(&destination("p", "m"), "answered", Some(200)));
    record.usage = Some(Usage { input: Tokens(8), output: Tokens(5), ..Usage::default() });
    record.duration = Duration::from_millis(50);
    record.first_byte = Some(Duration::from_millis(40));
    record.waited = Duration::from_micros(39_970);
    record
}

fn refused() -> CallRecord {
    let mut record = CallRecord::begun(RequestId::new(2), None);
    record.api = Some("chat");
    record.status = 401;
    record.outcome = "refused";
    record.refusal = Some("invalid_api_key");
    record.first_byte = Some(Duration::from_micros(20));
    record
}

fn noted(edition: Edition, records: &[CallRecord]) -> String {
    let metrics = metrics(edition);
    records.iter().for_each(|record| metrics.note(record));
    metrics.render()
}

/// The value of a series.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
}

fn sum(text: &str, name: &str) -> f64 {
    let of = |line: &str| {
        let rest = line.strip_prefix(name)?;
        let value = rest.starts_with(['{', ' ']).then(|| rest.rsplit(' ').next())?;
        value?.parse::<f64>().ok()
    };
    text.lines().filter_map(of).sum()
}

const CLIENT: &str = r#"egret_provider="p",egret_tenant="app",gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="m-2026""#;

#[test]
fn a_plain_answer_counts_once_everywhere() {
    let text = noted(Edition::Both, &[answered()]);
    let is = |series: &str, expected: f64| assert_eq!(value(&text, series), expected, "{series}");
    is(
        r#"egret_calls_total{egret_outcome="answered",egret_route="chat",egret_tenant="app",gen_ai_operation_name="chat"}"#,
        1.0,
    );
    is(r#"egret_attempts_total{egret_model="m",egret_outcome="answered",egret_provider="p"}"#, 1.0);
    is(r#"egret_call_overhead_seconds_count{gen_ai_operation_name="chat"}"#, 1.0);
    // 30 us: 40 ms to the first byte, of which it waited all but these.
    is(r#"egret_call_overhead_seconds_bucket{gen_ai_operation_name="chat",le="0.00005"}"#, 1.0);
    is(r#"egret_call_overhead_seconds_bucket{gen_ai_operation_name="chat",le="0.00002"}"#, 0.0);
    for name in ["gen_ai_client_inference_duration", "gen_ai_client_operation_duration"] {
        is(&format!("{name}_seconds_sum{{{CLIENT}}}"), 0.03);
    }
    is(&format!("gen_ai_server_request_duration_seconds_sum{{{CLIENT}}}"), 0.05);
    for (which, tokens) in [("input", 8.0), ("output", 5.0)] {
        let counter = format!("gen_ai_client_inference_usage_{which}_tokens_total");
        is(&format!(r#"{counter}{{{CLIENT},gen_ai_token_modality="text"}}"#), tokens);
        is(&format!("gen_ai_client_inference_operation_{which}_tokens_sum{{{CLIENT}}}"), tokens);
        is(&format!(r#"gen_ai_client_token_usage_sum{{{CLIENT},gen_ai_token_type="{which}"}}"#), tokens);
    }
    for absent in
        ["time_to_first", "time_per_output", "cache_", "reasoning_", "fallbacks", "refusals_", "audio"]
    {
        assert!(!text.contains(absent), "{absent}\n{text}");
    }
}

#[test]
fn a_stream_has_a_first_chunk_and_a_time_per_token() {
    let mut record = answered();
    record.stream = true;
    record.attempts[0].first_chunk = Some(Duration::from_millis(35));
    record.duration = Duration::from_millis(440);
    let text = noted(Edition::Both, &[record.clone()]);
    for name in ["gen_ai_client_inference", "gen_ai_client_operation"] {
        assert_eq!(value(&text, &format!("{name}_time_to_first_chunk_seconds_sum{{{CLIENT}}}")), 0.035);
    }
    assert_eq!(value(&text, &format!("gen_ai_server_time_to_first_token_seconds_sum{{{CLIENT}}}")), 0.04);
    // 400 ms after the first of five tokens.
    assert_eq!(value(&text, &format!("gen_ai_server_time_per_output_token_seconds_sum{{{CLIENT}}}")), 0.1);
    record.usage = Some(Usage { output: Tokens(1), ..Usage::default() });
    let text = noted(Edition::Both, &[record]);
    assert_eq!(value(&text, &format!("gen_ai_server_time_per_output_token_seconds_count{{{CLIENT}}}")), 0.0);
}

#[test]
fn every_part_of_a_usage_has_its_counter() {
    let mut record = answered();
    record.usage = Some(Usage {
        input: Tokens(1),
        cache_read: Tokens(2),
        cache_write: Tokens(4),
        input_audio: Tokens(8),
        output: Tokens(16),
        reasoning: Tokens(32),
        output_audio: Tokens(64),
    });
    let text = noted(Edition::Latest, &[record]);
    let of = |name: &str, modality: &str| {
        let series = format!(
            "gen_ai_client_inference_usage_{name}_tokens_total{{{CLIENT},gen_ai_token_modality=\"{modality}\"}}"
        );
        value(&text, &series)
    };
    assert_eq!((of("input", "text"), of("input", "audio")), (7.0, 8.0));
    assert_eq!((of("output", "text"), of("output", "audio")), (48.0, 64.0));
    assert_eq!((of("cache_read_input", "text"), of("cache_write_input", "text")), (2.0, 4.0));
    assert_eq!(of("reasoning_output", "text"), 32.0);
}

#[test]
fn cost_adds_up_in_dollars() {
    let mut record = answered();
    record.cost = Some(NanoUsd(1_250_000_000));
    let text = noted(Edition::Latest, &[record.clone(), record]);
    let series = r#"egret_cost_usd_total{egret_model="m",egret_provider="p",egret_tenant="app"}"#;
    assert_eq!(value(&text, series), 2.5);
}

#[test]
fn a_refusal_is_counted_by_tenant_and_code_and_reaches_no_provider() {
    let text = noted(Edition::Both, &[refused(), refused()]);
    let series = r#"egret_refusals_total{egret_refusal="invalid_api_key",egret_tenant="none"}"#;
    assert_eq!(value(&text, series), 2.0);
    let series = r#"egret_calls_total{egret_outcome="refused",egret_route="none",egret_tenant="none",gen_ai_operation_name="chat"}"#;
    assert_eq!(value(&text, series), 2.0);
    assert!(!text.contains("gen_ai_client") && !text.contains("egret_attempts"), "{text}");
}

#[test]
fn a_fallback_counts_where_it_left_and_why() {
    let mut record = answered();
    record.attempts.insert(0, attempt(&destination("q", "n"), "error_status", Some(503)));
    let passed = PassedOver { destination: destination("r", "o"), reason: "limit", at: Duration::ZERO };
    record.passed_over.push(passed);
    let text = noted(Edition::Both, &[record]);
    let labels = |model, provider, reason| {
        format!(
            r#"{{egret_model="{model}",egret_provider="{provider}",egret_reason="{reason}",egret_route="chat"}}"#
        )
    };
    assert_eq!(value(&text, &format!("egret_fallbacks_total{}", labels("n", "q", "error_status"))), 1.0);
    assert_eq!(value(&text, &format!("egret_passed_over_total{}", labels("o", "r", "limit"))), 1.0);
    assert_eq!(sum(&text, "egret_fallbacks_total"), 1.0);
    assert_eq!(sum(&text, "egret_attempts_total"), 2.0);
    assert!(text.contains(r#"error_type="503""#), "{text}");
    // Of the call as a whole there is one.
    assert_eq!(sum(&text, "gen_ai_server_request_duration_seconds_count"), 1.0);
}

#[test]
fn a_caller_that_left_is_told_apart_from_an_answer() {
    let mut abandoned = answered();
    abandoned.outcome = "client_gone";
    abandoned.usage = None;
    abandoned.attempts[0].outcome = "abandoned";
    abandoned.attempts[0].status = None;
    let mut mid_stream = answered();
    mid_stream.outcome = "client_gone";
    let text = noted(Edition::Latest, &[abandoned, mid_stream]);
    let series = format!(r#"gen_ai_client_inference_duration_seconds_count{{{CLIENT}}}"#)
        .replace(r#"egret_tenant="app","#, r#"egret_tenant="app",error_type="client_gone","#);
    assert_eq!(value(&text, &series), 2.0);
}

#[test]
fn an_upstream_error_is_an_attempt_with_its_status() {
    let mut record = answered();
    record.outcome = "upstream_error";
    record.usage = None;
    record.attempts[0].outcome = "error_status";
    record.attempts[0].status = Some(418);
    let mut strange = record.clone();
    strange.attempts[0].status = Some(999);
    let text = noted(Edition::V1_41, &[record, strange]);
    assert!(text.contains(r#"error_type="418""#) && text.contains(r#"error_type="_OTHER""#), "{text}");
    assert_eq!(sum(&text, "gen_ai_client_operation_duration_seconds_count"), 2.0);
}

#[test]
fn an_edition_has_its_own_names_alone() {
    let (latest, v1_41) = (noted(Edition::Latest, &[answered()]), noted(Edition::V1_41, &[answered()]));
    assert!(
        latest.contains("gen_ai_client_inference_duration") && !latest.contains("gen_ai_client_operation")
    );
    assert!(!latest.contains("gen_ai_server") && !latest.contains("gen_ai_client_token_usage"));
    assert!(v1_41.contains("gen_ai_client_operation_duration") && !v1_41.contains("gen_ai_client_inference"));
}

#[test]
fn the_same_names_after_a_reload_count_on_in_the_same_series() {
    let metrics = metrics(Edition::Both);
    // Each record has its own copies of the names, as each policy has.
    for _ in 0..3 {
        metrics.note(&answered());
    }
    let text = metrics.render();
    assert_eq!(sum(&text, "egret_calls_total"), 3.0);
    assert_eq!(text.matches("egret_calls_total{").count(), 1);
    assert_eq!(text.matches("gen_ai_client_inference_duration_seconds_count{").count(), 1);
}

#[test]
fn rows_of_former_policies_are_forgotten_and_nothing_is_lost() {
    let metrics = metrics(Edition::Latest);
    let mut record = refused();
    for number in 0..bound::ROWS_MAX + 10 {
        record.tenant = Some(format!("t{}", number % 3).into());
        metrics.note(&record);
    }
    assert_eq!(sum(&metrics.render(), "egret_calls_total"), (bound::ROWS_MAX + 10) as f64);
}

#[test]
fn label_values_are_escaped() {
    let mut record = answered();
    record.tenant = Some("a\"b\\c\nd".into());
    let text = noted(Edition::Both, &[record]);
    assert!(text.contains(r#"egret_tenant="a\"b\\c\nd""#), "{text}");
    parsed(&text);
}

#[test]
fn what_is_pushed_is_what_is_scraped() {
    let pushes = Pushes::default();
    let metrics =
        Metrics::new(Edition::Both, Resource::builder_empty().build(), Some((pushes.clone(), MINUTE)));
    metrics.note(&answered());
    let ended = metrics.end().unwrap().recv().unwrap();
    assert!(ended.is_ok(), "{ended:?}");
    let names = pushes.0.lock();
    for name in
        ["egret.calls", "egret.attempts", "gen_ai.client.inference.duration", "gen_ai.client.token.usage"]
    {
        assert!(names.iter().any(|pushed| pushed == name), "{name} in {names:?}");
    }
}

/// A backend that takes for ever.
struct Hangs;

impl PushMetricExporter for Hangs {
    async fn export(&self, _: &ResourceMetrics) -> OTelSdkResult {
        std::future::pending().await
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

#[test]
fn the_end_does_not_wait_for_a_backend_that_hangs() {
    let metrics = Metrics::new(Edition::Both, Resource::builder_empty().build(), Some((Hangs, MINUTE)));
    let telemetry = Telemetry { metrics, ..Telemetry::default() };
    telemetry.note(&answered());
    let (started, limit) = (Instant::now(), Duration::from_millis(50));
    telemetry.end(limit);
    // The SDK's own patience is five seconds.
    assert!((limit..Duration::from_secs(3)).contains(&started.elapsed()), "{:?}", started.elapsed());
}

#[test]
fn hashes_of_addresses_spread() {
    use std::hash::{BuildHasher, BuildHasherDefault};
    let hasher = BuildHasherDefault::<bound::Addresses>::default();
    // As an allocator gives them: 16 bytes apart. Two words, as a key has.
    let hashes =
        (0..64_usize).flat_map(|a| (0..64_usize).map(move |b| (0x7f00_0000 + a * 16, 0x5500_0000 + b * 16)));
    let buckets: std::collections::HashSet<u64> = hashes.map(|pair| hasher.hash_one(pair) % 8_192).collect();
    // 4,096 balls into 8,192 buckets by chance fill 3,223.
    assert!(buckets.len() > 2_900, "{}", buckets.len());
}

/// Every line of the text is a comment or a series with a number.
fn parsed(text: &str) {
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            assert!(comment.starts_with("HELP ") || comment.starts_with("TYPE "), "{line}");
            continue;
        }
        let (series, number) = line.rsplit_once(' ').unwrap();
        assert!(number.parse::<f64>().is_ok(), "{line}");
        let name = series.split('{').next().unwrap();
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{line}");
        assert!(!series.contains('{') || series.ends_with('}'), "{line}");
    }
}

fn any_record() -> impl Strategy<Value = CallRecord> {
    let outcome = prop::sample::select(vec!["answered", "refused", "upstream_failed", "client_gone"]);
    let tried = prop::sample::select(vec![
        ("answered", Some(200)),
        ("error_status", Some(503)),
        ("connect", None),
        ("abandoned", None),
    ]);
    let tenant = prop::option::of(prop::sample::select(vec!["a", "b", "\"\\\n{}"]));
    let tokens = prop::option::of((0u64..100, 0u64..100));
    (outcome, prop::collection::vec(tried, 0..4), tenant, tokens, any::<bool>()).prop_map(
        |(outcome, tries, tenant, tokens, stream)| {
            let mut record = answered();
            record.outcome = outcome;
            record.refusal = (outcome == "refused").then_some("rate_limited");
            record.tenant = tenant.map(Into::into);
            record.usage =
                tokens.map(|(i, o)| Usage { input: Tokens(i), output: Tokens(o), ..Usage::default() });
            record.attempts = tries
                .iter()
                .map(|(outcome, status)| attempt(&destination("p", "m"), outcome, *status))
                .collect();
            if let Some(last) = record.attempts.last_mut().filter(|_| stream) {
                last.first_chunk = Some(Duration::from_millis(1));
            }
            record
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_call_and_every_attempt_is_counted_once(records in prop::collection::vec(any_record(), 0..12)) {
        let text = noted(Edition::Both, &records);
        parsed(&text);
        let attempts: usize = records.iter().map(|record| record.attempts.len()).sum();
        let fallbacks: usize = records.iter().map(|record| record.attempts.len().saturating_sub(1)).sum();
        let refusals = records.iter().filter(|record| record.refusal.is_some()).count();
        let tried = |record: &&CallRecord| !record.attempts.is_empty();
        let used: u64 = records.iter().filter(tried).filter_map(|r| Some(r.usage?.total().0)).sum();
        prop_assert_eq!(sum(&text, "egret_calls_total"), records.len() as f64);
        prop_assert_eq!(sum(&text, "egret_attempts_total"), attempts as f64);
        prop_assert_eq!(sum(&text, "egret_fallbacks_total"), fallbacks as f64);
        prop_assert_eq!(sum(&text, "egret_refusals_total"), refusals as f64);
        for name in ["inference", "operation"] {
            let count = format!("gen_ai_client_{name}_duration_seconds_count");
            prop_assert_eq!(sum(&text, &count), attempts as f64);
        }
        let counted = sum(&text, "gen_ai_client_inference_usage_input_tokens_total")
            + sum(&text, "gen_ai_client_inference_usage_output_tokens_total");
        prop_assert_eq!(counted, used as f64);
        prop_assert_eq!(sum(&text, "gen_ai_client_token_usage_sum"), used as f64);
    }
}
