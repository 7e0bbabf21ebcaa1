//! The spans of calls, as a backend would get them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use egret::telemetry::sampler::{Root, Sampler};
use egret::telemetry::semconv::Edition;
use egret::telemetry::spans::{Queue, Spans};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span};
use prost::Message as _;

use crate::support::{Answer, Proxy, Start, quiet, secs};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

const POLICY: &str = r#"
defaults: { timeouts: { streamIdle: 5s } }
providers:
  first: { mock: { says: "hello" } }
  second: { mock: { says: "hello again" }, propagateTrace: true }
models:
  m1: { provider: first, name: model-one, price: [{ inputPerMTok: "2.00", outputPerMTok: "8.00" }] }
  m2: { provider: second }
routes:
  chat: { targets: [{ model: m1 }, { model: m2 }] }
tenants:
  app: { local: true, access: { allow: ["*"] } }
"#;

/// The spans of a proxy, as a backend reads them.
struct Kept(Arc<Queue>);

impl Kept {
    fn take(&self) -> Vec<Span> {
        let batches = std::iter::from_fn(|| self.0.take());
        batches.flat_map(|batch| ScopeSpans::decode(batch.spans.as_slice()).unwrap().spans).collect()
    }
}

fn traced_as(edition: Edition, policy: &str) -> (Proxy, Kept) {
    let spans = Spans::new(Sampler::ParentBased(Root::AlwaysOn), edition, Queue::new(1_000));
    let kept = Kept(Arc::clone(spans.queue()));
    (Start { spans: Some(spans), ..Start::default() }.proxy(policy), kept)
}

fn traced(policy: &str) -> (Proxy, Kept) {
    traced_as(Edition::Both, policy)
}

/// The policy, with something more in the scripts of the first and the second provider.
fn scripted(first: &str, second: &str) -> String {
    let second = format!("says: \"hello again\", {second}");
    POLICY
        .replace("says: \"hello again\"", &second)
        .replace("says: \"hello\"", &format!("says: \"hello\", {first}"))
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.header(name).unwrap_or_else(|| panic!("no {name}"))
}

/// The value of an attribute, as text.
fn value_of(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found: Vec<_> = attributes.iter().filter(|attribute| attribute.key == key).collect();
    assert!(found.len() <= 1, "{key} is there twice");
    Some(as_text(found.first()?.value.as_ref()?))
}

fn as_text(value: &AnyValue) -> String {
    match value.value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::BoolValue(value) => value.to_string(),
        Value::IntValue(value) => value.to_string(),
        Value::DoubleValue(value) => value.to_string(),
        Value::ArrayValue(array) => {
            let values: Vec<_> = array.values.iter().map(as_text).collect();
            format!("[{}]", values.join(","))
        }
        Value::KvlistValue(_) | Value::BytesValue(_) | Value::StringValueStrindex(_) => panic!("{value:?}"),
    }
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    value_of(&span.attributes, key)
}

fn text(span: &Span, key: &str) -> String {
    attribute(span, key).unwrap_or_else(|| format!("no {key}"))
}

fn events(span: &Span) -> Vec<&str> {
    span.events.iter().map(|event| event.name.as_str()).collect()
}

fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn lasted(span: &Span) -> Duration {
    Duration::from_nanos(span.end_time_unix_nano.checked_sub(span.start_time_unix_nano).unwrap())
}

/// `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`
fn has_remote_parent(span: &Span) -> bool {
    span.flags & 0x200 != 0
}

