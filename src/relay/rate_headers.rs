//! Where a caller stands with its limits, as headers: OpenAI's names and the IETF draft's.

use std::time::Duration;

use bytes::BytesMut;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use super::refusal::whole_seconds;
use crate::ids::LimitKey;
use crate::limits::Standing;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit-requests");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining-requests");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset-requests");
/// draft-ietf-httpapi-ratelimit-headers-11
const IETF: HeaderName = HeaderName::from_static("ratelimit");
const IETF_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Writes the headers of the tightest limit.
///
/// By hand and into one buffer: this happens in every call, and `format!` would be a third of all its instructions.
pub(super) fn write(headers: &mut HeaderMap, key: &LimitKey, standing: &Standing) {
    let Standing { limit, remaining, reset, per } = *standing;
    let seconds = if reset.is_zero() { 0 } else { whole_seconds(reset) };
    let key = key.as_str();
    let mut values = Values(BytesMut::with_capacity(128 + 2 * key.len()));
    values.number(limit);
    values.end(headers, LIMIT);
    values.number(remaining);
    values.end(headers, REMAINING);
    values.go_duration(reset);
    values.end(headers, RESET);
    values.parameters(key, ";q=", limit, ";w=", whole_seconds(per));
    values.end(headers, IETF_POLICY);
    values.parameters(key, ";r=", remaining, ";t=", seconds);
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

    fn parameters(&mut self, key: &str, first: &str, count: u64, second: &str, seconds: u64) {
        self.text("\"");
        self.text(key);
        self.text("\"");
        self.text(first);
        self.number(count);
        self.text(second);
        self.number(seconds);
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
    fn the_tightest_limit_is_told_in_both_forms() {
        let mut headers = HeaderMap::new();
        let (reset, per) = (Duration::from_millis(29_001), Duration::from_secs(60));
        write(&mut headers, &"rpm".into(), &Standing { limit: 60, remaining: 31, reset, per });
        assert_eq!(headers["x-ratelimit-limit-requests"], "60");
        assert_eq!(headers["x-ratelimit-remaining-requests"], "31");
        assert_eq!(headers["x-ratelimit-reset-requests"], "30s");
        assert_eq!(headers["ratelimit-policy"], "\"rpm\";q=60;w=60");
        assert_eq!(headers["ratelimit"], "\"rpm\";r=31;t=30");
    }
}
