//! Where a caller stands with its limits, as headers: OpenAI's names or Anthropic's, and the IETF draft's.

use std::time::Duration;

use bytes::BytesMut;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use super::refusal::whole_seconds;
use crate::clock::Timestamp;
use crate::dialect::Dialect;
use crate::ids::LimitKey;
use crate::limits::{Standing, Unit};

const REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];
const ANTHROPIC_REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("anthropic-ratelimit-requests-limit"),
    HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
    HeaderName::from_static("anthropic-ratelimit-requests-reset"),
];
const ANTHROPIC_TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
    HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
    HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
];
/// draft-ietf-httpapi-ratelimit-headers-11
const IETF: HeaderName = HeaderName::from_static("ratelimit");
const IETF_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What the names tell apart. The SDKs know no limit of money, nor, all of them, one of input or output alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// `x-ratelimit-*-requests`, `anthropic-ratelimit-requests-*`
    Requests,
    /// `x-ratelimit-*-tokens`, `anthropic-ratelimit-tokens-*`
    Tokens,
}

/// To whom it is told, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) face: Dialect,
    pub(super) now: Timestamp,
}

impl Family {
    /// That of a unit, if it has one.
    pub(super) fn of(unit: Unit) -> Option<Self> {
        match unit {
            Unit::Requests => Some(Self::Requests),
            Unit::Tokens => Some(Self::Tokens),
            Unit::InputTokens | Unit::OutputTokens | Unit::Usd | Unit::Concurrent => None,
        }
    }

    /// The names for the limit, for what remains and for when all of it is free again; none where a dialect has none.
    fn names(self, face: Dialect) -> Option<[HeaderName; 3]> {
        match (face, self) {
            (Dialect::OpenAi, Self::Requests) => Some(REQUESTS),
            (Dialect::OpenAi, Self::Tokens) => Some(TOKENS),
            (Dialect::Anthropic, Self::Requests) => Some(ANTHROPIC_REQUESTS),
            (Dialect::Anthropic, Self::Tokens) => Some(ANTHROPIC_TOKENS),
            (Dialect::Gemini, _) => None,
        }
    }

    /// The quota unit in the draft's terms; `requests` is what holds where nothing is said.
    fn quota_unit(self) -> &'static str {
        match self {
            Self::Requests => "",
            Self::Tokens => ";qu=\"tokens\"",
        }
    }
}

/// The tightest limit of a family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tightest<'a> {
    pub(super) family: Family,
    pub(super) key: &'a LimitKey,
    pub(super) standing: Standing,
}

/// Writes the headers of the tightest limits, at most one of each family.
///
/// By hand and into one buffer: this happens in every call, and `format!` would be a third of all its instructions.
pub(super) fn write<'a>(
    headers: &mut HeaderMap,
    told: Told,
    limits: impl Iterator<Item = Tightest<'a>> + Clone,
) {
    if limits.clone().next().is_none() {
        return;
    }
    let mut values = Values(BytesMut::with_capacity(256));
    for Tightest { family, standing, .. } in limits.clone() {
        let Some([limit, remaining, reset]) = family.names(told.face) else { continue };
        values.number(standing.limit);
        values.end(headers, limit);
        values.number(standing.remaining);
        values.end(headers, remaining);
        match told.face {
            Dialect::OpenAi => values.go_duration(standing.reset),
            Dialect::Anthropic | Dialect::Gemini => values.moment(told.now, standing.reset),
        }
        values.end(headers, reset);
    }
    for (at, Tightest { family, key, standing }) in limits.clone().enumerate() {
        values.name(at, key);
        values.parameter(";q=", standing.limit);
        values.text(family.quota_unit());
        values.parameter(";w=", whole_seconds(standing.per));
    }
    values.end(headers, IETF_POLICY);
    for (at, Tightest { key, standing, .. }) in limits.enumerate() {
        let seconds = if standing.reset.is_zero() { 0 } else { whole_seconds(standing.reset) };
        values.name(at, key);
        values.parameter(";r=", standing.remaining);
        values.parameter(";t=", seconds);
    }
    values.end(headers, IETF);
}

/// Header values one after the other in one allocation.
struct Values(BytesMut);

impl Values {
    fn text(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, n: u64) {
        self.text(itoa::Buffer::new().format(n));
    }

    /// A member of a structured list.
    fn name(&mut self, at: usize, key: &LimitKey) {
        self.text(if at == 0 { "\"" } else { ", \"" });
        self.text(key.as_str());
        self.text("\"");
    }

    fn parameter(&mut self, name: &str, value: u64) {
        self.text(name);
        self.number(value);
    }

