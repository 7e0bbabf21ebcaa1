//! A record as spans.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use http::Version;
use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags};
use opentelemetry::{InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::telemetry::record::{AttemptRecord, CallRecord, Destination, PassedOver, Trace};
use crate::telemetry::semconv::{self, Edition, egret, gen_ai, web};

/// Gives the spans of a call: those of its attempts, then its own.
pub(super) fn spans(
    record: &CallRecord,
    trace: &Trace,
    edition: Edition,
    scope: &InstrumentationScope,
    mut give: impl FnMut(SpanData),
) {
    let call = Built { record, trace, edition, scope, started: started(record) };
    for at in 0..record.attempts.len() {
        if let Some(span) = call.client(at) {
            give(span);
        }
    }
    give(call.server());
}

fn started(record: &CallRecord) -> SystemTime {
    let ended = SystemTime::from(record.ended);
    ended.checked_sub(record.duration).unwrap_or(ended)
}

struct Built<'a> {
    record: &'a CallRecord,
    trace: &'a Trace,
    edition: Edition,
    scope: &'a InstrumentationScope,
    started: SystemTime,
}

impl Built<'_> {
    fn server(&self) -> SpanData {
        let Self { record, trace, .. } = self;
        let name = match trace.title {
            Some(title) => Cow::Borrowed(title),
            None => Cow::Owned(trace.method.as_str().to_owned()),
        };
        let error = self.server_error();
        let mut attributes = Attributes::with_capacity(24);
        attributes.add(web::METHOD, trace.method.as_str().to_owned());
        attributes.add(web::PATH, String::from(&*trace.path));
        attributes.add(web::SCHEME, "http");
        attributes
            .maybe(web::ROUTE, trace.title.and_then(|title| title.split_once(' ')).map(|(_, path)| path));
        attributes.add(web::PROTOCOL_VERSION, version(trace.version));
        attributes.maybe(web::USER_AGENT, trace.user_agent.as_deref().map(str::to_owned));
        attributes.maybe(web::CLIENT_ADDRESS, trace.client.map(|address| address.to_string()));
        if !self.is_unheard() {
            attributes.add(web::STATUS, i64::from(record.status));
        }
        attributes.maybe(web::ERROR_TYPE, error.clone());
        attributes.add(egret::REQUEST_ID, record.id.to_string());
        attributes.maybe(egret::TENANT, record.tenant.as_ref().map(|id| id.shared()));
        attributes.maybe(egret::USER, record.user.as_ref().map(|id| id.shared()));
        attributes.maybe(egret::APP, record.app.as_ref().map(|id| id.shared()));
        attributes.maybe(egret::KEY, record.key.as_ref().map(|name| name.shared()));
        attributes.maybe(egret::ROUTE, record.route.as_ref().map(|id| id.shared()));
        attributes.add(egret::OUTCOME, record.outcome);
        attributes.maybe(egret::REFUSAL, record.refusal);
        let revision = record.policy.and_then(|digits| String::from_utf8(digits.to_vec()).ok());
        attributes.maybe(egret::REVISION, revision);
        attributes.add(egret::ATTEMPTS, int(record.attempts.len() as u64));
        if let Some(usage) = &record.usage {
            attributes.add(egret::INPUT_TOKENS, int(usage.total_input().0));
            attributes.add(egret::OUTPUT_TOKENS, int(usage.total_output().0));
        }
        // A figure to look at: sums are made of the exact one in the access log.
        attributes.maybe(egret::COST, record.cost.map(|cost| cost.0 as f64 / 1e9));
        let status = if error.is_some() { Status::error("") } else { Status::Unset };
        let mut span = self.span(trace.span, SpanKind::Server, name, Duration::ZERO, record.duration);
        span.parent_span_id = trace.parent.unwrap_or(SpanId::INVALID);
        span.parent_span_is_remote = trace.parent.is_some();
        span.attributes = attributes.0;
        span.events = self.events();
        span.status = status;
        span
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
    fn events(&self) -> SpanEvents {
        let record = self.record;
        let fallbacks = record.attempts.windows(2).filter_map(|pair| match pair {
            [from, to] => Some((to.began, fallback(from, to))),
            _ => None,
        });
        let passed_over = record.passed_over.iter().map(|passed| (passed.at, passed_over(passed)));
        let mut seen: Vec<(Duration, (&'static str, Vec<KeyValue>))> = fallbacks.chain(passed_over).collect();
        if let Some(code) = record.refusal {
            seen.push((record.duration, (egret::REFUSAL, vec![KeyValue::new(egret::REFUSAL, code)])));
        } else if let (Some(at), Some(_)) = (record.first_byte, record.attempts.last()) {
            seen.push((at, (egret::COMMIT, Vec::new())));
        }
        seen.sort_by_key(|(at, _)| *at);
        let mut events = SpanEvents::default();
        let event = |(at, (name, attributes))| Event::new(name, self.started + at, attributes, 0);
        events.events = seen.into_iter().map(event).collect();
        events
    }

    fn client(&self, at: usize) -> Option<SpanData> {
        let Self { record, trace, .. } = self;
        let attempt = record.attempts.get(at)?;
        let to = &*attempt.destination;
        let api = record.api.unwrap_or_default();
        let operation = semconv::operation(api);
        let error = self.client_error(at, attempt);
        let mut attributes = Attributes::with_capacity(28);
        attributes.add(gen_ai::OPERATION, operation);
        attributes.add(gen_ai::PROVIDER, to.convention.clone());
        if self.edition.has_v1_41() {
            attributes.add(gen_ai::SYSTEM, to.convention.clone());
        }
        attributes.add(gen_ai::REQUEST_MODEL, to.name.clone());
        if record.stream {
            attributes.add(gen_ai::REQUEST_STREAM, true);
        }
        if let Some((host, port)) = &to.server {
            attributes.add(web::SERVER_ADDRESS, host.clone());
            attributes.add(web::SERVER_PORT, i64::from(*port));
        }
        attributes.add(web::METHOD, "POST");
        attributes.maybe(web::STATUS, attempt.status.map(i64::from));
        if at > 0 {
            attributes.add(web::RESEND_COUNT, int(at as u64));
        }
        attributes.maybe(web::ERROR_TYPE, error.clone());
        attributes.add(egret::PROVIDER, to.provider.shared());
        attributes.add(egret::MODEL, to.model.shared());
        attributes.add(egret::OUTCOME, attempt.outcome);
        match api {
            "chat" => attributes.add(gen_ai::OPENAI_API, "chat_completions"),
            "responses" => attributes.add(gen_ai::OPENAI_API, "responses"),
            _ => {}
        }
        self.asked(&mut attributes);
        let first_chunk = attempt.first_chunk.map(|after| after.as_secs_f64());
        attributes.maybe(gen_ai::TIME_TO_FIRST_CHUNK, first_chunk);
        if at + 1 == record.attempts.len() {
            self.answered(&mut attributes);
            self.usage(&mut attributes);
        }
        let name = Cow::Owned(format!("{operation} {}", to.name));
        let ended = attempt.began + attempt.lasted;
        let mut span = self.span(attempt.span, SpanKind::Client, name, attempt.began, ended);
        span.parent_span_id = trace.span;
        span.attributes = attributes.0;
        span.status = if error.is_some() { Status::error("") } else { Status::Unset };
        span.links = self.links(at);
        Some(span)
    }

    /// HTTP's convention for clients: 4xx and 5xx are errors, and whatever gave no answer; that the caller left is not.
    fn client_error(&self, at: usize, attempt: &AttemptRecord) -> Option<Cow<'static, str>> {
        if let Some(status) = attempt.status.filter(|status| *status >= 400) {
            return Some(Cow::Owned(status.to_string()));
        }
        let last = at + 1 == self.record.attempts.len();
        match attempt.outcome {
            "answered" if last && self.record.outcome == "stream_interrupted" => {
                Some(Cow::Borrowed("stream_interrupted"))
            }
            "answered" | "abandoned" => None,
            outcome if outcome.ends_with("timeout") => Some(Cow::Borrowed("timeout")),
            outcome => Some(Cow::Borrowed(outcome)),
        }
    }

    /// The attempt whose failure led to this one.
    fn links(&self, at: usize) -> SpanLinks {
        let mut links = SpanLinks::default();
        if let Some(before) = at.checked_sub(1).and_then(|before| self.record.attempts.get(before)) {
            links.links.push(Link::with_context(self.context(before.span)));
        }
        links
    }

    fn asked(&self, attributes: &mut Attributes) {
        let params = &self.trace.params;
        attributes.maybe(gen_ai::MAX_TOKENS, params.max_tokens.map(int));
        attributes.maybe(gen_ai::TEMPERATURE, params.temperature);
        attributes.maybe(gen_ai::TOP_P, params.top_p);
        attributes.maybe(gen_ai::FREQUENCY_PENALTY, params.frequency_penalty);
        attributes.maybe(gen_ai::PRESENCE_PENALTY, params.presence_penalty);
        attributes.maybe(gen_ai::SEED, params.seed);
        attributes.maybe(gen_ai::CHOICE_COUNT, params.choice_count.filter(|count| *count != 1).map(int));
        attributes.maybe(gen_ai::REASONING_LEVEL, params.reasoning_level);
        attributes.maybe(gen_ai::OUTPUT_TYPE, params.output_type);
    }

    /// What the answer says of itself. Of a broken one, the conventions want `error` where a reason is missing.
    fn answered(&self, attributes: &mut Attributes) {
        let answer = &self.trace.answer;
        let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        attributes.maybe(gen_ai::RESPONSE_ID, text(&answer.id));
        attributes.maybe(gen_ai::RESPONSE_MODEL, text(&answer.model));
        attributes.maybe(gen_ai::OPENAI_SERVICE_TIER, text(&answer.service_tier));
        attributes.maybe(gen_ai::OPENAI_FINGERPRINT, text(&answer.system_fingerprint));
        let broken = self.record.outcome == "stream_interrupted" && answer.finish_reasons.is_empty();
        let reasons: Vec<StringValue> = match broken {
            true => vec!["error".into()],
            false => answer.finish_reasons.iter().map(|reason| StringValue::from(*reason)).collect(),
        };
        if !reasons.is_empty() {
            attributes.add(gen_ai::FINISH_REASONS, Value::Array(reasons.into()));
        }
    }

    fn usage(&self, attributes: &mut Attributes) {
        let Some(usage) = &self.record.usage else { return };
        attributes.add(gen_ai::INPUT_TOKENS, int(usage.total_input().0));
        attributes.add(gen_ai::OUTPUT_TOKENS, int(usage.total_output().0));
        let mut part = |name, tokens: u64| {
            if tokens > 0 {
                attributes.add(name, int(tokens));
            }
        };
        part(gen_ai::CACHE_READ, usage.cache_read.0);
        if self.edition.has_latest() {
            part(gen_ai::CACHE_WRITE, usage.cache_write.0);
        }
        if self.edition.has_v1_41() {
            part(gen_ai::CACHE_CREATION, usage.cache_write.0);
        }
        part(gen_ai::REASONING, usage.reasoning.0);
    }

    fn context(&self, span: SpanId) -> SpanContext {
        SpanContext::new(self.trace.id, span, TraceFlags::SAMPLED, false, self.trace.state.clone())
    }

    /// A span without attributes, from one moment of the call to another.
    fn span(
        &self,
        id: SpanId,
        kind: SpanKind,
        name: Cow<'static, str>,
        from: Duration,
        to: Duration,
    ) -> SpanData {
        SpanData {
            span_context: self.context(id),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: kind,
            name,
            start_time: self.started + from,
            end_time: self.started + to,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

fn fallback(from: &AttemptRecord, to: &AttemptRecord) -> (&'static str, Vec<KeyValue>) {
    let (left, reached): (&Destination, &Destination) = (&from.destination, &to.destination);
    let attributes = vec![
        KeyValue::new(egret::REASON, from.outcome),
        KeyValue::new(egret::FROM_PROVIDER, left.provider.shared()),
        KeyValue::new(egret::FROM_MODEL, left.model.shared()),
        KeyValue::new(egret::TO_PROVIDER, reached.provider.shared()),
        KeyValue::new(egret::TO_MODEL, reached.model.shared()),
    ];
    (egret::FALLBACK, attributes)
}

fn passed_over(passed: &PassedOver) -> (&'static str, Vec<KeyValue>) {
    let attributes = vec![
        KeyValue::new(egret::REASON, passed.reason),
        KeyValue::new(egret::PROVIDER, passed.destination.provider.shared()),
        KeyValue::new(egret::MODEL, passed.destination.model.shared()),
    ];
    (egret::PASSED_OVER, attributes)
}

/// Attributes in the making.
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    fn add(&mut self, key: &'static str, value: impl Into<Value>) {
        self.0.push(KeyValue::new(key, value));
    }

    fn maybe(&mut self, key: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.add(key, value);
        }
    }
}

/// OTLP has no unsigned integers.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}
