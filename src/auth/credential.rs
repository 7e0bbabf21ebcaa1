//! The credential of a request: where SDKs put it, and what is no credential.
//!
//! Says what was sent, not whom it names. Nothing here copies a credential, and nothing prints one.

use std::fmt;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};

/// What a caller sends that has no key: SDKs insist on some key.
pub const PLACEHOLDER: &str = "egret-local";

/// The headers that carry a bare key: Anthropic's SDKs and many tools, Google's SDKs, Azure's clients.
const KEY_HEADERS: [&str; 3] = ["x-api-key", "x-goog-api-key", "api-key"];

/// The one credential of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// None was sent.
    None,
    /// The placeholder was sent: the caller says that it has none.
    Placeholder,
    /// A key: visible ASCII, without spaces, not empty. Not judged yet.
    Key(&'a str),
}

impl fmt::Debug for Credential<'_> {
    /// Keys are not printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Placeholder => "Placeholder",
            Self::Key(_) => "Key([REDACTED])",
        })
    }
}

/// Why a request's credentials cannot be judged. Its text is safe to send to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialFault {
    /// A header came twice: which one counts is not ours to guess, even where both say the same.
    #[error("`{0}` was sent more than once")]
    Repeated(&'static str),
    /// Two headers carry different credentials.
    #[error("two different credentials were sent; send one")]
    Different,
    /// The header is there, and nothing is in it.
    #[error("`{0}` holds no key")]
    Empty(&'static str),
    /// A key is visible ASCII without spaces.
    #[error("`{0}` holds characters that no key has")]
    Malformed(&'static str),
    /// `Authorization` in another scheme than `Bearer`.
    #[error("the header `authorization` must be `Bearer` and a key")]
    Scheme,
}

/// The credential that a request carries, of `Authorization: Bearer`, `x-api-key`, `x-goog-api-key`, `api-key` and, for
/// Google's sake, `key` in the query. The same one in several of them is one.
///
/// # Errors
/// What [`CredentialFault`] names. A request with a fault is refused: it never counts as one without a credential.
pub fn credential<'a>(
    headers: &'a HeaderMap,
    query: Option<&'a str>,
) -> Result<Credential<'a>, CredentialFault> {
    let sent = Sent::read(headers);
    let mut found = match sent.authorization.only("authorization")? {
        Some(value) => Some(bearer(value)?),
        None => None,
    };
    for (header, name) in sent.keys.into_iter().zip(KEY_HEADERS) {
        let Some(value) = header.only(name)? else {
            continue;
        };
        let key = key(value.as_bytes(), name)?;
        if found.is_some_and(|other| other != key) {
            return Err(CredentialFault::Different);
        }
        found = Some(key);
    }
    if let Some(key) = in_query(query.unwrap_or_default())? {
        if found.is_some_and(|other| other != key) {
            return Err(CredentialFault::Different);
        }
        found = Some(key);
    }
    Ok(match found {
        None => Credential::None,
        Some(PLACEHOLDER) => Credential::Placeholder,
        Some(key) => Credential::Key(key),
    })
}

/// The headers that may carry a credential, found in one pass: requests have few headers, and four searches cost more.
#[derive(Default)]
struct Sent<'a> {
    authorization: Header<'a>,
    /// In the order of [`KEY_HEADERS`].
    keys: [Header<'a>; KEY_HEADERS.len()],
}

/// A header's first value, and whether there is another.
#[derive(Clone, Copy, Default)]
struct Header<'a> {
    value: Option<&'a HeaderValue>,
    repeated: bool,
}

impl<'a> Sent<'a> {
    fn read(headers: &'a HeaderMap) -> Self {
        let mut sent = Self::default();
        for (name, value) in headers {
            if *name == AUTHORIZATION {
                sent.authorization.add(value);
            } else if let Some(at) = KEY_HEADERS.iter().position(|key| name.as_str() == *key) {
                sent.keys[at].add(value);
            }
        }
        sent
    }
}

impl<'a> Header<'a> {
    fn add(&mut self, value: &'a HeaderValue) {
        self.repeated = self.value.is_some();
        self.value.get_or_insert(value);
    }

    /// The value, if it was sent; a fault where it was sent twice.
    fn only(self, name: &'static str) -> Result<Option<&'a HeaderValue>, CredentialFault> {
        if self.repeated { Err(CredentialFault::Repeated(name)) } else { Ok(self.value) }
    }
}

/// The `key` of a query. No key has a sign that would have to be percent-encoded there.
fn in_query(query: &str) -> Result<Option<&str>, CredentialFault> {
    let mut keys = query.split('&').filter_map(|pair| pair.strip_prefix("key="));
    let Some(first) = keys.next() else { return Ok(None) };
    if keys.next().is_some() {
        return Err(CredentialFault::Repeated("?key="));
    }
    key(first.as_bytes(), "?key=").map(Some)
}

/// What follows `Bearer` and at least one space; the scheme's case does not matter (RFC 9110, 11.1).
fn bearer(value: &HeaderValue) -> Result<&str, CredentialFault> {
    const SCHEME: &[u8] = b"bearer";
    let value = value.as_bytes().trim_ascii();
    if value.is_empty() {
        return Err(CredentialFault::Empty("authorization"));
    }
    let Some((scheme, rest)) = value.split_at_checked(SCHEME.len()) else {
        return Err(CredentialFault::Scheme);
    };
    let parted = rest.is_empty() || rest[0] == b' ';
    if !scheme.eq_ignore_ascii_case(SCHEME) || !parted {
        return Err(CredentialFault::Scheme);
    }
    key(rest, "authorization")
}

/// A key out of a header's bytes, without the white space around it.
fn key<'a>(value: &'a [u8], header: &'static str) -> Result<&'a str, CredentialFault> {
    let value = value.trim_ascii();
    if value.is_empty() {
        return Err(CredentialFault::Empty(header));
    }
    if !value.iter().all(u8::is_ascii_graphic) {
        return Err(CredentialFault::Malformed(header));
    }
    str::from_utf8(value).map_err(|_| CredentialFault::Malformed(header))
}

#[cfg(test)]
mod tests;
