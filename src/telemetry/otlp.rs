//! Export by OTLP, as the standard `OTEL_*` variables ask for it; off where they name no endpoint.
//!
//! Spans are written and sent by egret itself: one per attempt and one per call, a library's way to do it cost as much
//! as the call. Metrics are pushed once a minute, by the SDK. It reads headers, time-out and compression by itself, and
//! drops in silence what it cannot read: so they are all read here as well.

mod client;
mod export;
mod grpc;
mod target;
mod variables;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, Protocol, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::resource::TelemetryResourceDetector;

pub use self::export::Exporter;
pub use self::target::{Target, Wire};

use self::client::Client;
use self::target::Signal;
use self::variables::Reader;
use super::sampler::Sampler;
use super::semconv::Edition;
use super::spans::{Queue, Spans};
use crate::environment::Environment;
use crate::net::tls::LazyTls;
use crate::random::Random;

/// How many spans wait at most, unless `OTEL_BSP_MAX_QUEUE_SIZE` says otherwise.
const QUEUE: usize = 2_048;
/// How many go into one request, unless `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` says otherwise.
const BATCH: usize = 512;
/// How long they gather, unless `OTEL_BSP_SCHEDULE_DELAY` says otherwise.
const DELAY: Duration = Duration::from_secs(5);
/// How often metrics are pushed, unless `OTEL_METRIC_EXPORT_INTERVAL` says otherwise.
const INTERVAL: Duration = Duration::from_secs(60);
/// The version of the general conventions that names are from.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.44.0";

/// What the environment asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where traces go; none where they are not exported.
    pub traces: Option<Target>,
    /// Where metrics are pushed; none where they are not. `/metrics` is there either way.
    pub metrics: Option<Target>,
    /// Which calls are traced.
    pub sampler: Sampler,
    /// Which names are written.
    pub edition: Edition,
    /// How many spans may wait.
    pub queue: usize,
    /// How many spans one request takes.
    pub batch: usize,
    /// How long spans gather.
    pub delay: Duration,
    /// How often metrics are pushed.
    pub interval: Duration,
    /// Whether they are pushed as totals or as what was added.
    pub temporality: Temporality,
    /// Who we are to a backend, as far as it is said.
    pub attributes: Vec<(String, String)>,
    /// What was said that means nothing to egret, and does no harm.
    pub warnings: Vec<String>,
}

/// A variable that egret cannot do as it says.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// Its value is none of those that there are.
    #[error("{name}={value}: {hint}")]
    Value {
        /// The variable.
        name: String,
        /// What it holds.
        value: String,
        /// What it may hold.
        hint: &'static str,
    },
    /// gRPC's library cannot use the endpoint.
    #[error("OTLP over gRPC cannot be set up")]
    Grpc(#[from] tonic::transport::Error),
    /// The SDK cannot build an exporter from what the variables say.
    #[error("OTLP export cannot be set up as the OTEL_EXPORTER_OTLP_* variables say")]
    Build(#[from] ExporterBuildError),
}

impl Settings {
    /// Reads the variables.
    ///
    /// # Errors
    /// A value that names what does not exist: it is better found at start than missed in the backend.
    pub fn read(environment: &Environment) -> Result<Self, OtlpError> {
        let mut read = Reader::of(environment);
        let disabled = read.flag("OTEL_SDK_DISABLED")?;
        let settings = Self {
            traces: read.target(Signal::Traces)?.filter(|_| !disabled),
            metrics: read.target(Signal::Metrics)?.filter(|_| !disabled),
            sampler: read.sampler()?,
            edition: read.edition()?,
            queue: read.number("OTEL_BSP_MAX_QUEUE_SIZE")?.unwrap_or(QUEUE).max(1),
            batch: read.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")?.unwrap_or(BATCH).max(1),
            delay: read.millis("OTEL_BSP_SCHEDULE_DELAY")?.unwrap_or(DELAY),
            interval: read.interval()?.unwrap_or(INTERVAL),
            temporality: read.temporality()?,
            attributes: read.attributes(),
            warnings: Vec::new(),
        };
        read.propagators();
        read.certificates();
        Ok(Self { warnings: read.warnings(), ..settings })
    }

    /// Who we are to a backend: what was said, and what is known without it.
    pub fn resource(&self, random: &Random) -> Resource {
        let mut resource = Resource::builder_empty()
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_service_name("egret")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("service.instance.id", format!("{:032x}", random.u128())));
        for (key, value) in &self.attributes {
            resource = resource.with_attribute(KeyValue::new(key.clone(), value.clone()));
        }
        resource.build()
    }

    /// Spans and their exporter, if traces are exported. Call it on the runtime that is to run the exporter.
    pub fn spans(&self, tls: &LazyTls, resource: &Resource) -> Result<Option<(Spans, Exporter)>, OtlpError> {
        let Some(target) = &self.traces else { return Ok(None) };
        let spans = Spans::new(self.sampler, self.edition, Queue::new(self.queue).in_batches(self.batch));
        let exporter = Exporter::new(spans.queue(), target, tls, resource, self.delay)?;
        Ok(Some((spans, exporter)))
    }

    /// The exporter of metrics, if they are pushed. Call it on a runtime that keeps running: it carries the requests.
    pub fn metric_exporter(&self, tls: &LazyTls) -> Result<Option<MetricExporter>, OtlpError> {
        let Some(target) = &self.metrics else { return Ok(None) };
        let builder = MetricExporter::builder().with_temporality(self.temporality);
        let exporter = match target.wire {
            Wire::Grpc => {
                let builder = builder.with_tonic();
                let tls = target.endpoint.is_tls().then(|| grpc::trust(tls));
                tls.into_iter().fold(builder, WithTonicConfig::with_tls_config).build()?
            }
            Wire::Http => {
                let client = Client::new(tls.clone(), target.timeout);
                builder.with_http().with_protocol(Protocol::HttpBinary).with_http_client(client).build()?
            }
        };
        Ok(Some(exporter))
    }
}

#[cfg(test)]
mod tests;
