//! The instruments of calls: names, units, buckets, and which edition has them.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram, Meter};

use crate::telemetry::semconv::{Edition, metric};

/// Of the conventions, for whole operations.
const SECONDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Of the conventions, for the first token.
const FIRST_TOKEN: [f64; 16] =
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Of the conventions, for each further token.
const PER_TOKEN: [f64; 13] = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];
/// Of the conventions: powers of four.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// Ours: a call takes egret some ten microseconds, and a second where the machine is starved.
const OVERHEAD: [f64; 15] = [
    0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5,
    1.0,
];

/// Instruments before they are bound to labels.
pub(super) struct Instruments {
    pub(super) calls: Counter<u64>,
    pub(super) overhead: Histogram<f64>,
    pub(super) queued: Histogram<f64>,
    pub(super) refusals: Counter<u64>,
    pub(super) attempts: Counter<u64>,
    pub(super) fallbacks: Counter<u64>,
    pub(super) passed_over: Counter<u64>,
    pub(super) would_refuse: Counter<u64>,
    pub(super) lost: Counter<u64>,
    pub(super) cost: Counter<f64>,
    pub(super) duration: Editions<Histogram<f64>>,
    pub(super) first_chunk: Editions<Histogram<f64>>,
    /// Those that only the newest edition has.
    pub(super) latest: Option<Latest>,
    /// Those that only v1.41 has.
    pub(super) v1_41: Option<V1_41>,
}

/// One value under the names of two editions.
pub(super) struct Editions<T> {
    latest: Option<T>,
    v1_41: Option<T>,
}

pub(super) struct Latest {
    pub(super) input: Counter<u64>,
    pub(super) output: Counter<u64>,
    pub(super) cache_read: Counter<u64>,
    pub(super) cache_write: Counter<u64>,
    pub(super) reasoning: Counter<u64>,
    pub(super) operation_input: Histogram<u64>,
    pub(super) operation_output: Histogram<u64>,
}

pub(super) struct V1_41 {
    pub(super) token_usage: Histogram<u64>,
    pub(super) server_duration: Histogram<f64>,
    pub(super) server_first_token: Histogram<f64>,
    pub(super) server_per_token: Histogram<f64>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter, edition: Edition) -> Self {
        let counter = |name, help| meter.u64_counter(name).with_description(help).build();
        let time = |name, help| seconds(meter, name, help, &SECONDS);
        let editions = |latest, v1_41, help| Editions {
            latest: edition.has_latest().then(|| time(latest, help)),
            v1_41: edition.has_v1_41().then(|| time(v1_41, help)),
        };
        let duration_help = "One attempt, from its begin to the end of its answer.";
        let chunk_help = "One attempt of a stream, from its begin to its first event.";
        Self {
            calls: counter(metric::CALLS, "Calls that have ended, by how."),
            overhead: seconds(
                meter,
                metric::OVERHEAD,
                "Time in egret up to the answer's first byte, apart from waiting for caller, providers, room and the ledger's store.",
                &OVERHEAD,
            ),
            queued: time(
                metric::QUEUED,
                "Time that calls waited for room beyond a limit, of those that did.",
            ),
            refusals: counter(metric::REFUSALS, "Errors that egret answered by itself, by code."),
            attempts: counter(metric::ATTEMPTS, "Tries at a model of a provider, by how they ended."),
            fallbacks: counter(
                metric::FALLBACKS,
                "Attempts that failed and were followed by another, by where they failed and how.",
            ),
            passed_over: counter(metric::PASSED_OVER, "Targets that were not tried, by why."),
            would_refuse: counter(
                metric::WOULD_REFUSE,
                "Calls for which a limit in shadow mode had no room.",
            ),
            lost: counter(
                metric::LOST,
                "Fields of requests that were not carried over into a provider's dialect.",
            ),
            cost: meter
                .f64_counter(metric::COST)
                .with_description("What calls cost, where the model has a price.")
                .build(),
            duration: editions(metric::DURATION, metric::DURATION_V1_41, duration_help),
            first_chunk: editions(metric::FIRST_CHUNK, metric::FIRST_CHUNK_V1_41, chunk_help),
            latest: edition.has_latest().then(|| Latest::new(meter)),
            v1_41: edition.has_v1_41().then(|| V1_41::new(meter)),
        }
    }
}

