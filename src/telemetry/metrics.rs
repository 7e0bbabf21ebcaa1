//! Metrics of finished calls: one set of instruments, read by `/metrics` and pushed over OTLP.
//!
//! A call's labels are bound once; after that a call costs one look-up for itself and one per attempt, and adds to
//! atomics. What a process has rather than a call (limits, connections) is observed when it is read, by whoever
//! registers it with [`Metrics::meter`]. Nothing is recorded per chunk of a stream: what the conventions call
//! `time_per_output_chunk` is left out.

mod bound;
mod instruments;
mod push;

use std::borrow::Cow;
use std::fmt;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{Instrument, PeriodicReader, SdkMeterProvider, Stream};
use prometheus::{Registry, TextEncoder};

use self::bound::{AttemptKey, AttemptRow, CallKey, CallRow, PassedKey, PassedRow, Rows};
use self::instruments::Instruments;
use self::push::Pushed;
use super::record::{AttemptRecord, CallRecord};
use super::semconv::{Edition, egret};
use crate::limits::Owner;

/// Label sets per instrument; the rest is counted under `otel_metric_overflow`. The SDK makes room for all of them in
/// advance: these fit into a table of 8,192.
const SERIES_MAX: usize = 7_000;

/// What is said where nobody is known: no tenant, no route.
const NONE: &str = "none";

/// The instruments, and who reads them.
pub struct Metrics {
    instruments: Instruments,
    calls: Rows<CallKey, CallRow>,
    attempts: Rows<AttemptKey, AttemptRow>,
    passed_over: Rows<PassedKey, PassedRow>,
    registry: Registry,
    provider: SdkMeterProvider,
    meter: Meter,
    pushes: bool,
}

impl Metrics {
    /// Instruments that `/metrics` reads, and that are pushed where there is an exporter: so often, from a thread of
    /// its own.
    pub fn new<E>(edition: Edition, resource: Resource, exporter: Option<(E, Duration)>) -> Self
    where
        E: PushMetricExporter,
    {
        let registry = Registry::new();
        let scraped = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build();
        let mut builder = SdkMeterProvider::builder().with_resource(resource).with_view(limited);
        match scraped {
            Ok(scraped) => builder = builder.with_reader(scraped),
            Err(error) => tracing::error!(%error, "/metrics stays empty"),
        }
        let pushes = exporter.is_some();
        if let Some((exporter, interval)) = exporter {
            let reader = PeriodicReader::builder(Pushed::new(exporter)).with_interval(interval);
            builder = builder.with_reader(reader.build());
        }
        let provider = builder.build();
        let meter = provider.meter("egret");
        let instruments = Instruments::new(&meter, edition);
        let (calls, attempts, passed_over) = (Rows::new(), Rows::new(), Rows::new());
        Self { instruments, calls, attempts, passed_over, registry, provider, meter, pushes }
    }

    /// For what is observed when it is read.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Counts a finished call.
    pub fn note(&self, record: &CallRecord) {
        self.calls.of(
            CallKey::of(record),
            || CallRow::bind(&self.instruments, record),
            |row| row.note(&self.instruments, record),
        );
        for (at, attempt) in record.attempts.iter().enumerate() {
            let key = AttemptKey::of(record, at, attempt);
            let bind = || AttemptRow::bind(&self.instruments, record, at, attempt);
            self.attempts.of(key, bind, |row| row.note(&self.instruments, record, at, attempt));
        }
        for pair in record.attempts.windows(2) {
            // One that another overtook has not failed.
            if let [from, _] = pair
                && from.outcome != "hedged_away"
            {
                self.fallback(record, from);
            }
        }
        for passed in &record.passed_over {
            // A condition passes targets over with every call.
            let bind = || PassedRow::bind(&self.instruments, record, passed);
            self.passed_over.of(PassedKey::of(record, passed), bind, PassedRow::note);
        }
        self.lost(record);
        for (owner, key) in &record.would_refuse {
            let labels = [KeyValue::new(egret::LIMIT, key.shared()), limit_owner(owner)];
            self.instruments.would_refuse.add(1, &labels);
        }
    }

    /// Fields that we do not know are the caller's own words, and no labels.
    fn lost(&self, record: &CallRecord) {
        if record.lost.is_empty() {
            return;
        }
        let provider = record.destination().map_or_else(|| NONE.into(), |at| at.provider.shared());
        for field in &record.lost {
            let field = match field {
                Cow::Borrowed(known) => *known,
                Cow::Owned(_) => "other",
            };
            let labels =
                [KeyValue::new(egret::PROVIDER, provider.clone()), KeyValue::new(egret::FIELD, field)];
            self.instruments.lost.add(1, &labels);
        }
    }

    /// Rare, and after a failure: the SDK may look its labels up.
    fn fallback(&self, record: &CallRecord, from: &AttemptRecord) {
        let to = &*from.destination;
        let labels = [
            route(record),
            KeyValue::new(egret::MODEL, to.model.shared()),
            KeyValue::new(egret::PROVIDER, to.provider.shared()),
            KeyValue::new(egret::REASON, from.outcome),
        ];
        self.instruments.fallbacks.add(1, &labels);
    }

    /// Everything in Prometheus' text format 0.0.4.
    pub fn render(&self) -> String {
        let families = self.registry.gather();
        TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| {
            tracing::error!(%error, "metrics cannot be written as text");
            String::new()
        })
    }

    /// Begins to push for the last time, where metrics are pushed; whoever waits for the end decides for how long. The
    /// SDK's own limit does not hold, so this happens on a thread that may be left behind.
    pub(super) fn end(&self) -> Option<Receiver<OTelSdkResult>> {
        if !self.pushes {
            return None;
        }
        let (done, waits) = sync_channel(1);
        let provider = self.provider.clone();
        let end = move || {
            // Whoever waited may have gone.
            let _ = done.send(provider.shutdown_with_timeout(Duration::MAX));
        };
        std::thread::Builder::new().name("egret-metrics-end".to_owned()).spawn(end).ok().map(|_| waits)
    }
}

/// Without an OTLP push, under both editions' names.
impl Default for Metrics {
    fn default() -> Self {
        let nobody = None::<(opentelemetry_otlp::MetricExporter, Duration)>;
        Self::new(Edition::default(), Resource::builder_empty().build(), nobody)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("pushes", &self.pushes).finish_non_exhaustive()
    }
}

/// A view of every instrument.
fn limited(_: &Instrument) -> Option<Stream> {
    Stream::builder().with_cardinality_limit(SERIES_MAX).build().ok()
}

/// The route that a call asked for, where the policy knows it.
fn route(record: &CallRecord) -> KeyValue {
    match &record.route {
        Some(route) => KeyValue::new(egret::ROUTE, route.shared()),
        None => KeyValue::new(egret::ROUTE, NONE),
    }
}

fn tenant(record: &CallRecord) -> KeyValue {
    match &record.tenant {
        Some(tenant) => KeyValue::new(egret::TENANT, tenant.shared()),
        None => KeyValue::new(egret::TENANT, NONE),
    }
}

/// Whose limit it is, under a label of its kind.
pub fn limit_owner(owner: &Owner) -> KeyValue {
    let label = match owner {
        Owner::Tenant(_) => egret::TENANT,
        Owner::Provider(_) => egret::PROVIDER,
    };
    KeyValue::new(label, owner.name())
}

#[cfg(test)]
mod tests;
