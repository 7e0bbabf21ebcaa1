//! How long an error asks to wait, where no header says it.

use std::time::Duration;

use super::reported::{Reported, error_in};
use crate::dialect::json::{Kind, Value};

/// A wait beyond is no hint.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What stands before the wait in a sentence of OpenAI, Azure or Google; in lower case.
const PHRASES: [&str; 3] = ["try again in ", "retry in ", "retry after "];

/// So much of a sentence is searched.
const LONGEST_TEXT: usize = 4096;

/// How long an error asks to wait: by its details, or else by its sentence.
pub(crate) fn retry_after(body: &[u8]) -> Option<Duration> {
    let error = error_in(body)?;
    in_details(&error).or_else(|| {
        Reported::by(&error).texts.iter().find_map(|text| in_text(text.get(..LONGEST_TEXT).unwrap_or(text)))
    })
}

/// Google's `RetryInfo`: `"retryDelay": "17s"`.
fn in_details(error: &Value<'_>) -> Option<Duration> {
    if error.kind != Kind::Object {
        return None;
    }
    let details = error.member("details")?;
    let delay = details.elements().find_map(|detail| detail.member("retryDelay"))?;
    in_units(delay.short_text(32)?.as_bytes())
}

/// "Please try again in 6.5s."
fn in_text(text: &[u8]) -> Option<Duration> {
    PHRASES.iter().find_map(|phrase| {
        let at = text.windows(phrase.len()).position(|part| part.eq_ignore_ascii_case(phrase.as_bytes()))?;
        in_units(text.get(at + phrase.len()..)?)
    })
}

/// The time that a text begins with: `20ms`, `6.5s`, `1h2m3s`, `6 seconds`.
fn in_units(text: &[u8]) -> Option<Duration> {
    let mut seconds = 0.0;
    let mut rest = text;
    loop {
        let (number, behind) = leading(rest, |byte| byte.is_ascii_digit() || byte == b'.');
        let (unit, behind) =
            leading(behind.strip_prefix(b" ").unwrap_or(behind), |b| b.is_ascii_alphabetic());
        // A dot that ends the sentence belongs to no number.
        let number: f64 = std::str::from_utf8(number).ok()?.parse().ok()?;
        seconds += number * seconds_of(unit)?;
        rest = behind;
        if !rest.first().is_some_and(u8::is_ascii_digit) {
            break;
        }
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|wait| *wait <= LONGEST)
}

fn leading(text: &[u8], belongs: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !belongs(*byte)).unwrap_or(text.len()))
}

fn seconds_of(unit: &[u8]) -> Option<f64> {
    match unit {
        b"ms" | b"millisecond" | b"milliseconds" => Some(0.001),
        b"s" | b"sec" | b"secs" | b"second" | b"seconds" => Some(1.0),
        b"m" | b"min" | b"mins" | b"minute" | b"minutes" => Some(60.0),
        b"h" | b"hour" | b"hours" => Some(3600.0),
        b"d" | b"day" | b"days" => Some(86400.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
