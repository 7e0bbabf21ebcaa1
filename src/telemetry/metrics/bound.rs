//! Instruments bound to the labels of calls, found by where their names are in memory: no name is hashed.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use opentelemetry::metrics::{BoundCounter, BoundHistogram};
use opentelemetry::{KeyValue, Value};
use parking_lot::RwLock;

use super::instruments::{Editions, Instruments, Latest, V1_41, counter_of, with};
use super::{NONE, route, tenant};
use crate::ids::{RouteId, TenantId};
use crate::telemetry::record::{AttemptError, AttemptRecord, CallRecord, Destination, PassedOver};
use crate::telemetry::semconv::{self, egret, gen_ai, web};
use crate::usage::Usage;

/// So many rows are kept. A reload brings names at other places; the rows of the former ones go when this is reached,
/// and the instruments, which know the names alone, count on.
pub(super) const ROWS_MAX: usize = 8_192;

/// Rows by key.
pub(super) struct Rows<K, R>(RwLock<HashMap<K, R, BuildHasherDefault<Addresses>>>);

impl<K: Eq + Hash, R> Rows<K, R> {
    pub(super) fn new() -> Self {
        Self(RwLock::new(HashMap::default()))
    }

    /// Notes something in the row of a key, which is made if need be.
    pub(super) fn of(&self, key: K, make: impl FnOnce() -> R, note: impl FnOnce(&R)) {
        if let Some(row) = self.0.read().get(&key) {
            note(row);
            return;
        }
        let made = make();
        let mut rows = self.0.write();
        if rows.len() >= ROWS_MAX {
            rows.clear();
        }
        // Another call may have made it meanwhile; both count in the same place.
        note(rows.entry(key).or_insert(made));
    }
}

/// Hashes addresses, which no caller chooses: std's hash, which withstands those who do, costs several times as much.
#[derive(Default)]
pub(super) struct Addresses(u64);

impl Hasher for Addresses {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_u64(&mut self, word: u64) {
        // The odd number nearest to 2^64 divided by the golden ratio; it moves what differs to the upper bits.
        self.0 = (self.0.rotate_left(29) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        // The table takes its place from the lower bits, and a mark from the upper.
        self.0 ^ (self.0 >> 32)
    }
}

/// A word of ours by where it is in memory: whoever is there with the same length is the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Word(usize, usize);

impl Word {
    const NONE: Self = Self(0, 0);

    fn of(text: &'static str) -> Self {
        Self(text.as_ptr().addr(), text.len())
    }

    fn maybe(text: Option<&'static str>) -> Self {
        text.map_or(Self::NONE, Self::of)
    }
}

impl From<AttemptError> for Word {
    fn from(error: AttemptError) -> Self {
        match error {
            // Nothing is at the address 0.
            AttemptError::Status(status) => Self(0, usize::from(status)),
            AttemptError::Named(name) => Self::of(name),
        }
    }
}

/// What calls have in common that count in one row. Addresses mean what they did, for the row keeps the names alive.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct CallKey {
    tenant: usize,
    route: usize,
    api: Word,
    outcome: Word,
    refusal: Word,
}

impl CallKey {
    pub(super) fn of(record: &CallRecord) -> Self {
        Self {
            tenant: record.tenant.as_ref().map_or(0, TenantId::address),
            route: record.route.as_ref().map_or(0, RouteId::address),
            api: Word::maybe(record.api),
            outcome: Word::of(record.outcome),
            refusal: Word::maybe(record.refusal),
        }
    }
}

/// What a call counts in.
pub(super) struct CallRow {
    calls: BoundCounter<u64>,
    overhead: BoundHistogram<f64>,
    /// Bound with the first call that waited.
    queued: OnceLock<BoundHistogram<f64>>,
    refusals: Option<BoundCounter<u64>>,
    _names: (Option<TenantId>, Option<RouteId>),
}

