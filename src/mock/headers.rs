//! The provider's own headers: its id of the call, and what is left of what it admits. Gemini tells neither.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::face::Face;
use super::reply::Stamp;
use crate::clock::Timestamp;

/// What the provider claims to admit in a minute.
const REQUESTS: u64 = 10_000;
const TOKENS: u64 = 2_000_000;

/// What an answer came to.
pub(super) struct Told {
    pub(super) status: StatusCode,
    /// Tokens it cost.
    pub(super) tokens: u64,
    /// Seconds, where the provider asks to wait.
    pub(super) retry_after: Option<u32>,
    pub(super) processing: Duration,
}

impl Told {
    /// Adds the headers of a face.
    pub(super) fn add(&self, face: Face, stamp: &Stamp, headers: &mut HeaderMap) {
        match face {
            Face::OpenAi => self.openai(stamp, headers),
            Face::Anthropic => self.anthropic(stamp, headers),
            // It asks to wait in the body.
            Face::Gemini => {}
        }
    }

    fn openai(&self, stamp: &Stamp, headers: &mut HeaderMap) {
        put(headers, "x-request-id", stamp.request_id(Face::OpenAi));
        put(headers, "openai-version", "2020-10-01");
        put(headers, "openai-processing-ms", self.processing.as_millis().to_string());
        self.retry_after(headers);
        put(headers, "x-ratelimit-limit-requests", REQUESTS.to_string());
        put(headers, "x-ratelimit-remaining-requests", self.requests_left().to_string());
        put(headers, "x-ratelimit-limit-tokens", TOKENS.to_string());
        put(headers, "x-ratelimit-remaining-tokens", self.tokens_left().to_string());
        let reset = self.retry_after.map_or_else(|| "6ms".to_owned(), |seconds| format!("{seconds}s"));
        put(headers, "x-ratelimit-reset-requests", reset.as_str());
        put(headers, "x-ratelimit-reset-tokens", reset);
    }

    fn anthropic(&self, stamp: &Stamp, headers: &mut HeaderMap) {
        put(headers, "request-id", stamp.request_id(Face::Anthropic));
        put(headers, "anthropic-organization-id", "00000000-0000-4000-8000-000000000000");
        self.retry_after(headers);
        let at = stamp.created.saturating_add(i64::from(self.retry_after.unwrap_or(1)));
        let reset = Timestamp::from_second(at).map(|at| at.to_string()).unwrap_or_default();
        let limits = [
            ("requests", REQUESTS, self.requests_left()),
            ("tokens", TOKENS, self.tokens_left()),
            // What a call cost counts whole against each.
            ("input-tokens", TOKENS, self.tokens_left()),
            ("output-tokens", TOKENS, self.tokens_left()),
        ];
        for (unit, limit, left) in limits {
            put(headers, &format!("anthropic-ratelimit-{unit}-limit"), limit.to_string());
            put(headers, &format!("anthropic-ratelimit-{unit}-remaining"), left.to_string());
            put(headers, &format!("anthropic-ratelimit-{unit}-reset"), reset.as_str());
        }
    }

    fn retry_after(&self, headers: &mut HeaderMap) {
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
    }

    fn requests_left(&self) -> u64 {
        if self.status == StatusCode::TOO_MANY_REQUESTS { 0 } else { REQUESTS - 1 }
    }

    fn tokens_left(&self) -> u64 {
        TOKENS.saturating_sub(self.tokens)
    }
}

/// What is no name or value of a header is not sent.
fn put(headers: &mut HeaderMap, name: &str, value: impl AsRef<str>) {
    if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value.as_ref())) {
        headers.insert(name, value);
    }
}