    /// As OpenAI writes it: `120ms`, `7s`, `6m0s`, `1h2m3s`.
    fn go_duration(&mut self, duration: Duration) {
        if duration.as_secs() == 0 {
            self.number(duration.subsec_millis().into());
            return self.text("ms");
        }
        let seconds = whole_seconds(duration);
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        if hours > 0 {
            self.number(hours);
            self.text("h");
        }
        if seconds >= 60 {
            self.number(minutes);
            self.text("m");
        }
        self.number(seconds % 60);
        self.text("s");
    }

    /// As RFC 3339 writes it, in whole seconds and none too early.
    fn moment(&mut self, now: Timestamp, after: Duration) {
        let after = Duration::from_secs(if after.is_zero() { 0 } else { whole_seconds(after) });
        let seconds = now.saturating_add(after).unwrap_or(now).as_second();
        let whole = Timestamp::from_second(seconds).unwrap_or(now);
        self.text(&whole.to_string());
    }

    /// Ends a value: names of the policy and numbers, so it is always a legal one.
    fn end(&mut self, headers: &mut HeaderMap, name: HeaderName) {
        if let Ok(value) = HeaderValue::from_maybe_shared(self.0.split().freeze()) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(face: Dialect) -> Told {
        Told { face, now: "2026-11-20T12:00:00.5Z".parse().unwrap() }
    }

    #[test]
    fn anthropic_tells_the_moment_and_gemini_the_drafts_headers_alone() {
        let rpm = "rpm".into();
        let (reset, per) = (Duration::from_millis(29_001), Duration::from_secs(60));
        let standing = Standing { limit: 60, remaining: 31, reset, per };
        let requests = Tightest { family: Family::Requests, key: &rpm, standing };
        let mut headers = HeaderMap::new();
        write(&mut headers, told(Dialect::Anthropic), [requests].into_iter());
        assert_eq!(headers["anthropic-ratelimit-requests-limit"], "60");
        assert_eq!(headers["anthropic-ratelimit-requests-remaining"], "31");
        assert_eq!(headers["anthropic-ratelimit-requests-reset"], "2026-11-20T12:00:30Z");
        let mut headers = HeaderMap::new();
        write(&mut headers, told(Dialect::Gemini), [requests].into_iter());
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["ratelimit", "ratelimit-policy"]);
    }

    #[test]
    fn durations_are_written_as_openai_writes_them() {
        let text = |millis| {
            let mut values = Values(BytesMut::new());
            values.go_duration(Duration::from_millis(millis));
            String::from_utf8(values.0.to_vec()).unwrap()
        };
        assert_eq!([text(0), text(120), text(1_000), text(6_500)], ["0ms", "120ms", "1s", "7s"]);
        assert_eq!([text(60_000), text(360_000), text(3_723_000)], ["1m0s", "6m0s", "1h2m3s"]);
    }

    #[test]
    fn the_tightest_limits_are_told_in_both_forms() {
        let mut headers = HeaderMap::new();
        let (reset, per) = (Duration::from_millis(29_001), Duration::from_secs(60));
        let (rpm, tpm) = ("rpm".into(), "tpm".into());
        let requests = Tightest {
            family: Family::Requests,
            key: &rpm,
            standing: Standing { limit: 60, remaining: 31, reset, per },
        };
        write(&mut headers, told(Dialect::OpenAi), [requests].into_iter());
        assert_eq!(headers["x-ratelimit-limit-requests"], "60");
        assert_eq!(headers["x-ratelimit-remaining-requests"], "31");
        assert_eq!(headers["x-ratelimit-reset-requests"], "30s");
        assert_eq!(headers["ratelimit-policy"], "\"rpm\";q=60;w=60");
        assert_eq!(headers["ratelimit"], "\"rpm\";r=31;t=30");

        let standing = Standing { limit: 90_000, remaining: 0, reset: Duration::ZERO, per };
        let tokens = Tightest { family: Family::Tokens, key: &tpm, standing };
        write(&mut headers, told(Dialect::OpenAi), [requests, tokens].into_iter());
        assert_eq!(headers["x-ratelimit-limit-tokens"], "90000");
        assert_eq!(headers["x-ratelimit-remaining-tokens"], "0");
        assert_eq!(headers["x-ratelimit-reset-tokens"], "0ms");
        assert_eq!(headers["ratelimit-policy"], "\"rpm\";q=60;w=60, \"tpm\";q=90000;qu=\"tokens\";w=60");
        assert_eq!(headers["ratelimit"], "\"rpm\";r=31;t=30, \"tpm\";r=0;t=0");
    }

    #[test]
    fn without_a_limit_nothing_is_told() {
        let mut headers = HeaderMap::new();
        write(&mut headers, told(Dialect::OpenAi), std::iter::empty());
        assert!(headers.is_empty());
    }
}
