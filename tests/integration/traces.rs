//! The spans of calls, as a backend would get them.

use std::sync::Arc;
use std::time::Duration;

use egret::telemetry::sampler::{Root, Sampler};
use egret::telemetry::semconv::Edition;
use egret::telemetry::spans::Spans;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{Context, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use parking_lot::Mutex;

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

/// Keeps the spans that are given to it.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Kept {
    fn on_start(&self, _: &mut Span, _: &Context) {}
    fn on_end(&self, span: SpanData) {
        self.0.lock().push(span);
    }
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Kept {
    fn take(&self) -> Vec<SpanData> {
        std::mem::take(&mut *self.0.lock())
    }
}

fn traced_as(edition: Edition, policy: &str) -> (Proxy, Kept) {
    let kept = Kept::default();
    let spans = Spans::into(Sampler::ParentBased(Root::AlwaysOn), edition, kept.clone());
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

fn attribute(span: &SpanData, key: &str) -> Option<Value> {
    let found = span.attributes.iter().filter(|attribute| attribute.key.as_str() == key);
    assert!(found.clone().count() <= 1, "{key} is there twice");
    found.map(|attribute| attribute.value.clone()).next()
}

fn text(span: &SpanData, key: &str) -> String {
    attribute(span, key).map_or_else(|| format!("no {key}"), |value| value.as_str().into_owned())
}

fn events(span: &SpanData) -> Vec<&str> {
    span.events.iter().map(|event| &*event.name).collect()
}

fn is_error(span: &SpanData) -> bool {
    matches!(span.status, Status::Error { .. })
}

#[tokio::test(start_paused = true)]
async fn a_plain_call_is_a_server_span_in_the_callers_trace_and_a_client_span_below_it() {
    let (proxy, kept) = traced(POLICY);
    let body = r#"{"model":"chat","messages":[{"role":"user","content":"hi"}],"temperature":0.5,"max_tokens":64,"n":1,"seed":7}"#;
    let ask = proxy.post("/v1/chat/completions", body).header("traceparent", PARENT);
    let answer = ask.header("tracestate", "vendor=1").header("user-agent", "app/1").await;
    let spans = kept.take();
    let [client, server] = spans.as_slice() else { panic!("{spans:#?}") };

    assert_eq!(server.span_kind, SpanKind::Server);
    assert_eq!(server.name, "POST /v1/chat/completions");
    assert_eq!(server.span_context.trace_id().to_string(), TRACE);
    assert_eq!(server.span_context.trace_state().header(), "vendor=1");
    assert_eq!(server.parent_span_id.to_string(), "00f067aa0ba902b7");
    assert!(server.parent_span_is_remote);
    assert_eq!(server.status, Status::Unset);
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

    assert_eq!(client.span_kind, SpanKind::Client);
    assert_eq!(client.name, "chat model-one");
    assert_eq!(client.parent_span_id, server.span_context.span_id());
    assert_eq!(client.span_context.trace_id(), server.span_context.trace_id());
    for (key, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "first"),
        ("gen_ai.system", "first"),
        ("gen_ai.request.model", "model-one"),
        ("gen_ai.request.temperature", "0.5"),
        ("gen_ai.request.max_tokens", "64"),
        ("gen_ai.request.seed", "7"),
        ("gen_ai.response.finish_reasons", r#"["stop"]"#),
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
    assert_eq!(spans[1].span_context.trace_id().to_string(), header(&answer, "x-request-id"));
    assert!(!spans[1].parent_span_is_remote);
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
    let links: Vec<_> = second.links.iter().map(|link| link.span_context.span_id()).collect();
    assert_eq!(links, [first.span_context.span_id()]);
    assert_eq!(attribute(first, "gen_ai.usage.input_tokens"), None, "usage belongs to who produced it");
    assert!(attribute(second, "gen_ai.usage.input_tokens").is_some());
    assert_eq!(events(server), ["egret.fallback", "egret.commit"]);
    let fallback = &server.events[0].attributes;
    let said: Vec<_> = fallback.iter().map(|at| (at.key.as_str(), at.value.as_str().into_owned())).collect();
    let expected = [
        ("egret.reason", "error_status"),
        ("egret.from.provider", "first"),
        ("egret.from.model", "m1"),
        ("egret.to.provider", "second"),
        ("egret.to.model", "m2"),
    ];
    assert_eq!(said, expected.map(|(key, value)| (key, value.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn the_spans_of_a_stream_end_with_the_stream() {
    let (proxy, kept) = traced(&scripted("faults: [ok]", "tokensPerSecond: 1"));
    assert!(proxy.stream("m2").await.is_done());
    let spans = kept.take();
    let [client, server] = spans.as_slice() else { panic!("{spans:#?}") };
    let lasted = |span: &SpanData| span.end_time.duration_since(span.start_time).unwrap();
    assert!(lasted(client) >= secs(1), "{:?}", lasted(client));
    assert!(lasted(server) >= lasted(client));
    assert_eq!(text(client, "gen_ai.request.stream"), "true");
    assert_eq!(text(client, "gen_ai.response.finish_reasons"), r#"["stop"]"#);
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
    assert_eq!(text(client, "gen_ai.response.finish_reasons"), r#"["error"]"#);
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
    let server = &spans[2];
    assert!(is_error(server));
    assert_eq!(text(server, "error.type"), "no_provider_available");
    assert_eq!(events(server), ["egret.fallback", "egret.refusal"]);
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
    assert_eq!(server.events[0].attributes[0].value.as_str(), "field_not_allowed");
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
    let expected = format!("00-{TRACE}-{}-01", client.span_context.span_id());
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
