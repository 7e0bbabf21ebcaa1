//! Export by OTLP, as the standard `OTEL_*` variables ask for it; off where they name no endpoint.
//!
//! What is decided here: whether a signal is exported, over which protocol, and which calls are traced. Endpoints,
//! headers, timeouts, compression, batches and resource attributes are the SDK's to read from the same variables.

mod client;

use std::time::Duration;

use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
};
use opentelemetry_sdk::Resource;

use self::client::Client;
use super::sampler::{Root, Sampler};
use super::semconv::Edition;
use super::spans::Spans;
use crate::environment::Environment;
use crate::net::tls::LazyTls;
use crate::random::Random;

/// How many spans wait at most, unless `OTEL_BSP_MAX_QUEUE_SIZE` says otherwise.
const QUEUE: usize = 2_048;
/// How long one request to a backend may take, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the environment asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How traces are exported; none where they are not.
    pub traces: Option<Transport>,
    /// How metrics are pushed; none where they are not. `/metrics` is there either way.
    pub metrics: Option<Transport>,
    /// Which calls are traced.
    pub sampler: Sampler,
    /// Which names are written.
    pub edition: Edition,
    /// How many spans may wait.
    pub queue: usize,
    /// What was said that means nothing to egret, and does no harm.
    pub warnings: Vec<String>,
}

/// How a backend is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Over HTTP or gRPC.
    pub wire: Wire,
    /// Whether its endpoint is encrypted.
    pub tls: bool,
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

/// A variable that egret cannot do as it says.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// Its value is none of those that there are.
    #[error("{name}={value}: {hint}")]
    Value {
        /// The variable.
        name: String,
        /// What it holds.
        value: String,
        /// What it may hold.
        hint: &'static str,
    },
    /// The SDK cannot build an exporter from what the variables say.
    #[error("OTLP export cannot be set up as the OTEL_EXPORTER_OTLP_* variables say: {0}")]
    Build(#[from] ExporterBuildError),
}

/// What is exported, by its name in variables.
#[derive(Clone, Copy)]
enum Signal {
    Traces,
    Metrics,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
        }
    }
}

impl Settings {
    /// Reads the variables.
    ///
    /// # Errors
    /// A value that names what does not exist: it is better found at start than missed in the backend.
    pub fn read(environment: &Environment) -> Result<Self, OtlpError> {
        let mut read = Reader { environment, warnings: Vec::new() };
        let disabled = read.flag("OTEL_SDK_DISABLED")?;
        let settings = Self {
            traces: read.transport(Signal::Traces)?.filter(|_| !disabled),
            metrics: read.transport(Signal::Metrics)?.filter(|_| !disabled),
            sampler: read.sampler()?,
            edition: read.edition()?,
            queue: read.number("OTEL_BSP_MAX_QUEUE_SIZE")?.unwrap_or(QUEUE).max(1),
            warnings: Vec::new(),
        };
        read.propagators();
        read.certificate();
        Ok(Self { warnings: read.warnings, ..settings })
    }

    /// Who we are to a backend: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, and what is known without them.
    pub fn resource(random: &Random) -> Resource {
        let said = Resource::builder().build();
        let mut resource = Resource::builder();
        // The SDK puts a name of its own where none is said.
        let unnamed = |name: &opentelemetry::Value| name.as_str().starts_with("unknown_service");
        if said.get(&Key::from_static_str("service.name")).is_none_or(|name| unnamed(&name)) {
            resource = resource.with_service_name("egret");
        }
        let known = [
            ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
            ("service.instance.id", format!("{:032x}", random.u128())),
        ];
        for (key, value) in known {
            if said.get(&Key::from_static_str(key)).is_none() {
                resource = resource.with_attribute(KeyValue::new(key, value));
            }
        }
        resource.build()
    }

    /// The exporter of spans, if traces are exported. Call it on the runtime that is to carry the requests, and keep
    /// that running until [`Spans::shutdown`] has returned.
    pub fn spans(&self, tls: &LazyTls, resource: &Resource) -> Result<Option<Spans>, OtlpError> {
        let Some(transport) = self.traces else { return Ok(None) };
        let builder = SpanExporter::builder();
        let exporter = match transport.wire {
            Wire::Grpc => {
                let builder = builder.with_tonic();
                if transport.tls { builder.with_tls_config(trust(tls)) } else { builder }.build()?
            }
            Wire::Http => {
                let client = Client::new(tls.clone(), transport.timeout);
                builder.with_http().with_protocol(Protocol::HttpBinary).with_http_client(client).build()?
            }
        };
        Ok(Some(Spans::new(self.sampler, self.edition, self.queue, resource, exporter)))
    }

