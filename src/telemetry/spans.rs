//! Spans of sampled calls: ids are drawn when a call begins, the spans are written from its record when it has ended.
//!
//! One SERVER span per call, one CLIENT span per attempt. They wait in a bounded queue for the exporter.

mod queue;
mod write;

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

use http::Request;
use http::header::{HeaderMap, HeaderValue, USER_AGENT};
use opentelemetry::trace::{SpanId, TraceId};

pub use self::queue::{Batch, Queue};

use super::context::{self, Parent};
use super::record::{CallRecord, Trace};
use super::sampler::Sampler;
use super::semconv::Edition;
use crate::dialect::facts::AnswerFacts;
use crate::dialect::params::Params;
use crate::ids::RequestId;
use crate::random::Random;

/// Longer paths and names of callers' software are cut.
const TEXT_MAX: usize = 256;

/// Draws the ids of calls that are traced, and takes their records.
#[derive(Debug)]
pub struct Spans {
    sampler: Sampler,
    edition: Edition,
    queue: Arc<Queue>,
}

thread_local! {
    static WRITTEN: RefCell<Vec<u8>> = RefCell::default();
}

/// A buffer that one call has blown up is given back.
const ROOM_KEPT: usize = 16 * 1024;

impl Spans {
    /// Spans of the calls that `sampler` picks, which wait in `queue` to be exported.
    pub fn new(sampler: Sampler, edition: Edition, queue: Queue) -> Self {
        Self { sampler, edition, queue: Arc::new(queue) }
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
            candidates: Vec::new(),
            params: Params::default(),
            answer: AnswerFacts::default(),
        }))
    }

    /// Takes a finished call. Where there is no room for all of its spans, all are dropped and counted: half a trace
    /// would mislead.
    pub fn push(&self, record: &CallRecord) {
        let Some(trace) = &record.trace else { return };
        WRITTEN.with_borrow_mut(|written| {
            written.clear();
            written.shrink_to(ROOM_KEPT);
            write::spans(record, trace, self.edition, written);
            self.queue.push(written, 1 + record.attempts.len());
        });
    }

    /// Where they wait.
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
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

#[cfg(test)]
mod tests;
