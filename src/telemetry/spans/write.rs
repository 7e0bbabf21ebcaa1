//! A record as spans of OTLP: `opentelemetry/proto/trace/v1/trace.proto`, in the order of its fields.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Version};
use opentelemetry::trace::SpanId;

use super::cut;
use crate::telemetry::protobuf::Message;
use crate::telemetry::record::{
    AttemptError, AttemptRecord, CallRecord, Destination, PassedOver, Trace, limit_name,
};
use crate::telemetry::semconv::{self, Edition, egret, gen_ai, web};

/// The field of `ScopeSpans` that spans are.
const SPANS: u32 = 2;
/// `SPAN_KIND_SERVER`
const SERVER: u64 = 2;
/// `SPAN_KIND_CLIENT`
const CLIENT: u64 = 3;
/// `STATUS_CODE_ERROR`
const ERROR: u64 = 2;
/// The trace flag of sampled spans, and that whether the parent is remote is known (`SpanFlags`).
const FLAGS: u32 = 0x101;
/// That the parent is remote.
const REMOTE: u32 = 0x200;

/// Appends the spans of a call, those of its attempts and then its own, as fields of `ScopeSpans`.
pub(super) fn spans(record: &CallRecord, trace: &Trace, edition: Edition, out: &mut Vec<u8>) {
    let ended = u64::try_from(record.ended.as_nanosecond()).unwrap_or_default();
    let started = ended.saturating_sub(nanos(record.duration));
    let call = Written { record, trace, edition, started };
    let mut scope = Message::new(out);
    for (at, attempt) in record.attempts.iter().enumerate() {
        scope.message(SPANS, |span| call.client(at, attempt, span));
    }
    scope.message(SPANS, |span| call.server(span));
}

struct Written<'a> {
    record: &'a CallRecord,
    trace: &'a Trace,
    edition: Edition,
    /// Nanoseconds since 1970.
    started: u64,
}

