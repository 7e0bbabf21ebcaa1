//! What hyper lets through and a proxy must not: requests that two readers could understand differently.
//!
//! What hyper refuses by itself (different or malformed lengths, codings that do not end in `chunked`, spaces
//! before a colon, folded lines, heads over the cap) stays its bare 400 or 431. With `Transfer-Encoding` it drops
//! `Content-Length` and closes the connection after the answer, so that check is not ours to make.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::Full;

use crate::dialect::Dialect;
use crate::dialect::error::{self, Cause, Problem};

/// Why a request's head is refused before anything looks at what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// Neither `Host` nor `:authority` (RFC 9112 3.2; HTTP/1.0 may go without).
    NoHost,
    /// More than one `Host`, or one that differs from `:authority` (RFC 9113 8.3.1).
    TwoHosts,
    /// `Host` is no host with an optional port.
    BadHost,
    /// `CONNECT`, or `OPTIONS *`: this is no forward proxy.
    Method,
    /// A target that has no path.
    Target,
    /// A transfer coding other than one `chunked`: what it wraps would be relayed unread.
    TransferCoding,
    /// A credential header that comes twice: it is not clear who calls.
    TwoCredentials,
    /// An expectation other than `100-continue`.
    Expectation,
}

/// Checks a request's head in one pass over its headers.
///
/// The target of an absolute-form request is accepted: its path is what counts (`request.uri().path()`), its
/// authority names no destination here, and takes precedence over `Host` (RFC 9112 3.2.2).
///
/// # Errors
/// The first fault found; the request is to be answered with [`Malformed::response`] and nothing else done.
pub fn check<B>(request: &Request<B>) -> Result<(), Malformed> {
    check_target(request.method(), request.uri())?;
    let host = check_headers(request.headers())?;
    match request.version() {
        Version::HTTP_2 => check_authority(request.uri(), host),
        Version::HTTP_11 if host.is_none() => Err(Malformed::NoHost),
        // HTTP/1.0 and 0.9; `Version` is not ours and not closed.
        _ => Ok(()),
    }
}

/// Takes out what asks to leave HTTP: `Upgrade` is ignored, as RFC 9110 7.8 allows. Java's client sends
/// `Upgrade: h2c` with every first request in clear text, so it must not be refused.
pub(super) fn strip_upgrade(headers: &mut HeaderMap) {
    headers.remove(UPGRADE);
}

impl Malformed {
    /// The answer in what the caller speaks, by path and headers.
    pub fn response(self, face: Dialect) -> Response<Full<Bytes>> {
        let problem = Problem { cause: self.cause(), message: self.message(), param: None, wait: None };
        let mut response = Response::new(Full::new(error::body(face, &problem)));
        *response.status_mut() = self.status(face);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // What follows on this connection may be part of what was not understood.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if self == Self::Method {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
        }
        response
    }

    /// The status of the answer.
    pub fn status(self, face: Dialect) -> StatusCode {
        match self {
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::NoHost
            | Self::TwoHosts
            | Self::BadHost
            | Self::Method
            | Self::Target
            | Self::TransferCoding
            | Self::TwoCredentials => error::status(face, self.cause()),
        }
    }

    fn cause(self) -> Cause {
        match self {
            Self::Method => Cause::MethodNotAllowed,
            Self::NoHost
            | Self::TwoHosts
            | Self::BadHost
            | Self::Target
            | Self::TransferCoding
            | Self::TwoCredentials
            | Self::Expectation => Cause::InvalidRequest,
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::NoHost => "The request has no Host header.",
            Self::TwoHosts => "The request names more than one host.",
            Self::BadHost => "The Host header is not a host with an optional port.",
            Self::Method => "This is not a forward proxy: send requests to a path.",
            Self::Target => "The request target has no path.",
            Self::TransferCoding => "The only transfer coding understood is a single `chunked`.",
            Self::TwoCredentials => "A credential header was sent more than once.",
            Self::Expectation => "The only expectation understood is `100-continue`.",
        }
    }
}

fn check_target(method: &Method, uri: &Uri) -> Result<(), Malformed> {
    if *method == Method::CONNECT || (*method == Method::OPTIONS && uri.path() == "*") {
        return Err(Malformed::Method);
    }
    if uri.path().starts_with('/') { Ok(()) } else { Err(Malformed::Target) }
}

