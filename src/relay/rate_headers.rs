//! Where a caller stands with its limits, as headers: OpenAI's names and the IETF draft's.

use bytes::{BufMut, BytesMut};
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
pub(super) fn write(headers: &mut HeaderMap, key: &LimitKey, standing: &Standing) {
    let Standing { limit, remaining, reset, per } = *standing;
    headers.insert(LIMIT, HeaderValue::from(limit));
    headers.insert(REMAINING, HeaderValue::from(remaining));
    let seconds = if reset.is_zero() { 0 } else { whole_seconds(reset) };
    insert(headers, RESET, format_args!("{}", GoDuration(reset)));
    insert(headers, IETF_POLICY, format_args!("\"{key}\";q={limit};w={}", whole_seconds(per)));
    insert(headers, IETF, format_args!("\"{key}\";r={remaining};t={seconds}"));
}

/// A value of ours: names of the policy and numbers, so it is always a legal header.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: std::fmt::Arguments<'_>) {
    let mut bytes = BytesMut::with_capacity(48).writer();
    if std::io::Write::write_fmt(&mut bytes, value).is_ok()
        && let Ok(value) = HeaderValue::from_maybe_shared(bytes.into_inner().freeze())
    {
        headers.insert(name, value);
    }
}

/// A duration as OpenAI writes it: `120ms`, `7s`, `6m0s`, `1h2m3s`.
struct GoDuration(std::time::Duration);

impl std::fmt::Display for GoDuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.as_secs() == 0 {
            return write!(f, "{}ms", self.0.as_millis());
        }
        let seconds = whole_seconds(self.0);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        match (hours, minutes) {
            (0, 0) => {}
            (0, _) => write!(f, "{minutes}m")?,
            (_, _) => write!(f, "{hours}h{minutes}m")?,
        }
        f.write_fmt(format_args!("{seconds}s"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn durations_are_written_as_openai_writes_them() {
        let text = |millis| GoDuration(Duration::from_millis(millis)).to_string();
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