impl Written<'_> {
    fn server(&self, span: &mut Message<'_>) {
        let Self { record, trace, .. } = self;
        let error = self.server_error();
        let method = known(&trace.method);
        let name = trace.title.or(method).unwrap_or("HTTP");
        self.open(span, trace.span, trace.parent, &[name], SERVER, (Duration::ZERO, record.duration));
        let mut set = Attributes { message: span, field: 9 };
        set.text(web::METHOD, method.unwrap_or("_OTHER"));
        if method.is_none() {
            set.text(web::METHOD_ORIGINAL, cut(trace.method.as_str()));
        }
        set.text(web::PATH, &trace.path);
        set.text(web::SCHEME, "http");
        set.maybe(web::ROUTE, trace.title.and_then(|title| title.split_once(' ')).map(|(_, path)| path));
        set.text(web::PROTOCOL_VERSION, version(trace.version));
        set.maybe(web::USER_AGENT, trace.user_agent.as_deref());
        set.maybe(web::CLIENT_ADDRESS, trace.client.map(address).as_deref());
        if !self.is_unheard() {
            set.int(web::STATUS, record.status.into());
        }
        set.maybe(web::ERROR_TYPE, error.as_deref());
        set.maybe(egret::REQUEST_ID, str::from_utf8(&record.id.hex()).ok());
        set.maybe(egret::TENANT, record.tenant.as_ref().map(|id| id.as_str()));
        set.maybe(egret::USER, record.user.as_ref().map(|id| id.as_str()));
        set.maybe(egret::APP, record.app.as_ref().map(|id| id.as_str()));
        set.maybe(egret::KEY, record.key.as_ref().map(|name| name.as_str()));
        set.maybe(egret::ROUTE, record.route.as_ref().map(|id| id.as_str()));
        set.maybe(egret::DOWNGRADED_TO, record.downgraded_to.as_ref().map(|id| id.as_str()));
        set.text(egret::OUTCOME, record.outcome);
        set.maybe(egret::REFUSAL, record.refusal);
        set.maybe(egret::REVISION, record.policy.as_ref().and_then(|digits| str::from_utf8(digits).ok()));
        set.int(egret::ATTEMPTS, record.attempts.len() as u64);
        if record.cut_bytes > 0 {
            set.int(egret::CUT_BYTES, record.cut_bytes);
        }
        if !record.lost.is_empty() {
            set.texts(egret::LOST, &record.lost);
        }
        self.candidates(&mut set);
        if !record.would_refuse.is_empty() {
            let names: Vec<_> =
                record.would_refuse.iter().map(|(owner, key)| limit_name(owner, key)).collect();
            set.texts(egret::WOULD_REFUSE, &names);
        }
        if let Some(usage) = &record.usage {
            set.int(egret::INPUT_TOKENS, usage.total_input().0);
            set.int(egret::OUTPUT_TOKENS, usage.total_output().0);
        }
        if let Some(cost) = record.cost {
            // A figure to look at: sums are made of the exact one in the access log.
            set.double(egret::COST, cost.0 as f64 / 1e9);
        }
        self.events(span);
        self.close(span, error.is_some(), trace.parent.is_some());
    }

    fn client(&self, at: usize, attempt: &AttemptRecord, span: &mut Message<'_>) {
        let Self { record, trace, .. } = self;
        let to = &*attempt.destination;
        let api = record.api.unwrap_or_default();
        let operation = semconv::operation(api);
        let error = record.attempt_error(at).map(AttemptError::name);
        let times = (attempt.began, attempt.began + attempt.lasted);
        let name = [operation, " ", &to.name];
        self.open(span, attempt.span, Some(trace.span), &name, CLIENT, times);
        let mut set = Attributes { message: span, field: 9 };
        set.text(gen_ai::OPERATION, operation);
        set.text(gen_ai::PROVIDER, &to.convention);
        if self.edition.has_v1_41() {
            set.text(gen_ai::SYSTEM, &to.convention);
        }
        set.text(gen_ai::REQUEST_MODEL, &to.name);
        if record.stream {
            set.yes(gen_ai::REQUEST_STREAM);
        }
        if let Some((host, port)) = &to.server {
            set.text(web::SERVER_ADDRESS, host);
            set.int(web::SERVER_PORT, (*port).into());
        }
        set.text(web::METHOD, "POST");
        if let Some(status) = attempt.status {
            set.int(web::STATUS, status.into());
        }
        if at > 0 {
            set.int(web::RESEND_COUNT, at as u64);
        }
        set.maybe(web::ERROR_TYPE, error.as_deref());
        set.text(egret::PROVIDER, to.provider.as_str());
        set.text(egret::MODEL, to.model.as_str());
        set.text(egret::OUTCOME, attempt.outcome);
        match api {
            "chat" => set.text(gen_ai::OPENAI_API, "chat_completions"),
            "responses" => set.text(gen_ai::OPENAI_API, "responses"),
            _ => {}
        }
        self.asked(&mut set);
        if let Some(after) = attempt.first_chunk {
            set.double(gen_ai::TIME_TO_FIRST_CHUNK, after.as_secs_f64());
        }
        if at + 1 == record.attempts.len() {
            self.answered(&mut set);
            self.usage(&mut set);
        }
        self.link(at, span);
        self.close(span, error.is_some(), false);
    }

    /// Everything before the attributes.
    fn open(
        &self,
        span: &mut Message<'_>,
        id: SpanId,
        parent: Option<SpanId>,
        name: &[&str],
        kind: u64,
        (from, to): (Duration, Duration),
    ) {
        span.bytes(1, self.trace.id.to_bytes());
        span.bytes(2, id.to_bytes());
        span.text(3, &self.trace.state);
        if let Some(parent) = parent {
            span.bytes(4, parent.to_bytes());
        }
        span.joined(5, name);
        span.varint(6, kind);
        span.fixed64(7, self.at(from));
        span.fixed64(8, self.at(to));
    }

    /// Everything after the links.
    fn close(&self, span: &mut Message<'_>, is_error: bool, parent_is_remote: bool) {
        if is_error {
            span.message(15, |status| status.varint(3, ERROR));
        }
        span.fixed32(16, if parent_is_remote { FLAGS | REMOTE } else { FLAGS });
    }

    fn at(&self, since: Duration) -> u64 {
        self.started.saturating_add(nanos(since))
    }

    /// Targets that came into question in their order, then those that did not; each with why it was not tried.
    fn candidates(&self, set: &mut Attributes<'_, '_>) {
        let (kept, CallRecord { passed_over, attempts, .. }) = (&self.trace.candidates, self.record);
        if kept.is_empty() && passed_over.is_empty() {
            return;
        }
        let is = |to: &Arc<Destination>, other: &Arc<Destination>| Arc::ptr_eq(to, other);
        set.value(egret::CANDIDATES, |any| {
            any.message(5, |array| {
                let mut say = |model: &str, what: &str| {
                    array.message(1, |any| any.joined(1, &[model, ": ", what]));
                };
                for to in kept {
                    let tried = attempts.iter().any(|attempt| is(&attempt.destination, to));
                    let passed = passed_over.iter().find(|passed| is(&passed.destination, to));
                    let what = match passed {
                        _ if tried => "tried",
                        Some(passed) => passed.reason,
                        None => "not needed",
                    };
                    say(to.model.as_str(), what);
                }
                for passed in passed_over {
                    if !kept.iter().any(|to| is(to, &passed.destination)) {
                        say(passed.destination.model.as_str(), passed.reason);
                    }
                }
            });
        });
    }

    /// HTTP's convention for servers: 5xx and broken answers are errors; what a caller did wrong, or that it left, is
    /// not.
    fn server_error(&self) -> Option<Cow<'static, str>> {
        let record = self.record;
        if record.outcome == "stream_interrupted" {
            let last = record.attempts.last().map_or("stream_interrupted", |last| last.outcome);
            return Some(Cow::Borrowed(if last == "answered" { "stream_interrupted" } else { last }));
        }
        (record.status >= 500).then(|| match record.refusal {
            Some(code) => Cow::Borrowed(code),
            None => Cow::Owned(record.status.to_string()),
        })
    }

    /// The caller left before a status was sent.
    fn is_unheard(&self) -> bool {
        self.record.outcome == "client_gone" && self.record.first_byte.is_none()
    }

    /// What happened on the way, in the order in which it did.
    fn events(&self, span: &mut Message<'_>) {
        let record = self.record;
        let mut passed_over = record.passed_over.iter().peekable();
        let mut before: Option<&AttemptRecord> = None;
        for attempt in &record.attempts {
            while let Some(passed) = passed_over.next_if(|passed| passed.at <= attempt.began) {
                self.passed_over(passed, span);
            }
            // One that another overtook has not failed.
            if let Some(from) = before.filter(|from| from.outcome != "hedged_away") {
                self.fallback(from, attempt, span);
            }
            before = Some(attempt);
        }
        passed_over.for_each(|passed| self.passed_over(passed, span));
        if let Some(code) = record.refusal {
            self.event(egret::REFUSAL, record.duration, span, |set| set.text(egret::REFUSAL, code));
        } else if let (Some(at), Some(_)) = (record.first_byte, before) {
            self.event(egret::COMMIT, at, span, |_| {});
        }
    }

    fn fallback(&self, from: &AttemptRecord, to: &AttemptRecord, span: &mut Message<'_>) {
        self.event(egret::FALLBACK, to.began, span, |set| {
            set.text(egret::REASON, from.outcome);
            set.text(egret::FROM_PROVIDER, from.destination.provider.as_str());
            set.text(egret::FROM_MODEL, from.destination.model.as_str());
            set.text(egret::TO_PROVIDER, to.destination.provider.as_str());
            set.text(egret::TO_MODEL, to.destination.model.as_str());
        });
    }

    fn passed_over(&self, passed: &PassedOver, span: &mut Message<'_>) {
        self.event(egret::PASSED_OVER, passed.at, span, |set| {
            set.text(egret::REASON, passed.reason);
            set.text(egret::PROVIDER, passed.destination.provider.as_str());
            set.text(egret::MODEL, passed.destination.model.as_str());
        });
    }

    fn event(
        &self,
        name: &str,
        at: Duration,
        span: &mut Message<'_>,
        say: impl FnOnce(&mut Attributes<'_, '_>),
    ) {
        span.message(11, |event| {
            event.fixed64(1, self.at(at));
            event.text(2, name);
            say(&mut Attributes { message: event, field: 3 });
        });
    }

    /// To the attempt whose failure led to this one.
    fn link(&self, at: usize, span: &mut Message<'_>) {
        if let Some(before) = at.checked_sub(1).and_then(|before| self.record.attempts.get(before)) {
            span.message(13, |link| {
                link.bytes(1, self.trace.id.to_bytes());
                link.bytes(2, before.span.to_bytes());
                link.fixed32(6, FLAGS);
            });
        }
    }

    fn asked(&self, set: &mut Attributes<'_, '_>) {
        let params = &self.trace.params;
        if let Some(tokens) = params.max_tokens {
            set.int(gen_ai::MAX_TOKENS, tokens);
        }
        let doubles = [
            (gen_ai::TEMPERATURE, params.temperature),
            (gen_ai::TOP_P, params.top_p),
            (gen_ai::FREQUENCY_PENALTY, params.frequency_penalty),
            (gen_ai::PRESENCE_PENALTY, params.presence_penalty),
        ];
        for (name, value) in doubles {
            if let Some(value) = value {
                set.double(name, value);
            }
        }
        if let Some(seed) = params.seed {
            set.signed(gen_ai::SEED, seed);
        }
        if let Some(count) = params.choice_count.filter(|count| *count != 1) {
            set.int(gen_ai::CHOICE_COUNT, count);
        }
        set.maybe(gen_ai::REASONING_LEVEL, params.reasoning_level);
        set.maybe(gen_ai::OUTPUT_TYPE, params.output_type);
    }

    /// What the answer says of itself. Of a broken one, the conventions want `error` where a reason is missing.
    fn answered(&self, set: &mut Attributes<'_, '_>) {
        let answer = &self.trace.answer;
        set.maybe(gen_ai::RESPONSE_ID, answer.id.as_deref());
        set.maybe(gen_ai::RESPONSE_MODEL, answer.model.as_deref());
        set.maybe(gen_ai::OPENAI_SERVICE_TIER, answer.service_tier.as_deref());
        set.maybe(gen_ai::OPENAI_FINGERPRINT, answer.system_fingerprint.as_deref());
        if !answer.finish_reasons.is_empty() {
            set.texts(gen_ai::FINISH_REASONS, &answer.finish_reasons);
        } else if self.record.outcome == "stream_interrupted" {
            set.texts(gen_ai::FINISH_REASONS, &["error"]);
        }
    }

    fn usage(&self, set: &mut Attributes<'_, '_>) {
        let Some(usage) = &self.record.usage else { return };
        set.int(gen_ai::INPUT_TOKENS, usage.total_input().0);
        set.int(gen_ai::OUTPUT_TOKENS, usage.total_output().0);
        let parts = [
            (gen_ai::CACHE_READ, usage.cache_read.0, true),
            (gen_ai::CACHE_WRITE, usage.cache_write.0, self.edition.has_latest()),
            (gen_ai::CACHE_CREATION, usage.cache_write.0, self.edition.has_v1_41()),
            (gen_ai::REASONING, usage.reasoning.0, true),
        ];
        for (name, tokens, named) in parts {
            if tokens > 0 && named {
                set.int(name, tokens);
            }
        }
    }
}