/// Gives the one `Host`, well-formed.
fn check_headers(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Malformed> {
    let mut host = None;
    let mut credentials = [false; 3];
    let mut coded = false;
    for (name, value) in headers {
        match name.as_str() {
            "host" if host.replace(value).is_some() => return Err(Malformed::TwoHosts),
            "host" if !is_host(value.as_bytes()) => return Err(Malformed::BadHost),
            "authorization" => once(&mut credentials[0])?,
            "x-api-key" => once(&mut credentials[1])?,
            "x-goog-api-key" => once(&mut credentials[2])?,
            "transfer-encoding" => {
                let chunked = value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
                if !chunked || std::mem::replace(&mut coded, true) {
                    return Err(Malformed::TransferCoding);
                }
            }
            "expect" if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
                return Err(Malformed::Expectation);
            }
            _ => {}
        }
    }
    Ok(host)
}

fn once(seen: &mut bool) -> Result<(), Malformed> {
    if std::mem::replace(seen, true) { Err(Malformed::TwoCredentials) } else { Ok(()) }
}

fn check_authority(uri: &Uri, host: Option<&HeaderValue>) -> Result<(), Malformed> {
    match (uri.authority(), host) {
        (None, None) => Err(Malformed::NoHost),
        (Some(authority), _) if !is_host(authority.as_str().as_bytes()) => Err(Malformed::BadHost),
        (Some(authority), Some(host))
            if !authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()) =>
        {
            Err(Malformed::TwoHosts)
        }
        (Some(_), _) | (None, Some(_)) => Ok(()),
    }
}

/// `uri-host [ ":" port ]` (RFC 9110 7.2): no user, no path, not empty.
fn is_host(value: &[u8]) -> bool {
    if let Some(literal) = value.strip_prefix(b"[") {
        let Some(end) = literal.iter().position(|b| *b == b']') else {
            return false;
        };
        let (address, rest) = literal.split_at(end);
        return address.contains(&b':')
            && address.iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'))
            && is_port(&rest[1..]);
    }
    let end = value.iter().position(|b| *b == b':').unwrap_or(value.len());
    let (name, port) = value.split_at(end);
    !name.is_empty() && name.iter().all(|b| is_of_name(*b)) && is_port(port)
}

/// Nothing, or a colon and at most five digits (RFC 3986 allows none).
fn is_port(text: &[u8]) -> bool {
    match text.strip_prefix(b":") {
        Some(digits) => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        None => text.is_empty(),
    }
}

