//! Which headers cross, in which direction, and the few that are read on the way.
//!
//! Towards providers an allow list: what is not known stays in the pod. Towards callers a block
//! list: an SDK may read headers that we never heard of.

use std::time::{Duration, SystemTime};

use bytes::{BufMut, BytesMut};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    USER_AGENT,
};

use crate::clock::Timestamp;
use crate::secret::{ExposeSecret, SecretString};

/// Headers of a usual request, with room for the key and `Host`: the map grows never.
const REQUEST_HEADERS: usize = 12;

/// Headers that answers get of us on top, so that the map need not grow for them.
const OWN_HEADERS: usize = 12;

/// The provider's id of a call: OpenAI's name, Anthropic's, Azure's.
const REQUEST_IDS: [HeaderName; 3] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("apim-request-id"),
];

/// What SDKs of every dialect obey before they try again.
const WAITS: [HeaderName; 3] =
    [RETRY_AFTER, HeaderName::from_static("retry-after-ms"), HeaderName::from_static("x-should-retry")];

/// A provider that asks for a longer pause is not waited for; the value is taken as a mistake.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The headers of the request to a provider, built anew from the caller's.
///
/// Kept are what describes the body and the answer wanted, and the vendors' feature and retry
/// headers; never credentials, cookies, trace or tenant headers. The answer is asked for
/// unencoded: usage is read from it. `user_agent` stands in where the caller named none; `vendor` are the headers that
/// this provider's own SDKs send.
pub fn to_provider(from_caller: &HeaderMap, user_agent: &HeaderValue, vendor: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(REQUEST_HEADERS);
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let (mut named, mut accepts) = (false, false);
    for (name, value) in from_caller {
        if goes_to_provider(name) || vendor.contains(&name.as_str()) {
            named |= *name == USER_AGENT;
            accepts |= *name == ACCEPT;
            headers.append(name.clone(), value.clone());
        }
    }
    if !named {
        headers.insert(USER_AGENT, user_agent.clone());
    }
    if !accepts {
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    }
    headers
}

fn goes_to_provider(name: &HeaderName) -> bool {
    matches!(name.as_str(), "accept" | "content-type" | "user-agent" | "idempotency-key")
}

/// The headers of the answer to a caller, without those that end here.
///
/// Left behind are hop-by-hop headers, what describes our account at the provider (its rate limits,
/// organisation, request ids) or its front (cookies, CDN), and what the server sets itself: length,
/// date, server. `content-encoding` stays, since the bytes stay.
pub fn to_caller(from_provider: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(from_provider.keys_len() + OWN_HEADERS);
    let hop = from_provider.contains_key(CONNECTION);
    for (name, value) in from_provider {
        if ends_here(name) || (hop && is_named_by_connection(from_provider, name)) {
            continue;
        }
        headers.append(name.clone(), value.clone());
    }
    headers
}

/// What is left of an answer's headers where its body is said anew in another dialect: the provider's id of the call, and
/// how long to wait. All else describes words that do not go on, in terms that the caller's SDK does not know.
pub fn across(from_provider: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(REQUEST_IDS.len() + WAITS.len() + 1);
    for name in REQUEST_IDS.iter().chain(&WAITS) {
        if let Some(value) = from_provider.get(name) {
            headers.insert(name, value.clone());
        }
    }
    headers
}

fn ends_here(name: &HeaderName) -> bool {
    let name = name.as_str();
    match name.as_bytes().first() {
        Some(b'a') => {
            matches!(name, "alt-svc" | "anthropic-organization-id" | "apim-request-id")
                || name.starts_with("anthropic-priority-")
                || name.starts_with("anthropic-ratelimit-")
        }
        Some(b'c') => matches!(name, "connection" | "content-length") || name.starts_with("cf-"),
        Some(b'o') => matches!(name, "openai-organization" | "openai-project"),
        Some(b'p') => matches!(name, "proxy-connection" | "proxy-authenticate" | "proxy-authorization"),
        Some(b'r') => matches!(name, "request-id" | "report-to") || name.starts_with("ratelimit"),
        Some(b's') => matches!(name, "server" | "set-cookie" | "set-cookie2" | "strict-transport-security"),
        Some(b't') => matches!(name, "te" | "trailer" | "transfer-encoding"),
        Some(b'x') => {
            // A provider must not speak in our name either.
            name == "x-request-id" || name.starts_with("x-ratelimit-") || name.starts_with("x-egret-")
        }
        _ => matches!(name, "date" | "keep-alive" | "nel" | "upgrade"),
    }
}

/// RFC 9110 7.6.1: what `Connection` lists is for this hop alone.
fn is_named_by_connection(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|token| token.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
}

/// Whether the body is compressed although we asked for it plain: it cannot be read or edited.
pub fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}

/// The provider's own id of the call.
pub fn upstream_request_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    REQUEST_IDS.iter().find_map(|name| headers.get(name))
}

/// A key that cannot be sent. Says nothing of the key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key has characters that a header cannot carry")]
pub struct KeyError;

/// A credential as a header's value, marked sensitive: never printed, never in an HPACK table.
pub fn key_value(prefix: &str, key: &SecretString) -> Result<HeaderValue, KeyError> {
    let key = key.expose_secret();
    let mut text = BytesMut::with_capacity(prefix.len() + key.len());
    text.put_slice(prefix.as_bytes());
    text.put_slice(key.as_bytes());
    let mut value = HeaderValue::from_maybe_shared(text.freeze()).map_err(|_| KeyError)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Puts the provider's key in, as [`key_value`] writes it.
pub fn set_key(
    headers: &mut HeaderMap,
    name: HeaderName,
    prefix: &str,
    key: &SecretString,
) -> Result<(), KeyError> {
    headers.insert(name, key_value(prefix, key)?);
    Ok(())
}

/// How long the provider asks us to stay away: `retry-after-ms`, else `retry-after` in seconds or
/// as a date. What is negative, past, not a number or longer than a day is no answer.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    if let Some(wait) = number(headers.get("retry-after-ms")).and_then(|ms| sane_wait(ms / 1000.0)) {
        return Some(wait);
    }
    let value = headers.get(RETRY_AFTER);
    match number(value) {
        Some(seconds) => sane_wait(seconds),
        None => until(value?, now),
    }
}

fn number(value: Option<&HeaderValue>) -> Option<f64> {
    value?.to_str().ok()?.trim().parse().ok()
}

fn sane_wait(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().filter(|wait| *wait <= RETRY_AFTER_MAX)
}

fn until(date: &HeaderValue, now: Timestamp) -> Option<Duration> {
    let date = httpdate::parse_http_date(date.to_str().ok()?.trim()).ok()?;
    date.duration_since(SystemTime::from(now)).ok().filter(|wait| *wait <= RETRY_AFTER_MAX)
}

#[cfg(test)]
mod tests;