/// Appends `KeyValue`s (`opentelemetry/proto/common/v1/common.proto`) as a field of a message.
struct Attributes<'m, 'o> {
    message: &'m mut Message<'o>,
    field: u32,
}

impl Attributes<'_, '_> {
    fn text(&mut self, key: &str, value: &str) {
        self.message.pair(self.field, key, value);
    }

    fn maybe(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    fn yes(&mut self, key: &str) {
        self.value(key, |any| any.varint(2, 1));
    }

    /// OTLP has no unsigned integers: what is larger than its largest is that.
    fn int(&mut self, key: &str, value: u64) {
        self.signed(key, i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn signed(&mut self, key: &str, value: i64) {
        self.value(key, |any| any.varint(3, value.cast_unsigned()));
    }

    fn double(&mut self, key: &str, value: f64) {
        self.value(key, |any| any.fixed64(4, value.to_bits()));
    }

    fn texts<T: AsRef<str>>(&mut self, key: &str, values: &[T]) {
        self.value(key, |any| {
            any.message(5, |array| {
                for value in values {
                    array.message(1, |any| any.bytes(1, value.as_ref()));
                }
            });
        });
    }

    fn value(&mut self, key: &str, write: impl FnOnce(&mut Message<'_>)) {
        self.message.message(self.field, |pair| {
            pair.bytes(1, key);
            pair.message(2, write);
        });
    }
}

/// In a pod it is almost always this one.
fn address(client: IpAddr) -> Cow<'static, str> {
    if client == Ipv4Addr::LOCALHOST { Cow::Borrowed("127.0.0.1") } else { Cow::Owned(client.to_string()) }
}

/// The method, where HTTP's convention knows it: a caller may make up any other, and names of spans are to be few.
fn known(method: &Method) -> Option<&str> {
    const KNOWN: [Method; 9] = [
        Method::GET,
        Method::POST,
        Method::HEAD,
        Method::PUT,
        Method::DELETE,
        Method::CONNECT,
        Method::OPTIONS,
        Method::TRACE,
        Method::PATCH,
    ];
    KNOWN.contains(method).then(|| method.as_str())
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}
