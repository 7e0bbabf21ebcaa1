//! A record as one line of JSON, written by hand: one pass into a buffer that is used again.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use opentelemetry::trace::TraceId;

use crate::clock::Timestamp;
use crate::ids::LimitKey;
use crate::limits::Owner;
use crate::telemetry::record::{AttemptRecord, CallRecord, PassedOver, limit_name};
use crate::usage::Usage;

/// A member's key as it is written, with the comma before it, which [`Object::open`] leaves out.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

/// Writes lines one after the other; keeps its buffer, and what lines of one second have in common.
#[derive(Debug, Default)]
pub(super) struct Writer {
    text: String,
    /// Of the last line: seconds since 1970, and as text up to them.
    second: Option<i64>,
    date: String,
}

/// A buffer that one long line has blown up is given back.
const ROOM_KEPT: usize = 8 * 1024;

impl Writer {
    /// The record's line, with its line break.
    pub(super) fn write(&mut self, record: &CallRecord) -> &str {
        self.text.clear();
        self.text.shrink_to(ROOM_KEPT);
        self.date_of(record.ended);
        let line = Object::open(&mut self.text, key!("timestamp"));
        timestamp(line.text, &self.date, record.ended);
        append(line, record);
        self.text.push('\n');
        &self.text
    }

    fn date_of(&mut self, ended: Timestamp) {
        let second = ended.as_second();
        if self.second != Some(second) {
            self.second = Some(second);
            self.date.clear();
            // `2026-11-20T18:42:32Z`, or with a fraction: what stands before it is the same for the whole second.
            let _ = write!(self.date, "{ended:.3}");
            self.date.truncate(self.date.len().saturating_sub(".000Z".len()));
        }
    }
}

fn timestamp(text: &mut String, date: &str, ended: Timestamp) {
    text.push('"');
    text.push_str(date);
    text.push('.');
    thousandths(text, u64::from(ended.subsec_millisecond().unsigned_abs()));
    text.push_str("Z\"");
}

fn append(mut line: Object<'_>, record: &CallRecord) {
    line.word(key!("request_id"), str::from_utf8(&record.id.hex()).ok());
    line.name(key!("caller_request_id"), record.caller_id.as_deref());
    if let Some(trace) = &record.trace {
        line.key(key!("trace_id"));
        trace_id(line.text, trace.id);
    }
    line.name(key!("tenant"), record.tenant.as_ref().map(|id| id.as_str()));
    line.name(key!("user"), record.user.as_ref().map(|id| id.as_str()));
    line.name(key!("app"), record.app.as_ref().map(|id| id.as_str()));
    line.name(key!("key"), record.key.as_ref().map(|name| name.as_str()));
    line.word(key!("api"), record.api);
    line.name(key!("route"), record.route.as_ref().map(|id| id.as_str()));
    line.name(key!("downgraded_to"), record.downgraded_to.as_ref().map(|id| id.as_str()));
    line.name(key!("model"), record.destination().map(|at| at.model.as_str()));
    line.name(key!("provider"), record.destination().map(|at| at.provider.as_str()));
    line.flag(key!("stream"), record.stream);
    line.number(key!("status"), record.status.into());
    line.word(key!("outcome"), Some(record.outcome));
    line.word(key!("refusal"), record.refusal);
    attempts(&mut line, &record.attempts);
    passed_over(&mut line, &record.passed_over);
    would_refuse(&mut line, &record.would_refuse);
    lost(&mut line, &record.lost);
    if let Some(usage) = &record.usage {
        line.key(key!("usage"));
        parts(line.text, usage);
    }
    if let Some(cost) = record.cost {
        line.key(key!("cost_usd"));
        line.text.push_str(cost.text().as_str());
    }
    line.millis(key!("duration_ms"), record.duration);
    if let Some(first_byte) = record.first_byte {
        line.millis(key!("first_byte_ms"), first_byte);
    }
    if !record.queued.is_zero() {
        line.millis(key!("queued_ms"), record.queued);
    }
    line.number(key!("bytes_in"), record.bytes_in);
    if record.cut_bytes > 0 {
        line.number(key!("cut_bytes"), record.cut_bytes);
    }
    line.number(key!("bytes_out"), record.bytes_out);
    line.word(key!("policy"), record.policy.as_ref().and_then(|digits| str::from_utf8(digits).ok()));
    line.name(key!("upstream_request_id"), record.upstream_request_id.as_deref());
    line.close();
}

/// 32 hex digits.
fn trace_id(text: &mut String, id: TraceId) {
    let _ = write!(text, "\"{id}\"");
}

fn attempts(line: &mut Object<'_>, attempts: &[AttemptRecord]) {
    line.key(key!("attempts"));
    line.text.push('[');
    for (at, attempt) in attempts.iter().enumerate() {
        if at > 0 {
            line.text.push(',');
        }
        let mut object = Object::open(line.text, key!("provider"));
        quoted(object.text, attempt.destination.provider.as_str());
        object.name(key!("model"), Some(attempt.destination.model.as_str()));
        object.word(key!("outcome"), Some(attempt.outcome));
        if let Some(status) = attempt.status {
            object.number(key!("status"), status.into());
        }
        object.millis(key!("ms"), attempt.duration);
        object.close();
    }
    line.text.push(']');
}

fn passed_over(line: &mut Object<'_>, targets: &[PassedOver]) {
    if targets.is_empty() {
        return;
    }
    line.key(key!("passed_over"));
    line.text.push('[');
    for (at, passed) in targets.iter().enumerate() {
        if at > 0 {
            line.text.push(',');
        }
        let mut object = Object::open(line.text, key!("provider"));
        quoted(object.text, passed.destination.provider.as_str());
        object.name(key!("model"), Some(passed.destination.model.as_str()));
        object.word(key!("reason"), Some(passed.reason));
        object.close();
    }
    line.text.push(']');
}