/// `reg-name` of RFC 3986: unreserved, sub-delims, percent-encoded.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(method: &str, uri: &str, version: Version, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().method(method).uri(uri).version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn http1(headers: &[(&str, &str)]) -> Result<(), Malformed> {
        check(&request("POST", "/v1/chat/completions", Version::HTTP_11, headers))
    }

    #[test]
    fn headers_of_http_1_are_checked() {
        type Headers = &'static [(&'static str, &'static str)];
        let table: &[(Headers, Result<(), Malformed>)] = &[
            (&[("host", "egret")], Ok(())),
            (&[("host", "127.0.0.1:4100")], Ok(())),
            (&[("host", "[::1]:4100")], Ok(())),
            (&[], Err(Malformed::NoHost)),
            (&[("host", "")], Err(Malformed::BadHost)),
            (&[("host", "a b")], Err(Malformed::BadHost)),
            (&[("host", "user@egret")], Err(Malformed::BadHost)),
            (&[("host", "egret/path")], Err(Malformed::BadHost)),
            (&[("host", "egret:80:80")], Err(Malformed::BadHost)),
            (&[("host", "egret:http")], Err(Malformed::BadHost)),
            (&[("host", "[::1")], Err(Malformed::BadHost)),
            (&[("host", "[::1]x")], Err(Malformed::BadHost)),
            (&[("host", "a, b")], Err(Malformed::BadHost)),
            (&[("host", "a"), ("host", "a")], Err(Malformed::TwoHosts)),
            (&[("host", "a"), ("transfer-encoding", "Chunked")], Ok(())),
            (&[("host", "a"), ("transfer-encoding", "gzip, chunked")], Err(Malformed::TransferCoding)),
            (&[("host", "a"), ("transfer-encoding", "chunked;q=1")], Err(Malformed::TransferCoding)),
            (
                &[("host", "a"), ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
                Err(Malformed::TransferCoding),
            ),
            (&[("host", "a"), ("authorization", "Bearer x"), ("x-api-key", "x")], Ok(())),
            (
                &[("host", "a"), ("authorization", "Bearer x"), ("authorization", "Bearer x")],
                Err(Malformed::TwoCredentials),
            ),
            (&[("host", "a"), ("x-api-key", "x"), ("x-api-key", "y")], Err(Malformed::TwoCredentials)),
            (
                &[("host", "a"), ("x-goog-api-key", "x"), ("x-goog-api-key", "y")],
                Err(Malformed::TwoCredentials),
            ),
            (&[("host", "a"), ("expect", "100-Continue")], Ok(())),
            (&[("host", "a"), ("expect", "tea")], Err(Malformed::Expectation)),
        ];
        for (headers, expected) in table {
            assert_eq!(http1(headers), *expected, "{headers:?}");
        }
    }

    #[test]
    fn targets_are_checked() {
        let host = [("host", "egret")];
        let table = [
            ("GET", "/v1/models", Ok(())),
            ("GET", "http://egret/v1/models", Ok(())),
            ("GET", "http://elsewhere/v1/models", Ok(())),
            ("CONNECT", "egret:443", Err(Malformed::Method)),
            ("OPTIONS", "*", Err(Malformed::Method)),
            ("GET", "*", Err(Malformed::Target)),
            ("GET", "egret:443", Err(Malformed::Target)),
        ];
        for (method, uri, expected) in table {
            let found = check(&request(method, uri, Version::HTTP_11, &host));
            assert_eq!(found, expected, "{method} {uri}");
        }
    }

    #[test]
    fn http_1_0_may_go_without_a_host_and_http_2_names_it_once() {
        let check = |uri, version, headers| check(&request("GET", uri, version, headers));
        assert_eq!(check("/", Version::HTTP_10, &[]), Ok(()));
        assert_eq!(check("/", Version::HTTP_2, &[]), Err(Malformed::NoHost));
        assert_eq!(check("/", Version::HTTP_2, &[("host", "a")]), Ok(()));
        assert_eq!(check("http://a/", Version::HTTP_2, &[]), Ok(()));
        assert_eq!(check("http://a:1/", Version::HTTP_2, &[("host", "A:1")]), Ok(()));
        assert_eq!(check("http://a/", Version::HTTP_2, &[("host", "b")]), Err(Malformed::TwoHosts));
        assert_eq!(check("http://me@a/", Version::HTTP_2, &[]), Err(Malformed::BadHost));
    }

    #[test]
    fn every_refusal_is_a_native_error_that_closes_the_connection() {
        let all = [
            (Malformed::NoHost, 400),
            (Malformed::TwoHosts, 400),
            (Malformed::BadHost, 400),
            (Malformed::Method, 405),
            (Malformed::Target, 400),
            (Malformed::TransferCoding, 400),
            (Malformed::TwoCredentials, 400),
            (Malformed::Expectation, 417),
        ];
        for (malformed, status) in all {
            let response = malformed.response(Dialect::OpenAi);
            assert_eq!(response.status(), status, "{malformed:?}");
            assert_eq!(response.headers()[CONNECTION], "close");
            assert_eq!(response.headers().contains_key(ALLOW), status == 405);
        }
    }

    proptest! {
        #[test]
        fn a_host_that_passes_is_an_authority_without_a_user(value in "[-a-z0-9.:@\\[\\]%_/ ]{0,24}") {
            if is_host(value.as_bytes()) {
                prop_assert!(!value.is_empty() && !value.contains(['@', '/', ' ']));
            }
        }

        #[test]
        fn every_socket_address_is_a_host(address: std::net::SocketAddr) {
            // Scope ids (`%1`) are no part of a URI's address literal.
            let text = format!("{}", std::net::SocketAddr::new(address.ip(), address.port()));
            prop_assert!(is_host(text.as_bytes()));
        }
    }
}
