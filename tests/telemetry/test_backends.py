"""A fallback as real backends tell it after they have taken it in, and metrics by their queries."""

import json
import subprocess
import sys
from base64 import b64decode

import pytest
from backends import CLEAN, Prometheus, Rotel, VictoriaMetrics, eventually
from conftest import ANSWER, ASK, CALLER_KEY, ROOT, SECRETS, exporting


@pytest.fixture
def start(tmp_path):
    """Starts a backend that is ended with the test."""
    backends = []

    def start(kind, *arguments):
        backends.append(kind(tmp_path / kind.__name__.lower(), *arguments))
        backends[-1].await_ready()
        return backends[-1]

    yield start
    for backend in backends:
        backend.close()


def fallback(app, egret):
    """A call that falls back. Gives its trace and the span of the app that egret was told of."""
    with app.span() as trace:
        app.client(egret).chat.completions.create(model="fallback", messages=ASK)
    return trace, app.began[trace]


def none_of_the_secrets(told):
    found = [secret for secret in SECRETS if secret in json.dumps(told)]
    assert not found


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_phoenix_tells_a_fallback_with_its_model_calls(app, run, phoenix, protocol):
    egret = run({**phoenix.environment(protocol), "OTEL_METRICS_EXPORTER": "none"})
    trace, parent = fallback(app, egret)
    spans = {span["name"]: span for span in phoenix.trace(trace, 3)}

    server, failed, answered = (spans[name] for name in ("POST /v1/chat/completions", "chat down", "chat gpt-4.1"))
    assert server["parent_id"] == parent
    assert {failed["parent_id"], answered["parent_id"]} == {server["context"]["span_id"]}
    assert (failed["status_code"], answered["status_code"], server["status_code"]) == ("ERROR", "UNSET", "UNSET")
    # Phoenix makes these of `gen_ai.*` when it takes spans in.
    assert (failed["span_kind"], answered["span_kind"]) == ("LLM", "LLM")
    said = answered["attributes"]
    assert said["llm.model_name"] == "gpt-4.1"
    assert said["llm.token_count.completion"] == said["gen_ai.usage.output_tokens"] > 0
    assert server["attributes"]["egret.tenant"] == "shop"
    assert "egret.fallback" in [event["name"] for event in server["events"]]
    none_of_the_secrets(list(spans.values()))


def test_mlflow_tells_a_fallback_and_the_tokens_of_the_trace(app, run, mlflow):
    egret = run({**mlflow.environment(), "OTEL_METRICS_EXPORTER": "none"})
    trace, parent = fallback(app, egret)
    told = mlflow.trace(trace, 3)
    spans = {span["name"]: span for span in told["spans"]}

    server, failed, answered = (spans[name] for name in ("POST /v1/chat/completions", "chat down", "chat gpt-4.1"))
    assert b64decode(server["parent_span_id"]).hex() == parent
    assert failed["parent_span_id"] == answered["parent_span_id"] == server["span_id"]
    assert failed["status"]["code"] == "STATUS_CODE_ERROR"
    assert [link["span_id"] for link in answered["links"]] == [failed["span_id"]]
    info = told["trace_info"]
    # Once, though both the call and its attempt know them.
    usage = json.loads(info["trace_metadata"]["mlflow.trace.tokenUsage"])
    said = {pair["key"]: pair["value"] for pair in answered["attributes"]}
    assert usage["output_tokens"] == said["gen_ai.usage.output_tokens"]["int_value"] > 0
    assert said["mlflow.spanType"]["string_value"] == "CHAT_MODEL"
    assert info["tags"]["k8s.pod.name"] == "tide-7f9c"
    none_of_the_secrets(told)


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_collector_passes_on_what_it_was_sent(app, run, receiver, start, protocol):
    rotel = start(Rotel, receiver.address("grpc"))
    egret = run(rotel.environment(protocol))
    trace, parent = fallback(app, egret)
    server, failed, answered = receiver.trace(trace, 3)

    assert server.parent == parent
    assert failed.parent == answered.parent == server.id
    assert answered.links == [failed.id]
    assert server.resource["k8s.pod.name"] == "tide-7f9c"
    assert receiver.metric("egret.calls", lambda metric: metric.value() == 1).value({"egret.tenant": "shop"}) == 1


def test_victoria_metrics_takes_pushed_metrics_and_answers_for_them(app, run, start):
    victoria = start(VictoriaMetrics)
    egret = run({**victoria.environment(), "OTEL_TRACES_EXPORTER": "none"})
    fallback(app, egret)

    def value(expression):
        found = eventually(lambda: victoria.query(expression), 10)
        assert found, f"nothing for {expression} in {victoria.names()}"
        return float(found[0]["value"][1])

    assert value('sum(egret_calls_total{egret_tenant="shop"})') == 1
    assert value('sum(egret_attempts_total)') == 2
    assert value('sum(gen_ai_client_inference_duration_seconds_count{egret_provider="openai"})') == 1
    assert value('histogram_quantile(0.99, sum by (le) (gen_ai_client_inference_duration_seconds_bucket))') > 0


def test_prometheus_scrapes_the_same_names(app, run, start):
    egret = run()
    fallback(app, egret)
    prometheus = start(Prometheus, egret.admin)

    def value(expression):
        found = eventually(lambda: prometheus.query(expression), 15)
        assert found, f"nothing for {expression}"
        return float(found[0]["value"][1])

    assert value('up{job="egret"} == 1') == 1
    assert value('sum(egret_calls_total{egret_tenant="shop"})') == 1
    assert value('sum(egret_attempts_total)') == 2
    assert value('sum(gen_ai_client_inference_duration_seconds_count{egret_provider="openai"})') == 1
    assert value('histogram_quantile(0.99, sum by (le) (gen_ai_client_inference_duration_seconds_bucket))') > 0


def test_the_example_app_and_egret_make_one_trace(run, receiver):
    egret = run(exporting(receiver, "grpc"))
    environment = {
        **CLEAN, "OPENAI_BASE_URL": egret.base_url, "OPENAI_API_KEY": CALLER_KEY, "MODEL": "quick",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.address("http/protobuf"), "OTEL_SERVICE_NAME": "app",
        "OTEL_BSP_SCHEDULE_DELAY": "50"}
    app = subprocess.Popen(
        [sys.executable, ROOT / "deploy/examples/app/app.py"], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert ANSWER in app.stdout.readline()
        began = receiver.wait(lambda: [span for span in receiver.spans if span.resource["service.name"] == "app"])
    finally:
        app.terminate()
        app.wait()
    asked, server, client = receiver.trace(began[0].trace, 3)

    assert (asked.name, asked.parent) == ("ask about the tide", "")
    assert (server.parent, client.parent) == (asked.id, server.id)
    assert {span.resource["service.name"] for span in (server, client)} == {"egret"}
