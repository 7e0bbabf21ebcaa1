//! How long an error asks to wait.

use std::time::Duration;

use super::error_in;
use crate::dialect::json::Value;

/// A wait beyond is no hint.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What stands before the wait in a sentence; in lower case.
const PHRASE: &[u8] = b"retry in ";

/// So much of a sentence is searched.
const LONGEST_TEXT: usize = 4096;

/// How long an error asks to wait: by its `RetryInfo`, or else by its sentence.
pub(crate) fn retry_after(body: &[u8]) -> Option<Duration> {
    let error = error_in(body)?;
    let delay = error.member("details").and_then(|details| {
        let named = details.elements().find_map(|detail| detail.member("retryDelay"));
        named.and_then(|delay| seconds(delay.short_text(32)?.as_bytes()))
    });
    delay.or_else(|| in_sentence(&error.member("message")?))
}

/// "Please retry in 17.3s."
fn in_sentence(message: &Value<'_>) -> Option<Duration> {
    let text = message.raw();
    let text = text.get(..LONGEST_TEXT).unwrap_or(text);
    let at = text.windows(PHRASE.len()).position(|part| part.eq_ignore_ascii_case(PHRASE))?;
    seconds(text.get(at + PHRASE.len()..)?)
}

/// The time that a text begins with: `17s`, `1.5s`.
fn seconds(text: &[u8]) -> Option<Duration> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
    let (number, unit) = text.split_at(end);
    let scale = match unit {
        [b'm', b's', ..] => 0.001,
        [b's', ..] => 1.0,
        _ => return None,
    };
    let number: f64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    Duration::try_from_secs_f64(number * scale).ok().filter(|wait| *wait <= LONGEST)
}