impl CallRow {
    pub(super) fn bind(on: &Instruments, record: &CallRecord) -> Self {
        let operation = KeyValue::new(gen_ai::OPERATION, operation(record));
        let outcome = KeyValue::new(egret::OUTCOME, record.outcome);
        Self {
            calls: on.calls.bind(&[outcome, route(record), tenant(record), operation.clone()]),
            overhead: on.overhead.bind(&[operation]),
            queued: OnceLock::new(),
            refusals: record
                .refusal
                .map(|code| on.refusals.bind(&[KeyValue::new(egret::REFUSAL, code), tenant(record)])),
            _names: (record.tenant.clone(), record.route.clone()),
        }
    }

    pub(super) fn note(&self, on: &Instruments, record: &CallRecord) {
        self.calls.add(1);
        if !record.queued.is_zero() {
            let queued = self.queued.get_or_init(|| on.queued.bind(&[tenant(record)]));
            queued.record(record.queued.as_secs_f64());
        }
        if let Some(overhead) = record.overhead() {
            self.overhead.record(overhead.as_secs_f64());
        }
        if let Some(refusals) = &self.refusals {
            refusals.add(1);
        }
    }
}

/// What targets have in common that are passed over and count in one row.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct PassedKey {
    route: usize,
    destination: usize,
    reason: Word,
}

impl PassedKey {
    pub(super) fn of(record: &CallRecord, passed: &PassedOver) -> Self {
        Self {
            route: record.route.as_ref().map_or(0, RouteId::address),
            destination: Arc::as_ptr(&passed.destination).addr(),
            reason: Word::of(passed.reason),
        }
    }
}

/// What a target that is passed over counts in.
pub(super) struct PassedRow {
    passed_over: BoundCounter<u64>,
    _names: (Option<RouteId>, Arc<Destination>),
}

impl PassedRow {
    pub(super) fn bind(on: &Instruments, record: &CallRecord, passed: &PassedOver) -> Self {
        let to = &*passed.destination;
        // In the order in which the SDK keeps them.
        let labels = [
            KeyValue::new(egret::MODEL, to.model.shared()),
            KeyValue::new(egret::PROVIDER, to.provider.shared()),
            KeyValue::new(egret::REASON, passed.reason),
            route(record),
        ];
        let names = (record.route.clone(), Arc::clone(&passed.destination));
        Self { passed_over: on.passed_over.bind(&labels), _names: names }
    }

    pub(super) fn note(&self) {
        self.passed_over.add(1);
    }
}

/// What attempts have in common that count in one row.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct AttemptKey {
    tenant: usize,
    destination: usize,
    api: Word,
    outcome: Word,
    error: Word,
}

impl AttemptKey {
    pub(super) fn of(record: &CallRecord, at: usize, attempt: &AttemptRecord) -> Self {
        Self {
            tenant: record.tenant.as_ref().map_or(0, TenantId::address),
            destination: Arc::as_ptr(&attempt.destination).addr(),
            api: Word::maybe(record.api),
            outcome: Word::of(attempt.outcome),
            error: error(record, at, attempt).map_or(Word::NONE, Word::from),
        }
    }
}

/// What an attempt counts in. What not every attempt has is bound when the first has it: no series for what never
/// happens.
pub(super) struct AttemptRow {
    attempts: BoundCounter<u64>,
    duration: Editions<BoundHistogram<f64>>,
    first_chunk: OnceLock<Editions<BoundHistogram<f64>>>,
    served: OnceLock<Option<BoundHistogram<f64>>>,
    streamed: OnceLock<Option<Streamed>>,
    used: OnceLock<Used>,
    cost: OnceLock<BoundCounter<f64>>,
    /// Without `error.type`.
    labels: Vec<KeyValue>,
    error: Option<AttemptError>,
    _names: (Option<TenantId>, Arc<Destination>),
}

