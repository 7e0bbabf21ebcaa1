//! A record as one line of JSON, written by hand: one pass into a buffer that is used again.

use std::fmt::{Display, Write};
use std::time::Duration;

use crate::telemetry::record::{AttemptRecord, CallRecord};
use crate::usage::Usage;

/// Appends the record's line, with its line break.
pub(super) fn append(text: &mut String, record: &CallRecord) {
    let mut line = Object::open(text);
    line.bare("timestamp", format_args!("\"{:.3}\"", record.ended));
    line.bare("request_id", format_args!("\"{}\"", record.id));
    line.name("caller_request_id", record.caller_id.as_deref());
    line.name("tenant", record.tenant.as_ref().map(|id| id.as_str()));
    line.name("user", record.user.as_ref().map(|id| id.as_str()));
    line.name("app", record.app.as_ref().map(|id| id.as_str()));
    line.name("key", record.key.as_ref().map(|name| name.as_str()));
    line.name("api", record.api);
    line.name("route", record.route.as_ref().map(|id| id.as_str()));
    line.name("model", record.model.as_ref().map(|id| id.as_str()));
    line.name("provider", record.provider.as_ref().map(|id| id.as_str()));
    line.bare("stream", record.stream);
    line.bare("status", record.status);
    line.name("outcome", Some(record.outcome));
    line.name("refusal", record.refusal);
    attempts(&mut line, &record.attempts);
    if let Some(usage) = &record.usage {
        parts(line.object("usage"), usage);
    }
    line.bare("duration_ms", Millis(record.duration));
    if let Some(first_byte) = record.first_byte {
        line.bare("first_byte_ms", Millis(first_byte));
    }
    line.bare("bytes_in", record.bytes_in);
    line.bare("bytes_out", record.bytes_out);
    line.name("policy", record.policy.as_ref().and_then(|digits| str::from_utf8(digits).ok()));
    line.name("upstream_request_id", record.upstream_request_id.as_deref());
    line.close();
    text.push('\n');
}

fn attempts(line: &mut Object<'_>, attempts: &[AttemptRecord]) {
    line.key("attempts");
    line.text.push('[');
    for (at, attempt) in attempts.iter().enumerate() {
        if at > 0 {
            line.text.push(',');
        }
        let mut object = Object::open(line.text);
        object.name("provider", Some(attempt.provider.as_str()));
        object.name("model", Some(attempt.model.as_str()));
        object.name("outcome", Some(attempt.outcome));
        if let Some(status) = attempt.status {
            object.bare("status", status);
        }
        object.bare("ms", Millis(attempt.duration));
        object.close();
    }
    line.text.push(']');
}

fn parts(mut object: Object<'_>, usage: &Usage) {
    let Usage { input, cache_read, cache_write, input_audio, output, reasoning, output_audio } = *usage;
    for (name, tokens) in [
        ("input", input),
        ("cache_read", cache_read),
        ("cache_write", cache_write),
        ("input_audio", input_audio),
        ("output", output),
        ("reasoning", reasoning),
        ("output_audio", output_audio),
    ] {
        if tokens.0 > 0 {
            object.bare(name, tokens);
        }
    }
    object.bare("total_input", usage.total_input());
    object.bare("total_output", usage.total_output());
    object.bare("total", usage.total());
    object.close();
}

/// A JSON object under way.
struct Object<'a> {
    text: &'a mut String,
    empty: bool,
}

impl<'a> Object<'a> {
    fn open(text: &'a mut String) -> Self {
        text.push('{');
        Self { text, empty: true }
    }

    fn close(self) {
        self.text.push('}');
    }

    fn key(&mut self, key: &'static str) {
        if !std::mem::take(&mut self.empty) {
            self.text.push(',');
        }
        self.text.push('"');
        self.text.push_str(key);
        self.text.push_str("\":");
    }

    /// A value that needs no escaping.
    fn bare(&mut self, key: &'static str, value: impl Display) {
        self.key(key);
        // Writing to a string does not fail.
        let _ = write!(self.text, "{value}");
    }

    /// A name, if there is one, escaped.
    fn name(&mut self, key: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.key(key);
            quoted(self.text, value);
        }
    }

    fn object(&mut self, key: &'static str) -> Object<'_> {
        self.key(key);
        Object::open(self.text)
    }
}

struct Millis(Duration);

impl Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03}", micros / 1_000, micros % 1_000)
    }
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
        fn whatever_a_name_holds_it_reads_back_and_ends_no_line(value in any::<String>()) {
            let mut text = String::new();
            quoted(&mut text, &value);
            prop_assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
            let ends_a_line = |c: char| c.is_control() || ['\u{2028}', '\u{2029}'].contains(&c);
            prop_assert_eq!(text.find(ends_a_line), None);
        }

        #[test]
        fn milliseconds_are_a_json_number_true_to_the_microsecond(micros in 0..u64::from(u32::MAX)) {
            let text = Millis(Duration::from_micros(micros)).to_string();
            let read = serde_json::from_str::<f64>(&text).unwrap();
            prop_assert!((read * 1_000.0 - micros as f64).abs() < 0.5);
        }
    }
}
