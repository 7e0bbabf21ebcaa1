use std::collections::BTreeSet;

use super::*;
use crate::telemetry::sampler::Root;

fn read<const N: usize>(variables: [(&str, &str); N]) -> Result<Settings, OtlpError> {
    Settings::read(&Environment::given(variables))
}

fn fault<const N: usize>(variables: [(&str, &str); N]) -> String {
    read(variables).unwrap_err().to_string()
}

#[test]
fn nothing_is_exported_where_nothing_is_said() {
    let settings = read([]).unwrap();
    assert_eq!((settings.traces, settings.metrics), (None, None));
    assert_eq!(settings.sampler, Sampler::ParentBased(Root::AlwaysOn));
    assert_eq!((settings.queue, settings.batch, settings.delay), (2_048, 512, Duration::from_secs(5)));
    let settings = read([("OTEL_EXPORTER_OTLP_ENDPOINT", ""), ("OTEL_SERVICE_NAME", "app")]).unwrap();
    assert_eq!((settings.traces, settings.metrics), (None, None), "an empty variable is as good as none");
}

#[test]
fn an_endpoint_turns_both_signals_on_and_its_own_only_one() {
    let both = read([("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")]).unwrap();
    let at = |target: Option<Target>| target.map(|at| (at.wire, format!("{} {}", at.endpoint, at.path)));
    assert_eq!(at(both.traces), Some((Wire::Http, "http://collector:4318 /v1/traces".to_owned())));
    assert_eq!(at(both.metrics), Some((Wire::Http, "http://collector:4318 /v1/metrics".to_owned())));
    let own = read([("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector/own")]).unwrap();
    assert_eq!(at(own.traces), Some((Wire::Http, "https://collector/own /own".to_owned())));
    assert_eq!(own.metrics, None);
    let below = read([("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector/otlp/")]).unwrap();
    assert_eq!(below.traces.unwrap().path, "/otlp/v1/traces");
}

#[test]
fn exporters_can_be_named_and_switched_off() {
    const AT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
    let on = |variables: [(&str, &str); 2]| {
        let settings = read(variables).unwrap();
        (settings.traces.is_some(), settings.metrics.is_some())
    };
    assert_eq!(on([AT, ("OTEL_TRACES_EXPORTER", "none")]), (false, true));
    assert_eq!(on([AT, ("OTEL_METRICS_EXPORTER", "prometheus")]), (true, false));
    assert_eq!(on([AT, ("OTEL_SDK_DISABLED", "true")]), (false, false));
    assert_eq!(on([("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_METRICS_EXPORTER", "none")]), (true, false));
}

#[test]
fn the_protocol_is_a_signals_own_or_that_of_all() {
    let settings = read([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
    ])
    .unwrap();
    assert_eq!(settings.traces.as_ref().unwrap().wire, Wire::Grpc);
    assert_eq!(settings.metrics.unwrap().wire, Wire::Http);
    assert_eq!(settings.traces.unwrap().timeout, Duration::from_millis(2_500));
}

