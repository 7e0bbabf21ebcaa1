"""The metrics as they are pushed and as they are scraped: one set, two ways."""

import subprocess
import urllib.request

import pytest
from backends import PROMTOOL
from conftest import ASK, CALLER_KEY, LIMITED_KEY, exporting, receiving, running

LATEST = {
    "gen_ai.client.inference.duration": ("histogram", "s"),
    "gen_ai.client.inference.time_to_first_chunk": ("histogram", "s"),
    "gen_ai.client.inference.usage.input_tokens": ("sum", "{token}"),
    "gen_ai.client.inference.usage.output_tokens": ("sum", "{token}"),
    "gen_ai.client.inference.operation.input_tokens": ("histogram", "{token}"),
    "gen_ai.client.inference.operation.output_tokens": ("histogram", "{token}"),
}
V1_41 = {
    "gen_ai.client.token.usage": ("histogram", "{token}"),
    "gen_ai.client.operation.duration": ("histogram", "s"),
    "gen_ai.client.operation.time_to_first_chunk": ("histogram", "s"),
    "gen_ai.server.request.duration": ("histogram", "s"),
    "gen_ai.server.time_to_first_token": ("histogram", "s"),
    "gen_ai.server.time_per_output_token": ("histogram", "s"),
}
DURATIONS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)


def calls(app, egret):
    """Two good calls, one of them a stream; a fallback; two refusals."""
    client = app.client(egret)
    client.chat.completions.create(model="chat", messages=ASK)
    list(client.chat.completions.create(model="chat", messages=ASK, stream=True))
    client.chat.completions.create(model="fallback", messages=ASK)
    for model, key in [("hidden", CALLER_KEY), ("quick", LIMITED_KEY), ("quick", LIMITED_KEY)]:
        try:
            app.client(egret, key).chat.completions.create(model=model, messages=ASK)
        except Exception as error:
            assert getattr(error, "status_code", 0) in (403, 429), error


@pytest.fixture(scope="module", params=["http/protobuf", "grpc"])
def pushed(request, app, policy, tmp_path_factory):
    with receiving() as receiver:
        with running(tmp_path_factory.mktemp("egret"), exporting(receiver, request.param), policy=policy) as egret:
            calls(app, egret)
            receiver.metric("egret.calls", lambda metric: metric.value() == 6)
            receiver.egret = egret
            yield receiver
            assert egret.stop() == 0, egret.said()


def test_calls_refusals_attempts_and_fallbacks_are_counted(pushed):
    counted = pushed.metric("egret.calls")
    assert counted.kind == "sum"
    assert counted.value({"egret.tenant": "shop"}) == 4
    assert counted.value({"egret.tenant": "limited"}) == 2
    refusals = pushed.metric("egret.refusals")
    assert refusals.value({"egret.refusal": "model_not_allowed", "egret.tenant": "shop"}) == 1
    assert refusals.value({"egret.tenant": "limited"}) == 1
    attempts = pushed.metric("egret.attempts")
    assert attempts.value({"egret.model": "tide", "egret.provider": "openai"}) == 3
    assert attempts.value({"egret.model": "down"}) == 1
    assert pushed.metric("egret.fallbacks").value({"egret.route": "fallback"}) == 1


@pytest.mark.parametrize("names", [LATEST, V1_41], ids=["latest", "v1.41"])
def test_the_genai_metrics_have_the_names_kinds_and_units_of_the_conventions(pushed, names):
    for name, (kind, unit) in names.items():
        metric = pushed.metric(name)
        assert (metric.kind, metric.unit) == (kind, unit), name
        for attributes, _ in metric.points:
            assert attributes["gen_ai.operation.name"] == "chat", name
            assert attributes["gen_ai.provider.name"], name


def test_durations_have_the_buckets_of_the_conventions(pushed):
    for name in ("gen_ai.client.inference.duration", "gen_ai.client.operation.duration"):
        for _, (count, seconds, bounds) in pushed.metric(name).points:
            assert bounds == DURATIONS
            assert count > 0 and seconds > 0


def test_an_attempt_that_failed_is_counted_with_its_error(pushed):
    durations = pushed.metric("gen_ai.client.inference.duration")
    assert durations.value({"egret.provider": "down", "error.type": "503"}) == 1
    assert durations.value({"egret.provider": "openai", "gen_ai.request.model": "gpt-4.1"}) == 3


def test_the_resource_is_that_of_the_spans(pushed):
    resource = pushed.metric("egret.calls").resource
    assert resource["service.name"] == "egret"
    assert resource["k8s.pod.name"] == "tide-7f9c"


def test_what_is_pushed_is_what_is_scraped(pushed):
    page = pushed.egret.metrics()
    for name, metric in pushed.metrics.items():
        if metric.kind == "sum" and name.startswith(("egret.calls", "egret.refusals", "egret.attempts", "gen_ai.")):
            scraped = name.replace(".", "_")
            total = pushed.egret.metric(f"{scraped}_total")
            if total is None:
                total = pushed.egret.metric(scraped)
            assert total == metric.value(), (name, page)


def test_promtool_finds_no_fault_in_the_page(pushed):
    page = pushed.egret.metrics()
    checked = subprocess.run([PROMTOOL, "check", "metrics"], input=page, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_a_name_that_the_policy_does_not_know_is_no_label(app, run):
    egret = run()
    for model in ("nobody-knows-this", "nobody-knows-that"):
        try:
            app.client(egret).chat.completions.create(model=model, messages=ASK)
        except Exception as error:
            assert error.status_code in (403, 404)
    assert "nobody-knows" not in egret.metrics()
    assert egret.metric("egret_calls_total") == egret.metric("egret_refusals_total") == 2


def test_nothing_is_pushed_without_an_endpoint_and_the_page_is_there(app, run):
    egret = run()
    app.client(egret).chat.completions.create(model="quick", messages=ASK)
    assert egret.metric("egret_calls_total") == 1
    with urllib.request.urlopen(f"http://{egret.admin}/metrics") as page:
        assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
