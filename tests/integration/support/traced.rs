//! A proxy whose calls are all traced, and what their spans tell of candidates.

use std::sync::Arc;

use egret::telemetry::sampler::{Root, Sampler};
use egret::telemetry::semconv::Edition;
use egret::telemetry::spans::{Queue, Spans};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::ScopeSpans;
use prost::Message as _;

use super::{Proxy, Start};

/// Spans as a backend would get them.
pub(crate) struct Traces(Arc<Queue>);

/// A proxy under a policy, and the spans of its calls.
pub(crate) fn traced(policy: &str) -> (Proxy, Traces) {
    let spans = Spans::new(Sampler::ParentBased(Root::AlwaysOn), Edition::Both, Queue::new(1_000));
    let traces = Traces(Arc::clone(spans.queue()));
    (Start { spans: Some(spans), ..Start::default() }.proxy(policy), traces)
}

impl Traces {
    /// What `egret.candidates` says of each call since the last time it was asked.
    pub(crate) fn candidates(&self) -> Vec<Vec<String>> {
        let batches = std::iter::from_fn(|| self.0.take());
        let spans = batches.flat_map(|batch| ScopeSpans::decode(batch.spans.as_slice()).unwrap().spans);
        let attributes = spans.flat_map(|span| span.attributes);
        let told = attributes.filter(|attribute| attribute.key == "egret.candidates");
        told.map(|attribute| match attribute.value.and_then(|value| value.value) {
            Some(Value::ArrayValue(array)) => array.values.into_iter().map(|one| text(one.value)).collect(),
            other => panic!("no list: {other:?}"),
        })
        .collect()
    }
}

fn text(value: Option<Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text,
        other => panic!("no text: {other:?}"),
    }
}
