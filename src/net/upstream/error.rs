//! Why no head of an answer came, by the stage that failed.

use std::error::Error;
use std::fmt;

use crate::net::endpoint::Endpoint;

/// A request that got no head of an answer.
#[derive(Debug, thiserror::Error)]
#[error("{stage} {endpoint}")]
pub struct SendError {
    /// Where it failed: what may follow depends on it.
    pub stage: Stage,
    endpoint: Endpoint,
    #[source]
    cause: Option<Box<dyn Error + Send + Sync>>,
}

/// How far a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The host name has no address.
    Resolve,
    /// No connection, or none that took the request: nothing was processed.
    Connect,
    /// The TLS handshake failed: nothing was written.
    Tls,
    /// DNS, TCP and TLS took too long: nothing was written.
    ConnectTimeout,
    /// The connection broke; the request may have been written.
    Write,
    /// The request was written, but no head came before the end, or a malformed one.
    Head,
}

impl Stage {
    /// Whether the provider may have the request: then the call may cost something.
    pub fn written(self) -> bool {
        match self {
            Self::Resolve | Self::Connect | Self::Tls | Self::ConnectTimeout => false,
            Self::Write | Self::Head => true,
        }
    }

    /// A name for labels and log lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::ConnectTimeout => "connect_timeout",
            Self::Write => "write",
            Self::Head => "head",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "no address for",
            Self::Connect => "no connection to",
            Self::Tls => "no TLS session with",
            Self::ConnectTimeout => "no connection in time to",
            Self::Write => "connection broke while sending to",
            Self::Head => "no answer from",
        })
    }
}

impl SendError {
    pub(super) fn new(stage: Stage, endpoint: &Endpoint) -> Self {
        let endpoint = endpoint.clone();
        Self { stage, endpoint, cause: None }
    }

    pub(super) fn because(
        stage: Stage,
        endpoint: &Endpoint,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        let cause = Some(cause.into());
        Self { cause, ..Self::new(stage, endpoint) }
    }
}