    /// The exporter of metrics, if they are pushed; on the same runtime.
    pub fn metric_exporter(&self, tls: &LazyTls) -> Result<Option<MetricExporter>, OtlpError> {
        let Some(transport) = self.metrics else { return Ok(None) };
        let builder = MetricExporter::builder();
        let exporter = match transport.wire {
            Wire::Grpc => {
                let builder = builder.with_tonic();
                if transport.tls { builder.with_tls_config(trust(tls)) } else { builder }.build()?
            }
            Wire::Http => {
                let client = Client::new(tls.clone(), transport.timeout);
                builder.with_http().with_protocol(Protocol::HttpBinary).with_http_client(client).build()?
            }
        };
        Ok(Some(exporter))
    }
}

/// The trust of gRPC: the system's roots and those of `--extra-ca`, as providers are trusted.
fn trust(tls: &LazyTls) -> ClientTlsConfig {
    ClientTlsConfig::new().with_native_roots().trust_anchors(tls.extra_anchors())
}

/// Reads variables; an empty one is as good as none (OTel's specification of environment variables).
struct Reader<'a> {
    environment: &'a Environment,
    warnings: Vec<String>,
}

impl Reader<'_> {
    fn var(&self, name: &str) -> Option<String> {
        self.environment.var(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// A signal's own variable, or the one for all; and its name.
    fn of(&self, signal: Signal, name: &str) -> Option<(String, String)> {
        let (own, all) =
            (format!("OTEL_EXPORTER_OTLP_{}_{name}", signal.name()), format!("OTEL_EXPORTER_OTLP_{name}"));
        [own, all].into_iter().find_map(|name| self.var(&name).map(|value| (name, value)))
    }

    fn flag(&self, name: &str) -> Result<bool, OtlpError> {
        match self.var(name).as_deref() {
            None => Ok(false),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
            Some(value) => Err(wrong(name, value, "true or false")),
        }
    }

    fn number(&self, name: &str) -> Result<Option<usize>, OtlpError> {
        let Some(value) = self.var(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| wrong(name, &value, "a whole number"))
    }

    fn transport(&self, signal: Signal) -> Result<Option<Transport>, OtlpError> {
        let endpoint = self.of(signal, "ENDPOINT");
        if !self.exports(signal, endpoint.is_some())? {
            return Ok(None);
        }
        let wire = match self.of(signal, "PROTOCOL") {
            None => Wire::Http,
            Some((name, value)) => match value.as_str() {
                "http/protobuf" => Wire::Http,
                "grpc" => Wire::Grpc,
                _ => return Err(wrong(&name, &value, "http/protobuf or grpc")),
            },
        };
        if let Some((name, value)) = self.of(signal, "COMPRESSION")
            && !["gzip", "none"].contains(&value.as_str())
        {
            return Err(wrong(&name, &value, "gzip or none"));
        }
        let tls = match &endpoint {
            None => false,
            Some((_, value)) if value.starts_with("https://") => true,
            Some((_, value)) if value.starts_with("http://") => false,
            // gRPC alone takes `host:port`, which is encrypted unless said otherwise.
            Some((name, value)) if wire != Wire::Grpc || value.contains("://") => {
                return Err(wrong(name, value, "a URL such as http://collector:4318"));
            }
            Some(_) => {
                !self.of(signal, "INSECURE").is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"))
            }
        };
        let timeout = match self.of(signal, "TIMEOUT") {
            None => TIMEOUT,
            Some((name, value)) => {
                let millis = value.parse().map_err(|_| wrong(&name, &value, "milliseconds"))?;
                Duration::from_millis(millis)
            }
        };
        Ok(Some(Transport { wire, tls, timeout }))
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

    fn sampler(&self) -> Result<Sampler, OtlpError> {
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

    fn edition(&self) -> Result<Edition, OtlpError> {
        const NAME: &str = "EGRET_SEMCONV";
        match self.var(NAME).as_deref() {
            None | Some("both") => Ok(Edition::Both),
            Some("latest") => Ok(Edition::Latest),
            Some("v1.41") => Ok(Edition::V1_41),
            Some(value) => Err(wrong(NAME, value, "both, latest or v1.41")),
        }
    }

    /// Unknown propagators are ignored with a warning, as the specification asks; baggage is never passed on.
    fn propagators(&mut self) {
        const NAME: &str = "OTEL_PROPAGATORS";
        let Some(value) = self.var(NAME) else { return };
        let named: Vec<&str> = value.split(',').map(str::trim).collect();
        if let Some(other) = named.iter().find(|name| !["tracecontext", "baggage", "none"].contains(name)) {
            self.warnings.push(format!("{NAME}: egret does not speak {other}; it reads W3C's traceparent"));
        } else if !named.contains(&"tracecontext") {
            self.warnings.push(format!("{NAME}={value}: egret reads W3C's traceparent all the same"));
        }
    }

    fn certificate(&mut self) {
        for signal in [Signal::Traces, Signal::Metrics] {
            for file in ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"] {
                if let Some((name, _)) = self.of(signal, file) {
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

#[cfg(test)]
mod tests;
