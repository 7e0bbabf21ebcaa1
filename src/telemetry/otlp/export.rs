//! Sends the spans that wait to a backend: one request at a time, on the main thread's runtime.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_sdk::Resource;
use serde_json::Value;
use tokio::time::timeout;

use super::OtlpError;
use super::client::Posts;
use super::grpc::Grpc;
use super::target::{Target, Wire};
use crate::net::tls::LazyTls;
use crate::random::Random;
use crate::telemetry::protobuf::Message;
use crate::telemetry::spans::{Batch, Queue};

/// How often a request that may do better is sent again, and how long at most after the first failure; doubled each
/// time.
const RETRIES: u32 = 3;
const BACKOFF: Duration = Duration::from_millis(200);
/// How often when the process ends: a connection may just have been closed by a good backend.
const LAST_RETRIES: u32 = 1;
/// A backend that asks for a longer pause is taken to be mistaken. Meanwhile spans gather, and beyond the queue's room
/// are dropped.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Sends spans.
pub struct Exporter {
    queue: Arc<Queue>,
    transport: Transport,
    envelope: Envelope,
    limit: Duration,
    delay: Duration,
    random: Random,
    /// Whether the last request failed.
    fails: AtomicBool,
}

enum Transport {
    Http(Box<Posts>),
    Grpc(Box<Grpc>),
}

/// Why spans were not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// Another try may do better, after this long if the backend says so.
    #[error("{0}")]
    ForNow(String, Option<Duration>),
    /// No try will.
    #[error("{0}")]
    ForGood(String),
}

impl Exporter {
    /// An exporter of what waits in `queue`, at the latest `delay` after it came. Made on the runtime that carries the
    /// requests.
    pub(super) fn new(
        queue: &Arc<Queue>,
        target: &Target,
        tls: &LazyTls,
        resource: &Resource,
        delay: Duration,
    ) -> Result<Self, OtlpError> {
        let transport = match target.wire {
            Wire::Http => Transport::Http(Box::new(Posts::new(target, tls))),
            Wire::Grpc => Transport::Grpc(Box::new(Grpc::new(target, tls)?)),
        };
        let envelope = Envelope::new(resource);
        let queue = Arc::clone(queue);
        let (limit, random, fails) = (target.timeout, Random::from_os(), AtomicBool::new(false));
        Ok(Self { queue, transport, envelope, limit, delay, random, fails })
    }

    /// Exports until `stopping` resolves, and then what is left.
    pub async fn run(self, stopping: impl Future<Output = ()>) {
        tokio::pin!(stopping);
        let mut running = true;
        while running {
            tokio::select! {
                () = self.queue.due(self.delay) => {}
                () = &mut stopping => running = false,
            }
            while let Some(batch) = self.queue.take() {
                self.export(batch).await;
            }
        }
    }

    async fn export(&self, Batch { spans, count }: Batch) {
        let request = self.envelope.around(&spans);
        drop(spans);
        let mut tries = 0;
        let result = loop {
            let result = self.send(&request).await;
            tries += 1;
            let Err(Refused::ForNow(_, pause)) = &result else { break result };
            let pause = pause.unwrap_or_else(|| self.backoff(tries));
            let retries = if self.queue.is_hurried() { LAST_RETRIES } else { RETRIES };
            if tries > retries {
                break result;
            }
            self.queue.pause(pause.min(PAUSE_MAX)).await;
        };
        let failed = match &result {
            Ok(rejected) => usize::try_from(*rejected).map_or(count, |rejected| rejected.min(count)),
            Err(_) => count,
        };
        let failed_before = self.fails.swap(failed > 0, Ordering::Relaxed);
        if failed > 0 && !failed_before {
            let error = result
                .err()
                .map_or_else(|| "the backend rejected some".to_owned(), |error| error.to_string());
            tracing::warn!(error, "spans not exported; counted, and said again when it works");
        } else if failed == 0 && failed_before {
            tracing::info!("spans are exported again");
        }
        self.queue.ended(count - failed, failed);
    }

    /// Sends a request; gives how many spans of it were rejected.
    async fn send(&self, request: &Bytes) -> Result<u64, Refused> {
        let sending = async {
            match &self.transport {
                Transport::Http(posts) => posts.export(request).await,
                Transport::Grpc(grpc) => grpc.export(request).await,
            }
        };
        let late = |_| Err(Refused::ForNow("the backend did not answer in time".to_owned(), None));
        timeout(self.limit, sending).await.unwrap_or_else(late)
    }

    /// Full jitter, so that a thousand sidecars do not come back at once.
    fn backoff(&self, tries: u32) -> Duration {
        let most = BACKOFF.saturating_mul(1 << (tries - 1).min(10));
        most.mul_f64(self.random.u64() as f64 / u64::MAX as f64)
    }
}

/// What stands around the spans of a request: who we are.
struct Envelope {
    /// `ResourceSpans.resource`, as a field.
    resource: Vec<u8>,
    /// `ScopeSpans.scope`, as a field.
    scope: Vec<u8>,
}

impl Envelope {
    fn new(resource: &Resource) -> Self {
        let (mut about, mut scope) = (Vec::new(), Vec::new());
        Message::new(&mut about).message(1, |message| {
            for (key, value) in resource {
                message.message(1, |pair| {
                    pair.bytes(1, key.as_str());
                    pair.message(2, |any| any.bytes(1, value.as_str().as_ref()));
                });
            }
        });
        Message::new(&mut scope).message(1, |message| {
            message.bytes(1, "egret");
            message.bytes(2, env!("CARGO_PKG_VERSION"));
        });
        Self { resource: about, scope }
    }

    /// An `ExportTraceServiceRequest`.
    fn around(&self, spans: &[u8]) -> Bytes {
        let mut request = Vec::with_capacity(self.resource.len() + self.scope.len() + spans.len() + 128);
        Message::new(&mut request).message(1, |resource_spans| {
            resource_spans.fields(&self.resource);
            resource_spans.message(2, |scope_spans| {
                scope_spans.fields(&self.scope);
                scope_spans.fields(spans);
                scope_spans.bytes(3, super::SCHEMA);
            });
            resource_spans.bytes(3, super::SCHEMA);
        });
        request.into()
    }
}

/// Reads the answer to a request that a backend took: how many spans it rejected after all.
pub(super) fn rejected(answer: &[u8]) -> Result<u64, Refused> {
    use prost::Message as _;
    let answer = ExportTraceServiceResponse::decode(answer).map_err(|_| no_answer())?;
    let rejected = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
    Ok(u64::try_from(rejected).unwrap_or_default())
}

/// The same of an answer in JSON, where 64 bits are text or a number.
pub(super) fn rejected_in_json(answer: &[u8]) -> Result<u64, Refused> {
    if answer.is_empty() {
        return Ok(0);
    }
    let answer: Value = serde_json::from_slice(answer).map_err(|_| no_answer())?;
    let rejected = answer.pointer("/partialSuccess/rejectedSpans");
    let rejected = rejected.and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok()));
    Ok(rejected.unwrap_or_default())
}

fn no_answer() -> Refused {
    Refused::ForGood("the backend's answer is none of OTLP".to_owned())
}

/// Compressed, as `OTEL_EXPORTER_OTLP_COMPRESSION=gzip` asks.
pub(super) fn gzip(request: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(request)?;
    Ok(encoder.finish()?.into())
}