#[test]
fn an_endpoint_of_grpc_without_a_scheme_is_encrypted_unless_said_otherwise() {
    const GRPC: [(&str, &str); 2] =
        [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")];
    let tls = |insecure: &str| {
        let [protocol, endpoint] = GRPC;
        let settings = read([protocol, endpoint, ("OTEL_EXPORTER_OTLP_INSECURE", insecure)]).unwrap();
        settings.traces.unwrap().endpoint.is_tls()
    };
    assert!(tls(""));
    assert!(tls("false"));
    assert!(!tls("true"));
}

#[test]
fn how_metrics_are_pushed_can_be_said() {
    let settings = read([]).unwrap();
    assert_eq!((settings.interval, settings.temporality), (Duration::from_secs(60), Temporality::Cumulative));
    let settings = read([
        ("OTEL_METRIC_EXPORT_INTERVAL", " 10000 "),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
    ])
    .unwrap();
    assert_eq!((settings.interval, settings.temporality), (Duration::from_secs(10), Temporality::Delta));
}

#[test]
fn the_readme_names_every_variable_that_is_read_and_no_other() {
    let (environment, asked) = Environment::noting([
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
    ]);
    Settings::read(&environment).unwrap();
    let readme = include_str!("../../../README.md");
    let settings =
        readme.split("\n## Settings\n").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let mut named = BTreeSet::new();
    for row in settings.lines().filter(|line| line.starts_with("| `OTEL_") || line.starts_with("| `EGRET_")) {
        let first = row.split(" | ").next().unwrap();
        for name in first.split('`').skip(1).step_by(2) {
            named.insert(name.to_owned());
            // As the section says of rows with an asterisk.
            if let Some(rest) = name.strip_prefix("OTEL_EXPORTER_OTLP_").filter(|_| first.ends_with('*')) {
                named.extend(
                    ["TRACES", "METRICS"].map(|signal| format!("OTEL_EXPORTER_OTLP_{signal}_{rest}")),
                );
            }
        }
    }
    assert_eq!(*asked.lock(), named);
}

#[test]
fn samplers_are_those_of_the_specification() {
    let sampler = |name: &str, arg: &str| {
        read([("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", arg)])
            .map(|settings| settings.sampler)
    };
    assert_eq!(sampler("always_off", "").unwrap(), Sampler::Root(Root::AlwaysOff));
    assert_eq!(sampler("traceidratio", "0.1").unwrap(), Sampler::Root(Root::ratio(0.1)));
    assert_eq!(sampler("parentbased_traceidratio", "1").unwrap(), Sampler::ParentBased(Root::AlwaysOn));
    for (name, arg) in
        [("jaeger_remote", ""), ("traceidratio", "10%"), ("traceidratio", "2"), ("traceidratio", "NaN")]
    {
        sampler(name, arg).unwrap_err();
    }
}

#[test]
fn what_cannot_be_done_as_said_names_variable_value_and_what_it_may_be() {
    let at = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
    assert_eq!(
        fault([at, ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json")]),
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json: http/protobuf or grpc"
    );
    assert_eq!(
        fault([("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")]),
        "OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318: a URL such as http://collector:4318"
    );
    for variable in [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_METRICS_EXPORTER", "console"),
        ("OTEL_SDK_DISABLED", "perhaps"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "10s"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "both"),
        ("EGRET_SEMCONV", "v1.40"),
    ] {
        let said = fault([at, variable]);
        assert!(said.starts_with(&format!("{}={}: ", variable.0, variable.1)), "{said}");
    }
}

#[test]
fn what_does_no_harm_is_a_warning() {
    let warnings = |name: &str, value: &str| read([(name, value)]).unwrap().warnings;
    assert!(warnings("OTEL_PROPAGATORS", "tracecontext,baggage").is_empty());
    assert_eq!(warnings("OTEL_PROPAGATORS", "tracecontext,b3").len(), 1);
    assert_eq!(warnings("OTEL_PROPAGATORS", "none").len(), 1);
    assert_eq!(warnings("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem").len(), 1);
}

#[test]
fn headers_are_decoded_and_never_printed() {
    let at = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
    let said = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret, x-team = a");
    let target = read([at, said]).unwrap().traces.unwrap();
    assert_eq!(target.headers["authorization"], "Bearer s3cret");
    assert_eq!(target.headers["x-team"], "a");
    assert!(!format!("{target:?}").contains("s3cret"));
    let fault = fault([at, ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret")]);
    assert!(fault.contains("OTEL_EXPORTER_OTLP_HEADERS") && !fault.contains("s3cret"), "{fault}");
}

#[test]
fn a_password_or_a_key_in_an_endpoint_is_refused_and_not_printed() {
    for endpoint in ["http://me:s3cret@collector:4318", "http://collector:4318/v1/traces?key=s3cret"] {
        let fault = fault([("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]);
        assert!(fault.contains("OTEL_EXPORTER_OTLP_HEADERS") && !fault.contains("s3cret"), "{fault}");
    }
}

#[test]
fn resource_attributes_are_decoded_and_the_services_name_wins() {
    let said = |variables: [(&str, &str); 2]| {
        let resource = read(variables).unwrap().resource(&Random::seeded(1));
        let get = |key: &'static str| resource.get(&key.into()).map(|value| value.to_string());
        [get("service.name"), get("team"), get("service.instance.id")]
    };
    let [name, team, instance] =
        said([("OTEL_RESOURCE_ATTRIBUTES", "team=K%C3%B6ln%2C,service.name=a"), ("OTEL_SERVICE_NAME", "b")]);
    assert_eq!((name.as_deref(), team.as_deref()), (Some("b"), Some("Köln,")));
    assert_eq!(instance.unwrap().len(), 32);
    let [name, _, instance] = said([
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,service.instance.id=pod"),
        ("OTEL_SERVICE_NAME", ""),
    ]);
    assert_eq!((name.as_deref(), instance.as_deref()), (Some("a"), Some("pod")));
    let [name, ..] = said([("OTEL_RESOURCE_ATTRIBUTES", ""), ("OTEL_SERVICE_NAME", "")]);
    assert_eq!(name.as_deref(), Some("egret"));
    assert_eq!(read([("OTEL_RESOURCE_ATTRIBUTES", "a=1,nonsense")]).unwrap().warnings.len(), 1);
}