impl Latest {
    fn new(meter: &Meter) -> Self {
        let counter =
            |name, help| meter.u64_counter(name).with_unit("{token}").with_description(help).build();
        Self {
            input: counter(metric::INPUT_TOKENS, "Input tokens, cached included."),
            output: counter(metric::OUTPUT_TOKENS, "Output tokens, reasoning included."),
            cache_read: counter(metric::CACHE_READ_TOKENS, "Input tokens read from the provider's cache."),
            cache_write: counter(metric::CACHE_WRITE_TOKENS, "Input tokens written to the provider's cache."),
            reasoning: counter(metric::REASONING_TOKENS, "Output tokens that were reasoning."),
            operation_input: tokens(meter, metric::OPERATION_INPUT, "Input tokens of one call."),
            operation_output: tokens(meter, metric::OPERATION_OUTPUT, "Output tokens of one call."),
        }
    }
}

impl V1_41 {
    fn new(meter: &Meter) -> Self {
        Self {
            token_usage: tokens(meter, metric::TOKEN_USAGE, "Tokens of one call, by input and output."),
            server_duration: seconds(
                meter,
                metric::SERVER_DURATION,
                "One call, from its head to the end of its answer.",
                &SECONDS,
            ),
            server_first_token: seconds(
                meter,
                metric::SERVER_FIRST_TOKEN,
                "One streamed call, from its head to the first byte of its answer.",
                &FIRST_TOKEN,
            ),
            server_per_token: seconds(
                meter,
                metric::SERVER_PER_TOKEN,
                "One streamed call's time per output token after the first, where the provider reports tokens.",
                &PER_TOKEN,
            ),
        }
    }
}

impl Editions<Histogram<f64>> {
    pub(super) fn bind(&self, labels: &[KeyValue]) -> Editions<BoundHistogram<f64>> {
        let bind = |histogram: &Histogram<f64>| histogram.bind(labels);
        Editions { latest: self.latest.as_ref().map(bind), v1_41: self.v1_41.as_ref().map(bind) }
    }
}

impl Editions<BoundHistogram<f64>> {
    pub(super) fn record(&self, seconds: f64) {
        for histogram in [&self.latest, &self.v1_41].into_iter().flatten() {
            histogram.record(seconds);
        }
    }
}

/// Binds counter and labels, with one label more.
pub(super) fn counter_of(
    counter: &Counter<u64>,
    labels: &[KeyValue],
    name: &'static str,
    value: &'static str,
) -> BoundCounter<u64> {
    counter.bind(&with(labels, name, value))
}

/// The labels and one more, in the order in which the SDK keeps them: it remembers any other as well.
pub(super) fn with(labels: &[KeyValue], name: &'static str, value: &'static str) -> Vec<KeyValue> {
    let mut all = labels.to_vec();
    all.push(KeyValue::new(name, value));
    all.sort_by(|a, b| a.key.cmp(&b.key));
    all
}

fn seconds(meter: &Meter, name: &'static str, help: &'static str, bounds: &[f64]) -> Histogram<f64> {
    let builder = meter.f64_histogram(name).with_unit("s").with_description(help);
    builder.with_boundaries(bounds.to_vec()).build()
}

fn tokens(meter: &Meter, name: &'static str, help: &'static str) -> Histogram<u64> {
    let builder = meter.u64_histogram(name).with_unit("{token}").with_description(help);
    builder.with_boundaries(TOKENS.to_vec()).build()
}