impl AttemptRow {
    pub(super) fn bind(on: &Instruments, record: &CallRecord, at: usize, attempt: &AttemptRecord) -> Self {
        let to = &*attempt.destination;
        let labels = vec![
            KeyValue::new(egret::PROVIDER, to.provider.shared()),
            tenant(record),
            KeyValue::new(gen_ai::OPERATION, operation(record)),
            KeyValue::new(gen_ai::PROVIDER, Arc::clone(&to.convention)),
            KeyValue::new(gen_ai::REQUEST_MODEL, Arc::clone(&to.name)),
        ];
        let error = error(record, at, attempt);
        let attempts = [
            KeyValue::new(egret::MODEL, to.model.shared()),
            KeyValue::new(egret::OUTCOME, attempt.outcome),
            KeyValue::new(egret::PROVIDER, to.provider.shared()),
        ];
        Self {
            attempts: on.attempts.bind(&attempts),
            duration: on.duration.bind(&failed(&labels, error)),
            first_chunk: OnceLock::new(),
            served: OnceLock::new(),
            streamed: OnceLock::new(),
            used: OnceLock::new(),
            cost: OnceLock::new(),
            labels,
            error,
            _names: (record.tenant.clone(), Arc::clone(&attempt.destination)),
        }
    }

    pub(super) fn note(&self, on: &Instruments, record: &CallRecord, at: usize, attempt: &AttemptRecord) {
        self.attempts.add(1);
        self.duration.record(attempt.lasted.as_secs_f64());
        if let Some(first_chunk) = attempt.first_chunk {
            let bind = || on.first_chunk.bind(&failed(&self.labels, self.error));
            self.first_chunk.get_or_init(bind).record(first_chunk.as_secs_f64());
        }
        // Tokens and the call as a whole belong to the attempt that was the last.
        if at + 1 == record.attempts.len() {
            self.note_call(on, record, attempt);
        }
    }

    fn note_call(&self, on: &Instruments, record: &CallRecord, attempt: &AttemptRecord) {
        let labels = || failed(&self.labels, self.error);
        let v1_41 = on.v1_41.as_ref();
        let served = self.served.get_or_init(|| v1_41.map(|on| on.server_duration.bind(&labels())));
        if let Some(served) = served {
            served.record(record.duration.as_secs_f64());
        }
        if attempt.first_chunk.is_some() {
            let streamed = self.streamed.get_or_init(|| v1_41.map(|on| Streamed::bind(on, &labels())));
            if let Some(streamed) = streamed {
                streamed.note(record);
            }
        }
        if let Some(usage) = &record.usage {
            self.used.get_or_init(|| Used::bind(on, &self.labels)).note(on, &self.labels, usage);
        }
        if let Some(cost) = record.cost {
            let bind = || on.cost.bind(&costs(record, &attempt.destination));
            self.cost.get_or_init(bind).add(cost.0 as f64 / 1e9);
        }
    }
}

/// What a streamed call counts in.
struct Streamed {
    first_token: BoundHistogram<f64>,
    per_token: BoundHistogram<f64>,
}

impl Streamed {
    fn bind(on: &V1_41, labels: &[KeyValue]) -> Self {
        Self { first_token: on.server_first_token.bind(labels), per_token: on.server_per_token.bind(labels) }
    }

    fn note(&self, record: &CallRecord) {
        let Some(first_byte) = record.first_byte else { return };
        self.first_token.record(first_byte.as_secs_f64());
        let tokens = record.usage.map_or(0, |usage| usage.total_output().0);
        if tokens >= 2 {
            let rest = record.duration.saturating_sub(first_byte);
            self.per_token.record(rest.as_secs_f64() / (tokens - 1) as f64);
        }
    }
}

/// What tokens count in.
struct Used {
    latest: Option<UsedLatest>,
    v1_41: Option<UsedV1_41>,
}

struct UsedLatest {
    input: BoundCounter<u64>,
    output: BoundCounter<u64>,
    input_audio: OnceLock<BoundCounter<u64>>,
    output_audio: OnceLock<BoundCounter<u64>>,
    cache_read: OnceLock<BoundCounter<u64>>,
    cache_write: OnceLock<BoundCounter<u64>>,
    reasoning: OnceLock<BoundCounter<u64>>,
    operation_input: BoundHistogram<u64>,
    operation_output: BoundHistogram<u64>,
}

struct UsedV1_41 {
    input: BoundHistogram<u64>,
    output: BoundHistogram<u64>,
}

