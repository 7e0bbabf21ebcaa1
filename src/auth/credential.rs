//! The credential of a request: where SDKs put it, and what is no credential.
//!
//! Says what was sent, not whom it names. Nothing here copies a credential, and nothing prints one.

use std::fmt;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

/// What a caller sends that has no key: SDKs insist on some key.
pub const PLACEHOLDER: &str = "egret-local";

/// The headers that carry a bare key: Anthropic's SDKs and many tools, Google's SDKs, Azure's clients.
const KEY_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("api-key"),
];

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
    #[error("the header `{0}` was sent more than once")]
    Repeated(&'static str),
    /// Two headers carry different credentials.
    #[error("two different credentials were sent; send one")]
    Different,
    /// The header is there, and nothing is in it.
    #[error("the header `{0}` holds no key")]
    Empty(&'static str),
    /// A key is visible ASCII without spaces.
    #[error("the header `{0}` holds characters that no key has")]
    Malformed(&'static str),
    /// `Authorization` in another scheme than `Bearer`.
    #[error("the header `authorization` must be `Bearer` and a key")]
    Scheme,
}

/// The credential that a request's headers carry, of `Authorization: Bearer`, `x-api-key`, `x-goog-api-key` and
/// `api-key`. The same one in several of them is one.
///
/// # Errors
/// What [`CredentialFault`] names. A request with a fault is refused: it never counts as one without a credential.
pub fn credential(headers: &HeaderMap) -> Result<Credential<'_>, CredentialFault> {
    let mut found = match only(headers, &AUTHORIZATION, "authorization")? {
        Some(value) => Some(bearer(value)?),
        None => None,
    };
    for name in &KEY_HEADERS {
        let printed = printed(name);
        let Some(value) = only(headers, name, printed)? else {
            continue;
        };
        let key = key(value.as_bytes(), printed)?;
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

/// The header's value, if it was sent; a fault where it was sent twice.
fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    printed: &'static str,
) -> Result<Option<&'a HeaderValue>, CredentialFault> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (first, None) => Ok(first),
        (_, Some(_)) => Err(CredentialFault::Repeated(printed)),
    }
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

/// A header's name that outlives the request, for a fault's text.
fn printed(name: &HeaderName) -> &'static str {
    match name.as_str() {
        "x-api-key" => "x-api-key",
        "x-goog-api-key" => "x-goog-api-key",
        _ => "api-key",
    }
}

#[cfg(test)]
mod tests;
