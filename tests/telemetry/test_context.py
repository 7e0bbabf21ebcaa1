"""Where traces come from and go to: `traceparent` of callers and towards providers, sampling, switches, the end."""

import json
import subprocess
import time
import urllib.request

import pytest
from backends import CLEAN
from conftest import ASK, BINARY, CALLER_KEY, PROVIDER_KEY, exporting

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


def call(egret, model="quick", **headers):
    """A call of which the test says every header: urllib is not instrumented. Gives its request id."""
    request = urllib.request.Request(
        f"{egret.base_url}/chat/completions", json.dumps({"model": model, "messages": ASK}).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {CALLER_KEY}", **headers})
    with urllib.request.urlopen(request, timeout=20) as answer:
        answer.read()
        return answer.headers["x-request-id"]


def spans_of(receiver, request_id, count=2):
    """The spans of the trace to which a call belongs."""
    def found():
        servers = [span for span in receiver.spans if span.attributes.get("egret.request.id") == request_id]
        return servers[0].trace if servers else None

    return receiver.trace(receiver.wait(found), count)


def test_without_a_parent_a_call_is_a_trace_of_its_own(run, receiver):
    egret = run(exporting(receiver, "http/protobuf"))
    [server, _] = spans_of(receiver, call(egret))

    assert server.parent == ""


def test_tracestate_is_kept(run, receiver):
    egret = run(exporting(receiver, "http/protobuf"))
    call(egret, traceparent=f"00-{TRACE}-{PARENT}-01", tracestate="shop=7,till=3")
    server, client = receiver.trace(TRACE, 2)

    assert server.parent == PARENT
    assert {server.trace_state, client.trace_state} == {"shop=7,till=3"}


@pytest.mark.parametrize("broken", [
    "nonsense",
    f"00-{'0' * 32}-{PARENT}-01",
    f"00-{TRACE}-{'0' * 16}-01",
    f"ff-{TRACE}-{PARENT}-01",
    f"00-{TRACE.upper()}-{PARENT}-01",
])
def test_a_broken_traceparent_is_none(run, receiver, broken):
    egret = run(exporting(receiver, "http/protobuf"))
    [server, _] = spans_of(receiver, call(egret, traceparent=broken))

    assert server.parent == ""
    assert server.trace != TRACE


def test_a_ratio_holds_for_calls_without_a_parent_only(run, receiver):
    egret = run({**exporting(receiver, "http/protobuf"),
                 "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"})
    for _ in range(20):
        call(egret)
    call(egret, traceparent=f"00-{TRACE}-{PARENT}-01")
    receiver.trace(TRACE, 2)
    assert egret.stop() == 0

    assert len(receiver.spans) == 2


def test_a_ratio_of_a_half_takes_about_half(run, receiver):
    egret = run({**exporting(receiver, "http/protobuf"),
                 "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"})
    for _ in range(200):
        call(egret)
    assert egret.stop() == 0

    taken = sum(span.kind == "SERVER" for span in receiver.spans)
    # Six standard deviations around 100.
    assert 57 < taken < 143
    assert len(receiver.spans) == 2 * taken


def test_a_caller_that_is_not_sampled_is_not_traced(run, receiver):
    egret = run(exporting(receiver, "http/protobuf"))
    call(egret, traceparent=f"00-{TRACE}-{PARENT}-00")
    spans_of(receiver, call(egret))
    assert egret.stop() == 0

    assert not [span for span in receiver.spans if span.trace == TRACE]


def test_a_provider_is_told_of_the_trace_only_where_the_policy_says_so(run, receiver, recorder):
    egret = run(exporting(receiver, "http/protobuf"))
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "shop=7", "baggage": "user=ada"}
    recorder.headers.clear()
    call(egret, model="curious", **headers)
    call(egret, model="trusted", **headers)
    spans = receiver.trace(TRACE, 4)
    [client] = [span for span in spans if span.attributes.get("egret.model") == "trusted"]

    untold, told = recorder.headers
    assert not {"traceparent", "tracestate", "baggage"} & untold.keys()
    assert told["traceparent"] == f"00-{TRACE}-{client.id}-01"
    assert told["tracestate"] == "shop=7"
    assert "baggage" not in told


@pytest.mark.parametrize("off", [
    {"OTEL_SDK_DISABLED": "true"},
    {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"},
])
def test_export_can_be_switched_off(run, receiver, off):
    egret = run({**exporting(receiver, "http/protobuf"), **off})
    call(egret)
    assert egret.stop() == 0

    assert receiver.requests == 0


def test_traces_alone_and_metrics_alone(run, receiver, tmp_path):
    egret = run({**exporting(receiver, "grpc"), "OTEL_METRICS_EXPORTER": "none"})
    spans_of(receiver, call(egret))
    assert egret.stop() == 0
    assert receiver.metrics == {}

    before = len(receiver.spans)
    egret = run({**exporting(receiver, "grpc"), "OTEL_TRACES_EXPORTER": "none"})
    call(egret)
    receiver.metric("egret.calls", lambda metric: metric.value() == 1)
    assert egret.stop() == 0
    assert len(receiver.spans) == before


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_headers_name_and_compression_are_taken_from_the_environment(run, receiver, protocol):
    egret = run({**exporting(receiver, protocol), "OTEL_SERVICE_NAME": "till-egret",
                 "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=blue,authorization=Basic%20YQ%3D%3D",
                 "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"})
    [server, _] = spans_of(receiver, call(egret))

    assert server.resource["service.name"] == "till-egret"
    headers = {name.lower(): value for name, value in receiver.headers[0].items()}
    assert headers["x-tenant"] == "blue"
    assert headers["authorization"] == "Basic YQ=="
    if protocol != "grpc":
        assert headers["content-encoding"] == "gzip"


def test_the_older_names_can_be_left_out(run, receiver):
    egret = run({**exporting(receiver, "http/protobuf"), "EGRET_SEMCONV": "latest"})
    [_, client] = spans_of(receiver, call(egret))

    assert client.attributes["gen_ai.provider.name"]
    assert "gen_ai.system" not in client.attributes


def test_a_fault_in_the_settings_is_said_at_start(policy):
    done = subprocess.run(
        [BINARY, "run", "--policy", policy, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"], capture_output=True,
        text=True, timeout=20,
        env={**CLEAN, "CANARY_PROVIDER_KEY": PROVIDER_KEY, "OTEL_EXPORTER_OTLP_ENDPOINT": "not a url"})

    assert done.returncode == 1
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in done.stderr


def test_the_last_spans_arrive_before_the_end(run, receiver):
    egret = run({**exporting(receiver, "http/protobuf"), "OTEL_BSP_SCHEDULE_DELAY": "60000",
                 "OTEL_METRIC_EXPORT_INTERVAL": "60000"}, arguments=["--drain", "gateway", "--drain-grace", "0s"])
    call(egret, traceparent=f"00-{TRACE}-{PARENT}-01")
    begun = time.monotonic()
    assert egret.stop() == 0

    assert time.monotonic() - begun < 5
    assert len(receiver.trace(TRACE, 2)) == 2
    assert receiver.metrics["egret.calls"].value() == 1