fn would_refuse(line: &mut Object<'_>, limits: &[(Owner, LimitKey)]) {
    if limits.is_empty() {
        return;
    }
    line.key(key!("would_refuse"));
    line.text.push('[');
    for (at, (owner, key)) in limits.iter().enumerate() {
        if at > 0 {
            line.text.push(',');
        }
        quoted(line.text, &limit_name(owner, key));
    }
    line.text.push(']');
}

fn lost(line: &mut Object<'_>, fields: &[Cow<'static, str>]) {
    if fields.is_empty() {
        return;
    }
    line.key(key!("lost"));
    line.text.push('[');
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            line.text.push(',');
        }
        quoted(line.text, field);
    }
    line.text.push(']');
}

fn parts(text: &mut String, usage: &Usage) {
    let Usage { input, cache_read, cache_write, input_audio, output, reasoning, output_audio } = *usage;
    let parts = [
        (key!("input"), input),
        (key!("cache_read"), cache_read),
        (key!("cache_write"), cache_write),
        (key!("input_audio"), input_audio),
        (key!("output"), output),
        (key!("reasoning"), reasoning),
        (key!("output_audio"), output_audio),
    ];
    let sums = [
        (key!("total_input"), usage.total_input()),
        (key!("total_output"), usage.total_output()),
        (key!("total"), usage.total()),
    ];
    let mut counts = parts.into_iter().filter(|(_, tokens)| tokens.0 > 0).chain(sums);
    let Some((first, tokens)) = counts.next() else {
        return;
    };
    let mut object = Object::open(text, first);
    number(object.text, tokens.0);
    for (key, tokens) in counts {
        object.number(key, tokens.0);
    }
    object.close();
}

/// A JSON object under way. Written without `format!`, which would take longer than all the rest of a line.
struct Object<'a> {
    text: &'a mut String,
}

impl<'a> Object<'a> {
    /// Begins an object and its first member, whose value is next.
    fn open(text: &'a mut String, first: &'static str) -> Self {
        text.push('{');
        text.push_str(first.get(1..).unwrap_or_default());
        Self { text }
    }

    fn close(self) {
        self.text.push('}');
    }

    /// Begins another member, by a [`key!`]. Where the key's length is known in advance, copying it takes two moves
    /// instead of a call.
    #[inline(always)]
    fn key(&mut self, key: &'static str) {
        self.text.push_str(key);
    }

    #[inline(always)]
    fn flag(&mut self, key: &'static str, value: bool) {
        self.key(key);
        self.text.push_str(if value { "true" } else { "false" });
    }

    #[inline(always)]
    fn number(&mut self, key: &'static str, value: u64) {
        self.key(key);
        number(self.text, value);
    }

    /// With three decimals.
    #[inline(always)]
    fn millis(&mut self, key: &'static str, value: Duration) {
        self.key(key);
        millis(self.text, value);
    }

    /// A word of ours, if there is one: it needs no escapes.
    #[inline(always)]
    fn word(&mut self, key: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.key(key);
            self.text.push('"');
            self.text.push_str(value);
            self.text.push('"');
        }
    }

    /// A name, if there is one, escaped.
    #[inline(always)]
    fn name(&mut self, key: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.key(key);
            quoted(self.text, value);
        }
    }
}

fn number(text: &mut String, value: u64) {
    text.push_str(itoa::Buffer::new().format(value));
}

fn millis(text: &mut String, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    number(text, micros / 1_000);
    text.push('.');
    thousandths(text, micros % 1_000);
}

/// Three digits of a number below 1,000.
fn thousandths(text: &mut String, value: u64) {
    if value < 100 {
        text.push_str(if value < 10 { "00" } else { "0" });
    }
    number(text, value);
}

/// A JSON string. Beyond what JSON asks for it escapes what some reader takes for the end of a line, or a terminal for
/// a command: DEL, the C1 controls, U+2028 and U+2029.
fn quoted(text: &mut String, value: &str) {
    text.push('"');
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if value.bytes().all(plain) {
        text.push_str(value);
    } else {
        value.chars().for_each(|c| escaped(text, c));
    }
    text.push('"');
}

fn escaped(text: &mut String, c: char) {
    match c {
        '"' | '\\' => {
            text.push('\\');
            text.push(c);
        }
        c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
            // All of them are in the first plane: four digits do.
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        }
        c => text.push(c),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn timestamps_are_those_of_the_clock_to_the_millisecond(
            nanos in prop::collection::vec(0..4_000_000_000_i64, 1..8),
        ) {
            let mut writer = Writer::default();
            for nanos in nanos {
                let ended = Timestamp::from_nanosecond(1_795_200_000_000_000_000 + i128::from(nanos)).unwrap();
                writer.date_of(ended);
                let mut text = String::new();
                timestamp(&mut text, &writer.date, ended);
                prop_assert_eq!(text, format!("\"{ended:.3}\""));
            }
        }

        #[test]
        fn whatever_a_name_holds_it_reads_back_and_ends_no_line(value in any::<String>()) {
            let mut text = String::new();
            quoted(&mut text, &value);
            prop_assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
            let ends_a_line = |c: char| c.is_control() || ['\u{2028}', '\u{2029}'].contains(&c);
            prop_assert_eq!(text.find(ends_a_line), None);
        }

        #[test]
        fn milliseconds_are_a_json_number_true_to_the_microsecond(micros in 0..u64::from(u32::MAX)) {
            let mut text = String::new();
            millis(&mut text, Duration::from_micros(micros));
            let read = serde_json::from_str::<f64>(&text).unwrap();
            prop_assert!((read * 1_000.0 - micros as f64).abs() < 0.5);
        }
    }
}
