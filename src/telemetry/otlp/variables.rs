//! The `OTEL_*` variables, read as the specification says, with errors that name variable, value and what it may be.

use std::borrow::Cow;
use std::time::Duration;

use http::Uri;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use opentelemetry_sdk::metrics::Temporality;
use percent_encoding::percent_decode_str;

use super::OtlpError;
use super::target::{Signal, Target, Wire};
use crate::environment::Environment;
use crate::net::endpoint::Endpoint;
use crate::telemetry::sampler::{Root, Sampler};
use crate::telemetry::semconv::Edition;

/// How long one request to a backend may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// Reads variables; an empty one is as good as none (OTel's specification of environment variables).
pub(super) struct Reader<'a> {
    environment: &'a Environment,
    warnings: Vec<String>,
}

impl Reader<'_> {
    pub(super) fn of(environment: &Environment) -> Reader<'_> {
        Reader { environment, warnings: Vec::new() }
    }

    /// What was said that does no harm.
    pub(super) fn warnings(self) -> Vec<String> {
        self.warnings
    }

    fn var(&self, name: &str) -> Option<String> {
        self.environment.var(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// A signal's own variable, or the one for all; and its name.
    fn said(&self, signal: Signal, name: &str) -> Option<(String, String)> {
        let (own, all) =
            (format!("OTEL_EXPORTER_OTLP_{}_{name}", signal.name()), format!("OTEL_EXPORTER_OTLP_{name}"));
        [own, all].into_iter().find_map(|name| self.var(&name).map(|value| (name, value)))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, OtlpError> {
        match self.var(name).as_deref() {
            None => Ok(false),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
            Some(value) => Err(wrong(name, value, "true or false")),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<usize>, OtlpError> {
        let Some(value) = self.var(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| wrong(name, &value, "a whole number"))
    }

    pub(super) fn millis(&self, name: &str) -> Result<Option<Duration>, OtlpError> {
        let Some(value) = self.var(name) else { return Ok(None) };
        let millis = value.parse().map_err(|_| wrong(name, &value, "milliseconds"))?;
        Ok(Some(Duration::from_millis(millis)))
    }

    pub(super) fn interval(&self) -> Result<Option<Duration>, OtlpError> {
        const NAME: &str = "OTEL_METRIC_EXPORT_INTERVAL";
        match self.millis(NAME)? {
            Some(Duration::ZERO) => Err(wrong(NAME, "0", "milliseconds, at least 1")),
            interval => Ok(interval),
        }
    }

    pub(super) fn temporality(&self) -> Result<Temporality, OtlpError> {
        const NAME: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        let Some(value) = self.var(NAME) else { return Ok(Temporality::Cumulative) };
        value.parse().map_err(|()| wrong(NAME, &value, "cumulative, delta or lowmemory"))
    }

    /// `OTEL_RESOURCE_ATTRIBUTES` and, winning over it, `OTEL_SERVICE_NAME`.
    pub(super) fn attributes(&mut self) -> Vec<(String, String)> {
        const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
        let mut attributes = Vec::new();
        for pair in self.var(NAME).iter().flat_map(|value| value.split(',')).map(str::trim) {
            match pair.split_once('=').map(|(key, value)| (key.trim(), percent_decode_str(value.trim()))) {
                Some((key, value)) if !key.is_empty() => {
                    attributes.push((key.to_owned(), value.decode_utf8_lossy().into_owned()));
                }
                _ if pair.is_empty() => {}
                _ => self.warnings.push(format!("{NAME}: `{pair}` is no key=value, and is left out")),
            }
        }
        attributes.extend(self.var("OTEL_SERVICE_NAME").map(|name| ("service.name".to_owned(), name)));
        attributes
    }

    /// Where a signal goes; none where it is not exported.
    pub(super) fn target(&self, signal: Signal) -> Result<Option<Target>, OtlpError> {
        let endpoint = self.said(signal, "ENDPOINT");
        if !self.exports(signal, endpoint.is_some())? {
            return Ok(None);
        }
        let wire = match self.said(signal, "PROTOCOL") {
            None => Wire::Http,
            Some((name, value)) => match value.as_str() {
                "http/protobuf" => Wire::Http,
                "grpc" => Wire::Grpc,
                _ => return Err(wrong(&name, &value, "http/protobuf or grpc")),
            },
        };
        let gzip = match self.said(signal, "COMPRESSION") {
            None => false,
            Some((name, value)) => match value.as_str() {
                "gzip" => true,
                "none" => false,
                _ => return Err(wrong(&name, &value, "gzip or none")),
            },
        };
        let timeout = match self.said(signal, "TIMEOUT") {
            None => TIMEOUT,
            Some((name, value)) => match self.millis(&name)?.unwrap_or(TIMEOUT) {
                Duration::ZERO => return Err(wrong(&name, &value, "milliseconds, at least 1")),
                limit => limit,
            },
        };
        let (endpoint, path) = self.endpoint(signal, wire, endpoint)?;
        Ok(Some(Target { wire, endpoint, path, headers: self.headers(signal)?, gzip, timeout }))
    }

    /// The endpoint that all signals share gets each one's path; a signal's own is taken as it is.
    fn endpoint(
        &self,
        signal: Signal,
        wire: Wire,
        said: Option<(String, String)>,
    ) -> Result<(Endpoint, Uri), OtlpError> {
        const HINT: &str = "a URL such as http://collector:4318";
        let (name, value) = said.unwrap_or_else(|| (String::new(), wire.default_endpoint().to_owned()));
        // gRPC alone takes `host:port`, which is encrypted unless said otherwise.
        let url = match wire {
            Wire::Grpc if !value.contains("://") => {
                let plain =
                    self.said(signal, "INSECURE").is_some_and(|(_, said)| said.eq_ignore_ascii_case("true"));
                format!("{}://{value}", if plain { "http" } else { "https" })
            }
            Wire::Grpc | Wire::Http => value.clone(),
        };
        let bad = || match value.contains(['@', '?', '#']) {
            // Not to be printed: it may hold a password, or a key.
            true => wrong(
                &name,
                "..",
                "must not hold a user name, a password or a query; see OTEL_EXPORTER_OTLP_HEADERS",
            ),
            false => wrong(&name, &value, HINT),
        };
        let endpoint = Endpoint::parse(&url).map_err(|_| bad())?;
        let path = match (wire, &endpoint) {
            (Wire::Grpc, _) => PathAndQuery::from_static(signal.service()),
            (Wire::Http, _) if !name.contains(signal.name()) => endpoint.path(signal.path()),
            (Wire::Http, Endpoint::Http(at)) if at.base_path.is_empty() => PathAndQuery::from_static("/"),
            (Wire::Http, _) => endpoint.path(""),
        };
        Ok((endpoint, path.into()))
    }

    /// `name=value` pairs with commas between them, values percent-encoded. They may be secrets: none is ever printed.
    fn headers(&self, signal: Signal) -> Result<HeaderMap, OtlpError> {
        let mut headers = HeaderMap::new();
        let Some((variable, value)) = self.said(signal, "HEADERS") else { return Ok(headers) };
        for pair in value.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let header = pair.split_once('=').and_then(|(name, value)| {
                let mut value = HeaderValue::from_bytes(&Cow::from(percent_decode_str(value.trim()))).ok()?;
                value.set_sensitive(true);
                Some((HeaderName::try_from(name.trim()).ok()?, value))
            });
            let Some((name, value)) = header else {
                return Err(wrong(&variable, "..", "pairs such as authorization=Bearer%20token,x-team=a"));
            };
            headers.append(name, value);
        }
        Ok(headers)
    }

    /// `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER`; without it, whether there is an endpoint.
    fn exports(&self, signal: Signal, has_endpoint: bool) -> Result<bool, OtlpError> {
        let name = format!("OTEL_{}_EXPORTER", signal.name());
        let Some(value) = self.var(&name) else { return Ok(has_endpoint) };
        let mut exports = false;
        for exporter in value.split(',').map(str::trim) {
            match (exporter, signal) {
                ("otlp", _) => exports = true,
                ("none", _) | ("prometheus", Signal::Metrics) => {}
                (_, Signal::Traces) => return Err(wrong(&name, &value, "otlp or none")),
                (_, Signal::Metrics) => {
                    return Err(wrong(&name, &value, "otlp, none, or prometheus, which is on always"));
                }
            }
        }
        Ok(exports)
    }

    pub(super) fn sampler(&self) -> Result<Sampler, OtlpError> {
        const NAME: &str = "OTEL_TRACES_SAMPLER";
        let Some(value) = self.var(NAME) else { return Ok(Sampler::ParentBased(Root::AlwaysOn)) };
        let sampler = match value.as_str() {
            "always_on" => Sampler::Root(Root::AlwaysOn),
            "always_off" => Sampler::Root(Root::AlwaysOff),
            "traceidratio" => Sampler::Root(self.ratio()?),
            "parentbased_always_on" => Sampler::ParentBased(Root::AlwaysOn),
            "parentbased_always_off" => Sampler::ParentBased(Root::AlwaysOff),
            "parentbased_traceidratio" => Sampler::ParentBased(self.ratio()?),
            _ => {
                let hint = "always_on, always_off or traceidratio, each also with parentbased_ before it";
                return Err(wrong(NAME, &value, hint));
            }
        };
        Ok(sampler)
    }

    fn ratio(&self) -> Result<Root, OtlpError> {
        const NAME: &str = "OTEL_TRACES_SAMPLER_ARG";
        let Some(value) = self.var(NAME) else { return Ok(Root::AlwaysOn) };
        match value.parse::<f64>() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(Root::ratio(share)),
            Ok(_) | Err(_) => Err(wrong(NAME, &value, "a share of calls between 0 and 1, such as 0.1")),
        }
    }

    pub(super) fn edition(&self) -> Result<Edition, OtlpError> {
        const NAME: &str = "EGRET_SEMCONV";
        match self.var(NAME).as_deref() {
            None | Some("both") => Ok(Edition::Both),
            Some("latest") => Ok(Edition::Latest),
            Some("v1.41") => Ok(Edition::V1_41),
            Some(value) => Err(wrong(NAME, value, "both, latest or v1.41")),
        }
    }

    /// Unknown propagators are ignored with a warning, as the specification asks; baggage is never passed on.
    pub(super) fn propagators(&mut self) {
        const NAME: &str = "OTEL_PROPAGATORS";
        let Some(value) = self.var(NAME) else { return };
        let named: Vec<&str> = value.split(',').map(str::trim).collect();
        if let Some(other) = named.iter().find(|name| !["tracecontext", "baggage", "none"].contains(name)) {
            self.warnings.push(format!("{NAME}: egret does not speak {other}; it reads W3C's traceparent"));
        } else if !named.contains(&"tracecontext") {
            self.warnings.push(format!("{NAME}={value}: egret reads W3C's traceparent all the same"));
        }
    }

    pub(super) fn certificates(&mut self) {
        for signal in [Signal::Traces, Signal::Metrics] {
            for file in ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"] {
                if let Some((name, _)) = self.said(signal, file) {
                    let hint = "is not used; backends are trusted as providers are, by the system's roots and --extra-ca";
                    self.warnings.push(format!("{name} {hint}"));
                }
            }
        }
        self.warnings.dedup();
    }
}

fn wrong(name: &str, value: &str, hint: &'static str) -> OtlpError {
    OtlpError::Value { name: name.to_owned(), value: value.to_owned(), hint }
}
