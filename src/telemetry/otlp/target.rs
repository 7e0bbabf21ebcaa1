//! Where a signal goes, and how.

use std::time::Duration;

use http::{HeaderMap, Uri};

use crate::net::endpoint::Endpoint;

/// Where a signal goes, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// How OTLP is written.
    pub wire: Wire,
    /// The backend.
    pub endpoint: Endpoint,
    /// What is asked for there, in origin form.
    pub path: Uri,
    /// Headers that every request carries; they may be secrets.
    pub headers: HeaderMap,
    /// Whether requests are compressed.
    pub gzip: bool,
    /// How long one request may take.
    pub timeout: Duration,
}

/// How OTLP is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Binary protobuf over HTTP.
    Http,
    /// gRPC.
    Grpc,
}

impl Wire {
    /// Where a collector is that nobody named.
    pub(super) fn default_endpoint(self) -> &'static str {
        match self {
            Self::Http => "http://localhost:4318",
            Self::Grpc => "http://localhost:4317",
        }
    }
}

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
}

impl Signal {
    /// Its name in variables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
        }
    }

    /// Its path over HTTP, below the endpoint.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
        }
    }

    /// Its method over gRPC.
    pub(super) fn service(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }
}