impl Used {
    fn bind(on: &Instruments, labels: &[KeyValue]) -> Self {
        let of_type = |on: &V1_41, which| on.token_usage.bind(&with(labels, gen_ai::TOKEN_TYPE, which));
        Self {
            latest: on.latest.as_ref().map(|on| UsedLatest::bind(on, labels)),
            v1_41: on
                .v1_41
                .as_ref()
                .map(|on| UsedV1_41 { input: of_type(on, "input"), output: of_type(on, "output") }),
        }
    }

    fn note(&self, on: &Instruments, labels: &[KeyValue], usage: &Usage) {
        if let (Some(used), Some(on)) = (&self.latest, &on.latest) {
            used.note(on, labels, usage);
        }
        if let Some(used) = &self.v1_41 {
            used.input.record(usage.total_input().0);
            used.output.record(usage.total_output().0);
        }
    }
}

impl UsedLatest {
    fn bind(on: &Latest, labels: &[KeyValue]) -> Self {
        Self {
            input: counter_of(&on.input, labels, gen_ai::TOKEN_MODALITY, TEXT),
            output: counter_of(&on.output, labels, gen_ai::TOKEN_MODALITY, TEXT),
            input_audio: OnceLock::new(),
            output_audio: OnceLock::new(),
            cache_read: OnceLock::new(),
            cache_write: OnceLock::new(),
            reasoning: OnceLock::new(),
            operation_input: on.operation_input.bind(labels),
            operation_output: on.operation_output.bind(labels),
        }
    }

    fn note(&self, on: &Latest, labels: &[KeyValue], usage: &Usage) {
        let (input, output) = (usage.total_input(), usage.total_output());
        self.input.add(input.saturating_sub(usage.input_audio).0);
        self.output.add(output.saturating_sub(usage.output_audio).0);
        self.operation_input.record(input.0);
        self.operation_output.record(output.0);
        for (cell, counter, modality, tokens) in [
            (&self.input_audio, &on.input, AUDIO, usage.input_audio),
            (&self.output_audio, &on.output, AUDIO, usage.output_audio),
            (&self.cache_read, &on.cache_read, TEXT, usage.cache_read),
            (&self.cache_write, &on.cache_write, TEXT, usage.cache_write),
            (&self.reasoning, &on.reasoning, TEXT, usage.reasoning),
        ] {
            if tokens.0 > 0 {
                let bind = || counter_of(counter, labels, gen_ai::TOKEN_MODALITY, modality);
                cell.get_or_init(bind).add(tokens.0);
            }
        }
    }
}

/// The modalities that usage tells apart.
const TEXT: &str = "text";
const AUDIO: &str = "audio";

/// The operation's name in the conventions; none where nothing is served at the path.
fn operation(record: &CallRecord) -> &'static str {
    record.api.map_or(NONE, semconv::operation)
}

/// Why an attempt's times are not those of an answer. Unlike in spans, that the caller left is said here: the times of
/// what it did not wait for would pass for an answer's.
fn error(record: &CallRecord, at: usize, attempt: &AttemptRecord) -> Option<AttemptError> {
    let last = at + 1 == record.attempts.len();
    let left = attempt.outcome == "abandoned" || (last && record.outcome == "client_gone");
    let error = record.attempt_error(at).or_else(|| left.then_some(AttemptError::Named("client_gone")));
    match error {
        // Statuses are the provider's to choose: those that HTTP has not are one.
        Some(AttemptError::Status(status)) if !(400..600).contains(&status) => {
            Some(AttemptError::Named("_OTHER"))
        }
        error => error,
    }
}

/// The labels of what an answer costs.
fn costs(record: &CallRecord, to: &Destination) -> [KeyValue; 3] {
    [
        KeyValue::new(egret::MODEL, to.model.shared()),
        KeyValue::new(egret::PROVIDER, to.provider.shared()),
        tenant(record),
    ]
}

/// The labels of an attempt's times.
fn failed(labels: &[KeyValue], error: Option<AttemptError>) -> Vec<KeyValue> {
    let error = error.map(|error| KeyValue::new(web::ERROR_TYPE, Value::from(error)));
    // In the order in which the SDK keeps them: `egret.`, `error.`, `gen_ai.`.
    let mut all: Vec<KeyValue> = labels.iter().cloned().chain(error).collect();
    all.sort_by(|a, b| a.key.cmp(&b.key));
    all
}