#[tokio::test(start_paused = true)]
async fn peer_bug_30_a_plain_call_is_a_server_span_in_the_callers_trace_and_a_client_span_below_it() {
    let (proxy, kept) = traced(POLICY);
    let body = r#"{"model":"chat","messages":[{"role":"user","content":"hi"}],"temperature":0.5,"max_tokens":64,"n":1,"seed":7}"#;
    let ask = proxy.post("/v1/chat/completions", body).header("traceparent", PARENT);
    let answer = ask.header("tracestate", "vendor=1").header("user-agent", "app/1").await;
    let spans = kept.take();
    let [client, server] = spans.as_slice() else { panic!("{spans:#?}") };

    assert_eq!(server.kind(), SpanKind::Server);
    assert_eq!(server.name, "POST /v1/chat/completions");
    assert_eq!(hex(&server.trace_id), TRACE);
    assert_eq!(server.trace_state, "vendor=1");
    assert_eq!(hex(&server.parent_span_id), "00f067aa0ba902b7");
    assert!(has_remote_parent(server) && !has_remote_parent(client));
    assert_eq!(server.flags & 1, 1, "sampled");
    assert!(!is_error(server));
    for (key, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/v1/chat/completions"),
        ("url.path", "/v1/chat/completions"),
        ("http.response.status_code", "200"),
        ("user_agent.original", "app/1"),
        ("client.address", "127.0.0.1"),
        ("egret.tenant", "app"),
        ("egret.route", "chat"),
        ("egret.outcome", "answered"),
        ("egret.attempts", "1"),
        ("egret.policy.revision", header(&answer, "x-egret-policy")),
        ("egret.request.id", header(&answer, "x-request-id")),
    ] {
        assert_eq!(text(server, key), value, "{key}");
    }
    assert_eq!(events(server), ["egret.commit"]);
    let cost = text(server, "egret.cost.usd").parse::<f64>().unwrap();
    assert_eq!(cost, header(&answer, "x-egret-cost-usd").parse::<f64>().unwrap());

    assert_eq!(client.kind(), SpanKind::Client);
    assert_eq!(client.name, "chat model-one");
    assert_eq!(client.parent_span_id, server.span_id);
    assert_eq!(client.trace_id, server.trace_id);
    for (key, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "first"),
        ("gen_ai.system", "first"),
        ("gen_ai.request.model", "model-one"),
        ("gen_ai.request.temperature", "0.5"),
        ("gen_ai.request.max_tokens", "64"),
        ("gen_ai.request.seed", "7"),
        ("gen_ai.response.finish_reasons", "[stop]"),
        ("http.response.status_code", "200"),
        ("openai.api.type", "chat_completions"),
        ("egret.provider", "first"),
        ("egret.model", "m1"),
        ("egret.outcome", "answered"),
    ] {
        assert_eq!(text(client, key), value, "{key}");
    }
    let usage = &answer.json()["usage"];
    assert_eq!(text(client, "gen_ai.usage.input_tokens"), usage["prompt_tokens"].to_string());
    assert_eq!(text(client, "gen_ai.usage.output_tokens"), usage["completion_tokens"].to_string());
    assert_eq!(text(client, "gen_ai.response.id"), answer.json()["id"].as_str().unwrap());
    assert_eq!(attribute(client, "gen_ai.request.stream"), None);
    assert_eq!(attribute(client, "gen_ai.request.choice.count"), None, "one is not worth saying");
    assert_eq!(proxy.record()["trace_id"], TRACE, "the log leads to the trace");
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_parent_is_a_trace_of_its_request_id() {
    let (proxy, kept) = traced(POLICY);
    let answer = proxy.chat("chat").await;
    let spans = kept.take();
    assert_eq!(hex(&spans[1].trace_id), header(&answer, "x-request-id"));
    assert!(!has_remote_parent(&spans[1]) && spans[1].parent_span_id.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_fallback_is_two_client_spans_the_second_linked_to_the_first() {
    let (proxy, kept) = traced(&scripted("faults: [{ status: { code: 503 } }]", "faults: [ok]"));
    assert_eq!(proxy.chat("chat").await.status, 200);
    let spans = kept.take();
    let [first, second, server] = spans.as_slice() else { panic!("{spans:#?}") };
    assert!(is_error(first) && !is_error(second) && !is_error(server));
    assert_eq!(text(first, "error.type"), "503");
    assert_eq!(text(first, "http.response.status_code"), "503");
    assert_eq!(attribute(first, "http.request.resend_count"), None);
    assert_eq!(text(second, "http.request.resend_count"), "1");
    let links: Vec<_> = second.links.iter().map(|link| link.span_id.clone()).collect();
    assert_eq!(links, std::slice::from_ref(&first.span_id));
    assert_eq!(attribute(first, "gen_ai.usage.input_tokens"), None, "usage belongs to who produced it");
    assert!(attribute(second, "gen_ai.usage.input_tokens").is_some());
    assert_eq!(events(server), ["egret.fallback", "egret.commit"]);
    let fallback = &server.events[0].attributes;
    let expected = [
        ("egret.reason", "error_status"),
        ("egret.from.provider", "first"),
        ("egret.from.model", "m1"),
        ("egret.to.provider", "second"),
        ("egret.to.model", "m2"),
    ];
    for (key, value) in expected {
        assert_eq!(value_of(fallback, key).as_deref(), Some(value), "{key}");
    }
}

/// Nothing twice, nothing missing, nothing under another parent, whatever the provider does.
#[tokio::test(start_paused = true)]
async fn peer_bug_30_however_a_call_ends_it_is_one_server_span_with_a_client_span_per_attempt() {
    let faults = [
        "none",
        "status=400",
        "status=401",
        "status=429;retry-after=7",
        "status=500",
        "error=context_length_exceeded",
        "reset=0",
        "reset=2",
        "stall=0",
        "stall=2",
        "error-event=0",
        "error-event=2",
        "empty",
        "html",
        "slow-head=900s",
    ];
    let (proxy, kept) = traced(POLICY);
    let mut ids = BTreeSet::new();
    for fault in faults {
        for ask in [proxy.chat("m2"), proxy.stream("m2"), proxy.chat("chat"), proxy.stream("chat")] {
            ask.fault(fault).header("traceparent", PARENT).await;
            let (mut spans, record) = (kept.take(), proxy.record());
            let server = spans.pop().unwrap();
            assert_eq!(server.kind(), SpanKind::Server, "{fault}");
            assert_eq!(hex(&server.parent_span_id), "00f067aa0ba902b7", "{fault}");
            assert_eq!(spans.len(), record["attempts"].as_array().unwrap().len(), "{fault}");
            assert_eq!(spans.len().to_string(), text(&server, "egret.attempts"), "{fault}");
            for client in &spans {
                assert_eq!(client.kind(), SpanKind::Client, "{fault}");
                assert_eq!(client.parent_span_id, server.span_id, "{fault}");
                assert!(client.end_time_unix_nano <= server.end_time_unix_nano, "{fault}");
            }
            for span in spans.iter().chain([&server]) {
                assert_eq!(hex(&span.trace_id), TRACE, "{fault}");
                assert!(ids.insert(span.span_id.clone()), "{fault}: two spans have one id");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_spans_of_a_stream_end_with_the_stream() {
    let (proxy, kept) = traced(&scripted("faults: [ok]", "tokensPerSecond: 1"));
    assert!(proxy.stream("m2").await.is_done());
    let spans = kept.take();
    let [client, server] = spans.as_slice() else { panic!("{spans:#?}") };
    assert!(lasted(client) >= secs(1), "{:?}", lasted(client));
    assert!(lasted(server) >= lasted(client));
    assert_eq!(text(client, "gen_ai.request.stream"), "true");
    assert_eq!(text(client, "gen_ai.response.finish_reasons"), "[stop]");
    let first = text(client, "gen_ai.response.time_to_first_chunk").parse::<f64>().unwrap();
    assert!(first < lasted(client).as_secs_f64(), "{first}");
    assert!(attribute(client, "gen_ai.usage.output_tokens").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_is_an_error_of_both_spans() {
    let (proxy, kept) = traced(&scripted("faults: [ok]", "faults: [{ reset: { afterChunks: 2 } }]"));
    proxy.stream("m2").await;
    let spans = kept.take();
    let [client, server] = spans.as_slice() else { panic!("{spans:#?}") };
    assert!(is_error(client) && is_error(server));
    assert_eq!(text(server, "error.type"), "cut");
    assert_eq!(text(client, "error.type"), "cut");
    assert_eq!(text(client, "gen_ai.response.finish_reasons"), "[error]");
    assert_eq!(text(server, "egret.outcome"), "stream_interrupted");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_ends_the_spans_and_is_no_error() {
    let (proxy, kept) = traced(&scripted("faults: [ok]", "faults: [{ stall: { afterChunks: 2 } }]"));
    let mut reading = proxy.stream("m2").open().await;
    reading.next().await;
    drop(reading);
    quiet().await;
    let spans = kept.take();
    let [client, server] = spans.as_slice() else { panic!("{spans:#?}") };
    assert!(!is_error(client) && !is_error(server));
    assert_eq!(text(server, "egret.outcome"), "client_gone");
    assert_eq!(text(server, "http.response.status_code"), "200", "that is what it was sent");
}

#[tokio::test(start_paused = true)]
async fn a_try_that_its_caller_abandoned_is_a_span_too() {
    let (proxy, kept) = traced(&scripted("faults: [ok]", "faults: [{ stall: { afterChunks: 0 } }]"));
    assert!(tokio::time::timeout(secs(1), proxy.chat("m2").into_future()).await.is_err());
    quiet().await;
    let spans = kept.take();
    let [client, server] = spans.as_slice() else { panic!("{spans:#?}") };
    assert_eq!(text(client, "egret.outcome"), "abandoned");
    assert_eq!(text(server, "egret.outcome"), "client_gone");
    assert_eq!(attribute(server, "http.response.status_code"), None, "none was sent");
    assert!(!is_error(client) && !is_error(server));
    assert_eq!(proxy.record()["attempts"][0]["outcome"], "abandoned");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_an_event_and_no_error_of_ours() {
    let (proxy, kept) = traced(POLICY);
    proxy.chat("no-such-model").await;
    let spans = kept.take();
    let [server] = spans.as_slice() else { panic!("{spans:#?}") };
    assert!(!is_error(server));
    assert_eq!(text(server, "egret.refusal"), "model_not_found");
    assert_eq!(text(server, "http.response.status_code"), "404");
    assert_eq!(
        attribute(server, "egret.route"),
        None,
        "a name that the policy does not know may be anything"
    );
    assert_eq!(events(server), ["egret.refusal"]);
}

#[tokio::test(start_paused = true)]
async fn where_every_target_fails_the_server_span_is_an_error() {
    let broken = "faults: [{ status: { code: 500 } }]";
    let (proxy, kept) = traced(&scripted(broken, broken));
    proxy.chat("chat").await;
    let spans = kept.take();
    // Three tries: the first target once more after the second.
    let [_, _, _, server] = spans.as_slice() else { panic!("{spans:#?}") };
    assert!(is_error(server));
    assert_eq!(text(server, "error.type"), "no_provider_available");
    assert_eq!(events(server), ["egret.fallback", "egret.passed_over", "egret.fallback", "egret.refusal"]);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_passed_over_is_an_event() {
    let policy = POLICY.replace("first: { mock", "first: { forward: [models], mock");
    let (proxy, kept) =
        traced(&policy.replace("[{ model: m1 }, { model: m2 }]", "[{ model: m2 }, { model: m1 }]"));
    let body = r#"{"model":"chat","messages":[{"role":"user","content":"hi"}],"models":["x"]}"#;
    assert_eq!(proxy.post("/v1/chat/completions", body).await.status, 200);
    let spans = kept.take();
    let server = spans.last().unwrap();
    assert_eq!(events(server), ["egret.passed_over", "egret.commit"]);
    assert_eq!(value_of(&server.events[0].attributes, "egret.reason").unwrap(), "field_not_allowed");
}

#[tokio::test(start_paused = true)]
async fn the_server_span_names_limits_that_would_have_refused_the_call() {
    let limit = "{ l: { requests: 1, per: 1m, mode: shadow } }";
    let policy = format!(
        "providers: {{ p: {{ mock: {{}}, limits: {limit} }} }}\nmodels: {{ m: {{ provider: p }} }}\n\
         tenants: {{ app: {{ local: true, access: {{ allow: [\"*\"] }}, limits: {limit} }} }}\n"
    );
    let (proxy, kept) = traced(&policy);
    let told = async || {
        proxy.chat("m").await;
        kept.take().last().and_then(|server| attribute(server, "egret.limit.would_refuse"))
    };
    assert_eq!(told().await, None);
    assert_eq!(told().await.as_deref(), Some("[l,p/l]"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_sampled_has_no_spans_and_no_trace_id() {
    let (proxy, kept) = traced(POLICY);
    let unsampled = PARENT.replace("-01", "-00");
    proxy.chat("chat").header("traceparent", &unsampled).await;
    assert!(kept.take().is_empty());
    assert_eq!(proxy.record().get("trace_id"), None);
}

#[tokio::test(start_paused = true)]
async fn only_a_provider_with_propagate_trace_is_told_of_the_trace_and_of_its_own_span() {
    let (proxy, kept) = traced(POLICY);
    let ask = |model| {
        let ask = proxy.chat(model).header("traceparent", PARENT).header("tracestate", "vendor=1");
        ask.header("baggage", "user=ann")
    };
    ask("m1").await;
    ask("m2").await;
    let seen = &proxy.seen("first")[0];
    for header in ["traceparent", "tracestate", "baggage"] {
        assert_eq!(seen.header(header), None, "{header}");
    }
    let seen = &proxy.seen("second")[0];
    let client = &kept.take()[2];
    let expected = format!("00-{TRACE}-{}-01", hex(&client.span_id));
    assert_eq!(seen.header("traceparent"), Some(expected.as_str()));
    assert_eq!(seen.header("tracestate"), Some("vendor=1"));
    assert_eq!(seen.header("baggage"), None);
}

#[tokio::test(start_paused = true)]
async fn without_spans_a_trace_passes_through_as_it_came() {
    let proxy = Start::default().proxy(POLICY);
    proxy.chat("m2").header("traceparent", PARENT).header("tracestate", "vendor=1").await;
    let seen = &proxy.seen("second")[0];
    assert_eq!((seen.header("traceparent"), seen.header("tracestate")), (Some(PARENT), Some("vendor=1")));
}

#[tokio::test(start_paused = true)]
async fn the_edition_decides_which_names_are_written() {
    for (edition, old, new) in
        [(Edition::Latest, false, true), (Edition::V1_41, true, true), (Edition::Both, true, true)]
    {
        let (proxy, kept) = traced_as(edition, POLICY);
        proxy.chat("m1").await;
        let client = &kept.take()[0];
        assert_eq!(attribute(client, "gen_ai.system").is_some(), old, "{edition:?}");
        assert_eq!(attribute(client, "gen_ai.provider.name").is_some(), new, "{edition:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_went_another_way_beyond_a_limit_says_so() {
    let limit = "limits: { rpd: { requests: 1, per: day, onExceed: { downgrade: { to: m2 } } } }";
    let (proxy, kept) = traced(&POLICY.replace("local: true,", &format!("local: true, {limit},")));
    let mut ways = Vec::new();
    for _ in 0..2 {
        assert_eq!(proxy.chat("m1").await.status, 200);
        let spans = kept.take();
        let server = spans.iter().find(|span| span.kind == SpanKind::Server as i32).unwrap();
        let value = |key: &str| value_of(&server.attributes, key);
        ways.push((value("egret.route").unwrap(), value("egret.downgraded_to")));
    }
    assert_eq!(ways, [("m1".to_owned(), None), ("m1".to_owned(), Some("m2".to_owned()))]);
}
