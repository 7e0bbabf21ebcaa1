use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::ScopeSpans;
use prost::Message as _;

use super::*;
use crate::telemetry::sampler::Root;

fn request(headers: &[(&'static str, &str)]) -> Request<()> {
    let mut request = Request::post("/v1/chat/completions?key=secret").body(()).unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, HeaderValue::try_from(*value).unwrap());
    }
    request
}

fn spans(room: usize) -> Spans {
    Spans::new(Sampler::ParentBased(Root::AlwaysOn), Edition::Both, Queue::new(room))
}

fn traced(spans: &Spans) -> CallRecord {
    let id = RequestId::new(7);
    let mut record = CallRecord::begun(id, None);
    record.trace = spans.begin(id, &request(&[]), [127, 0, 0, 1].into(), &Random::seeded(1));
    record
}

#[test]
fn a_call_without_a_parent_begins_a_trace_with_its_own_id() {
    let spans = spans(8);
    let trace = traced(&spans).trace.unwrap();
    assert_eq!((trace.id, trace.parent), (TraceId::from(7), None));
    assert_ne!(trace.span, SpanId::INVALID);
    assert_eq!(&*trace.path, "/v1/chat/completions", "a query may hold a key");
}

#[test]
fn a_call_with_a_parent_goes_on_in_its_trace_and_keeps_its_state() {
    let spans = spans(8);
    let headers = [
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("tracestate", "vendor=1"),
    ];
    let begun = spans.begin(RequestId::new(7), &request(&headers), [10, 0, 0, 1].into(), &Random::seeded(1));
    let trace = begun.unwrap();
    assert_eq!(trace.id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(trace.parent.unwrap().to_string(), "00f067aa0ba902b7");
    assert_eq!(&*trace.state, "vendor=1");
}

#[test]
fn a_call_that_its_caller_does_not_sample_has_no_spans() {
    let spans = spans(8);
    let headers = [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")];
    let begun = spans.begin(RequestId::new(7), &request(&headers), [10, 0, 0, 1].into(), &Random::seeded(1));
    assert!(begun.is_none());
}

#[test]
fn a_method_that_a_caller_made_up_names_no_span() {
    let spans = spans(8);
    let method = "BREW".repeat(100);
    let request = Request::builder().method(&*method).uri("/").body(()).unwrap();
    let mut record = CallRecord::begun(RequestId::new(7), None);
    record.trace = spans.begin(record.id, &request, [127, 0, 0, 1].into(), &Random::seeded(1));
    spans.push(&record);
    let written = ScopeSpans::decode(&*spans.queue().take().unwrap().spans).unwrap().spans.remove(0);
    assert_eq!(written.name, "HTTP");
    let text = |key: &str| {
        let found = written.attributes.iter().find(|attribute| attribute.key == key)?;
        let Value::StringValue(text) = found.value.as_ref()?.value.as_ref()? else { panic!("{found:?}") };
        Some(text.as_str())
    };
    assert_eq!(text("http.request.method"), Some("_OTHER"));
    assert_eq!(text("http.request.method_original"), Some(&method[..TEXT_MAX]));
}

#[test]
fn where_there_is_no_room_spans_are_dropped_and_counted_and_nobody_waits() {
    let spans = spans(3);
    for _ in 0..10 {
        spans.push(&traced(&spans));
    }
    assert_eq!(spans.queue().dropped.value(), 7);
    assert_eq!(spans.queue().take().unwrap().count, 3);
}

#[test]
fn a_provider_is_told_of_a_sampled_call_by_its_own_span_and_of_another_as_the_caller_said() {
    let spans = spans(8);
    let trace = traced(&spans).trace.unwrap();
    let said = |request: &Request<()>, trace: Option<&Trace>| {
        let told = traceparent(trace, SpanId::from(0xab), request.headers())?;
        Some(told.to_str().unwrap().to_owned())
    };
    let own = said(&request(&[]), Some(&trace)).unwrap();
    assert_eq!(own, "00-00000000000000000000000000000007-00000000000000ab-01");
    let callers = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    assert_eq!(said(&request(&[("traceparent", callers)]), None).as_deref(), Some(callers));
    assert_eq!(said(&request(&[("traceparent", "nonsense")]), None), None);
    assert_eq!(said(&request(&[]), None), None);
}
