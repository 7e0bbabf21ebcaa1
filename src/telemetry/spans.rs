//! Spans of sampled calls: ids are drawn when a call begins, the spans are built from its record when it has ended.
//!
//! One SERVER span per call, one CLIENT span per attempt. They wait in a bounded queue for a thread that exports them.

mod build;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use http::header::{HeaderMap, HeaderValue, USER_AGENT};
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor,
};

use super::context::{self, Parent};
use super::record::{CallRecord, Trace};
use super::sampler::Sampler;
use super::semconv::Edition;
use crate::dialect::openai::facts::AnswerFacts;
use crate::dialect::openai::params::Params;
use crate::ids::RequestId;
use crate::meters::Counter;
use crate::random::Random;

/// Longer paths and names of callers' software are cut.
const TEXT_MAX: usize = 256;

/// Draws the ids of calls that are traced, and takes their records.
pub struct Spans {
    sampler: Sampler,
    edition: Edition,
    scope: InstrumentationScope,
    queue: Arc<Queue>,
    sink: Box<dyn SpanProcessor>,
}

/// How many spans wait or are under way, and what became of the others.
#[derive(Debug)]
pub struct Queue {
    waiting: AtomicUsize,
    room: usize,
    /// Spans for which there was no room.
    pub dropped: Counter,
    /// Spans that the backend took.
    pub exported: Counter,
    /// Spans that it did not take.
    pub failed: Counter,
}

impl Spans {
    /// Spans that go to `exporter` in batches, from a thread of its own. At most `room` wait.
    pub fn new<E>(sampler: Sampler, edition: Edition, room: usize, resource: &Resource, exporter: E) -> Self
    where
        E: SpanExporter + 'static,
    {
        let queue = Arc::new(Queue::new(room));
        let exporter = Counted { exporter, queue: Arc::clone(&queue) };
        // Delay and batch size are the SDK's to read from the environment. Its queue never fills: ours is counted.
        let config = BatchConfigBuilder::default().with_max_queue_size(room).build();
        let mut sink = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
        sink.set_resource(resource);
        Self { sampler, edition, scope: scope(), queue, sink: Box::new(sink) }
    }

    /// Spans that go to `sink` one by one; for tests.
    pub fn into(sampler: Sampler, edition: Edition, sink: impl SpanProcessor + 'static) -> Self {
        let queue = Arc::new(Queue::new(usize::MAX));
        Self { sampler, edition, scope: scope(), queue, sink: Box::new(sink) }
    }

    /// Begins the trace of a call, if it is sampled: in the caller's trace, or in one that has the call's own id.
    pub fn begin<B>(
        &self,
        id: RequestId,
        request: &Request<B>,
        client: IpAddr,
        random: &Random,
    ) -> Option<Box<Trace>> {
        let headers = request.headers();
        let parent = Parent::of(headers);
        let trace = parent.map_or_else(|| own(id), |parent| parent.trace);
        if !self.sampler.samples(parent, trace) {
            return None;
        }
        Some(Box::new(Trace {
            id: trace,
            span: span(random),
            parent: parent.map(|parent| parent.span),
            state: context::state(headers),
            method: request.method().clone(),
            path: cut(request.uri().path()).into(),
            title: None,
            version: request.version(),
            user_agent: headers
                .get(USER_AGENT)
                .and_then(|name| name.to_str().ok())
                .map(|name| cut(name).into()),
            client: Some(client),
            params: Params::default(),
            answer: AnswerFacts::default(),
        }))
    }

    /// Takes a finished call. Where there is no room for all of its spans, all are dropped and counted: half a trace
    /// would mislead.
    pub fn push(&self, record: &CallRecord) {
        let Some(trace) = &record.trace else { return };
        let count = 1 + record.attempts.len();
        if !self.queue.enter(count) {
            self.queue.dropped.add(count as u64);
            return;
        }
        build::spans(record, trace, self.edition, &self.scope, |span| self.sink.on_end(span));
    }

    /// How the queue fares.
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Exports what waits and ends the thread. Blocks for at most about `limit`; what the backend has not taken by then
    /// is lost.
    pub fn shutdown(&self, limit: Duration) -> OTelSdkResult {
        self.sink.shutdown_with_timeout(limit)
    }
}

/// What a provider is told of the span in which it is called: of a sampled call its own, else the caller's as it came,
/// so that a trace that passes through is not torn.
pub fn traceparent(trace: Option<&Trace>, span: SpanId, from_caller: &HeaderMap) -> Option<HeaderValue> {
    match trace {
        Some(trace) => context::traceparent(trace.id, span, true),
        None => Parent::of(from_caller).and_then(|_| from_caller.get(context::TRACEPARENT).cloned()),
    }
}

/// A fresh id of a span.
pub fn span(random: &Random) -> SpanId {
    SpanId::from(random.u64().max(1))
}

/// The trace of a call that nobody else has begun one for: whoever has its request id finds it.
fn own(id: RequestId) -> TraceId {
    TraceId::from(id.bits().max(1))
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_MAX)).unwrap_or_default()
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("egret")
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url("https://opentelemetry.io/schemas/1.44.0")
        .build()
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans")
            .field("sampler", &self.sampler)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

impl Queue {
    fn new(room: usize) -> Self {
        let [dropped, exported, failed] = [const { Counter::new() }; 3];
        Self { waiting: AtomicUsize::new(0), room, dropped, exported, failed }
    }

    /// Takes room for `count`, all or none.
    fn enter(&self, count: usize) -> bool {
        let entered = |waiting: usize| waiting.checked_add(count).filter(|sum| *sum <= self.room);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, entered).is_ok()
    }

    fn leave(&self, count: usize) {
        self.waiting.fetch_sub(count, Ordering::Relaxed);
    }
}

/// An exporter that tells how its batches end.
#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    queue: Arc<Queue>,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let result = self.exporter.export(batch).await;
        self.queue.leave(count);
        match &result {
            Ok(()) => self.queue.exported.add(count as u64),
            Err(error) => {
                if self.queue.failed.value() == 0 {
                    tracing::warn!(%error, "spans not exported; counted from here on, and not said again");
                }
                self.queue.failed.add(count as u64);
            }
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests;
