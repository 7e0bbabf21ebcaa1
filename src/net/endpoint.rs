//! Where a provider is.

use std::fmt;
use std::sync::Arc;

use http::uri::{Authority, PathAndQuery, Scheme, Uri};

/// A provider's address: a base URL, or a named in-memory service.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Plain or encrypted TCP.
    Http(Arc<HttpEndpoint>),
    /// A service of this process, by its name at [`super::memory::MemoryNet`].
    Memory(Arc<str>),
}

/// The parts of a base URL.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct HttpEndpoint {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Host name or address, without port; an IPv6 address without brackets.
    pub host: Box<str>,
    /// The port, also where the URL left it out.
    pub port: u16,
    /// Host and, where it was written, port: what `Host` or `:authority` says.
    pub authority: Authority,
    /// The path before an operation's, without a slash at its end; empty or `/v1`, say.
    pub base_path: Box<str>,
}

/// Why a base URL is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EndpointError {
    /// It does not parse.
    #[error("is not a URL")]
    NotAUrl,
    /// It is neither `http` nor `https`.
    #[error("must begin with https:// or http://")]
    Scheme,
    /// It carries a user name or password.
    #[error("must not hold a user name or password; keys come from `fromEnv` or `fromFile`")]
    Credentials,
    /// It has a query or a fragment.
    #[error("must not have a query or a fragment")]
    Query,
}

impl Endpoint {
    /// Reads a base URL such as `https://api.openai.com/v1`.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        if url.contains('#') {
            return Err(EndpointError::Query);
        }
        let uri: Uri = url.parse().map_err(|_| EndpointError::NotAUrl)?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(EndpointError::Scheme);
        };
        let tls = *scheme == Scheme::HTTPS;
        if !tls && *scheme != Scheme::HTTP {
            return Err(EndpointError::Scheme);
        }
        if authority.as_str().contains('@') {
            return Err(EndpointError::Credentials);
        }
        if uri.query().is_some() {
            return Err(EndpointError::Query);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(EndpointError::NotAUrl);
        }
        // A port that is none is not the default one: `:99999`.
        if authority.port().is_none() && !authority.as_str().ends_with(authority.host()) {
            return Err(EndpointError::NotAUrl);
        }
        Ok(Self::Http(Arc::new(HttpEndpoint {
            tls,
            host: host.into(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            authority: authority.clone(),
            base_path: uri.path().trim_end_matches('/').into(),
        })))
    }

    /// Whether TLS is spoken there.
    pub fn is_tls(&self) -> bool {
        match self {
            Self::Http(http) => http.tls,
            Self::Memory(_) => false,
        }
    }

    /// The path of an operation, for the request line.
    pub fn path(&self, operation: &str) -> PathAndQuery {
        let base = match self {
            Self::Http(http) => &http.base_path,
            Self::Memory(_) => "",
        };
        // Both parts came out of a parsed URI, are constants of ours, or were percent-encoded by us.
        PathAndQuery::try_from(format!("{base}{operation}"))
            .unwrap_or_else(|_| PathAndQuery::from_static("/"))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(http) => {
                let scheme = if http.tls { "https" } else { "http" };
                write!(f, "{scheme}://{}{}", http.authority, http.base_path)
            }
            Self::Memory(name) => write!(f, "memory:{name}"),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_keeps_its_path_and_fills_its_port() {
        let endpoint = Endpoint::parse("https://api.example.com/openai/v1/").unwrap();
        let Endpoint::Http(http) = &endpoint else { panic!("not http") };
        assert_eq!((http.tls, &*http.host, http.port), (true, "api.example.com", 443));
        assert_eq!(endpoint.path("/models"), "/openai/v1/models");
        assert_eq!(endpoint.to_string(), "https://api.example.com/openai/v1");
    }

    #[test]
    fn an_ipv6_host_loses_its_brackets() {
        let Endpoint::Http(http) = Endpoint::parse("http://[::1]:8080").unwrap() else { panic!("not http") };
        assert_eq!((&*http.host, http.port), ("::1", 8080));
    }

    #[test]
    fn a_base_url_with_a_password_a_query_or_another_scheme_is_refused() {
        assert_eq!(Endpoint::parse("https://me:pw@example.com"), Err(EndpointError::Credentials));
        assert_eq!(Endpoint::parse("https://example.com/v1?key=1"), Err(EndpointError::Query));
        assert_eq!(Endpoint::parse("https://example.com/v1#x"), Err(EndpointError::Query));
        assert_eq!(Endpoint::parse("ftp://example.com"), Err(EndpointError::Scheme));
        assert_eq!(Endpoint::parse("example.com/v1"), Err(EndpointError::NotAUrl));
        assert_eq!(Endpoint::parse("https://example.com:99999/v1"), Err(EndpointError::NotAUrl));
        assert_eq!(Endpoint::parse("https://example.com:/v1"), Err(EndpointError::NotAUrl));
    }
}
