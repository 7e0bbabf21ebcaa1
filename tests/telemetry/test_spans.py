"""The spans of calls as a backend receives them, by OTLP over HTTP and over gRPC."""

import time

import openai
import pytest
from conftest import ASK, CALLER_KEY, LIMITED_KEY, exporting, receiving, running

PROTOCOLS = ["http/protobuf", "grpc"]


class Sight:
    """An egret, who receives its spans, and an app that calls it."""

    def __init__(self, egret, receiver, app):
        self.egret = egret
        self.receiver = receiver
        self.app = app

    def call(self, model, spans, **options):
        """Calls in a span of the app. Gives the answer or the error, and egret's spans."""
        client = self.app.client(self.egret, options.pop("key", CALLER_KEY))
        with self.app.span() as trace:
            try:
                answer = client.chat.completions.with_raw_response.create(model=model, messages=ASK, **options)
            except openai.APIError as error:
                answer = error
        return answer, trace, self.receiver.trace(trace, spans)


@pytest.fixture(scope="module", params=PROTOCOLS)
def sight(request, app, policy, tmp_path_factory):
    with receiving() as receiver:
        environment = exporting(receiver, request.param)
        with running(tmp_path_factory.mktemp("egret"), environment, policy=policy) as egret:
            yield Sight(egret, receiver, app)
            assert egret.stop() == 0, egret.said()


def test_a_call_is_a_server_span_under_the_apps_and_a_client_span_under_that(sight):
    answer, trace, [server, client] = sight.call("chat", 2)

    assert server.parent == sight.app.began[trace]
    assert (server.kind, server.name) == ("SERVER", "POST /v1/chat/completions")
    assert client.parent == server.id
    assert (client.kind, client.name) == ("CLIENT", "chat gpt-4.1")
    assert {server.scope, client.scope} == {"egret"}
    assert {server.status, client.status} == {"unset"}
    assert server.start <= client.start <= client.end <= server.end
    assert server.attributes["egret.request.id"] == answer.headers["x-request-id"]


def test_the_server_span_says_who_called_what_and_what_became_of_it(sight):
    answer, _, [server, _] = sight.call("chat", 2)

    said = server.attributes
    assert said["http.request.method"] == "POST"
    assert said["http.route"] == said["url.path"] == "/v1/chat/completions"
    assert said["url.scheme"] == "http"
    assert said["http.response.status_code"] == 200
    assert said["network.protocol.version"] == "1.1"
    assert said["user_agent.original"].startswith("OpenAI/Python")
    assert said["client.address"] == "127.0.0.1"
    assert (said["egret.tenant"], said["egret.user"], said["egret.app"], said["egret.key"]) == (
        "shop", "ada", "kiosk", "till")
    assert said["egret.route"] == "chat"
    assert said["egret.policy.revision"] == answer.headers["x-egret-policy"]
    assert said["egret.attempts"] == 1
    usage = answer.parse().usage
    assert said["egret.usage.input_tokens"] == usage.prompt_tokens
    assert said["egret.usage.output_tokens"] == usage.completion_tokens
    assert "error.type" not in said


def test_the_client_span_follows_the_genai_conventions(sight, provider):
    answer, _, [_, client] = sight.call(
        "chat", 2, max_tokens=5, temperature=0.5, top_p=0.25, frequency_penalty=0.5, presence_penalty=-0.5, seed=7)

    said = client.attributes
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.provider.name"] == said["gen_ai.system"] == "openai"
    assert said["gen_ai.request.model"] == "gpt-4.1"
    assert said["gen_ai.request.max_tokens"] == 5
    assert said["gen_ai.request.temperature"] == 0.5
    assert said["gen_ai.request.top_p"] == 0.25
    assert said["gen_ai.request.frequency_penalty"] == 0.5
    assert said["gen_ai.request.presence_penalty"] == -0.5
    assert said["gen_ai.request.seed"] == 7
    assert "gen_ai.request.stream" not in said
    assert "gen_ai.request.choice.count" not in said
    body = answer.parse()
    assert said["gen_ai.response.id"] == body.id
    assert said["gen_ai.response.model"] == body.model
    assert said["gen_ai.response.finish_reasons"] == [body.choices[0].finish_reason] == ["length"]
    assert said["gen_ai.usage.input_tokens"] == body.usage.prompt_tokens
    assert said["gen_ai.usage.output_tokens"] == body.usage.completion_tokens == 5
    assert f"{said['server.address']}:{said['server.port']}" == provider
    assert said["http.request.method"] == "POST"
    assert said["http.response.status_code"] == 200
    assert said["openai.api.type"] == "chat_completions"
    assert (said["egret.provider"], said["egret.model"]) == ("openai", "tide")
    assert "error.type" not in said


def test_the_resource_has_the_name_of_the_service_and_what_the_environment_says(sight):
    _, _, spans = sight.call("chat", 2)

    for span in spans:
        assert span.resource["service.name"] == "egret"
        assert span.resource["service.version"]
        assert span.resource["k8s.pod.name"] == "tide-7f9c"
        assert span.resource["deployment.environment.name"] == "test"


def test_the_spans_of_a_stream_end_with_the_stream(sight):
    client = sight.app.client(sight.egret)
    with sight.app.span() as trace:
        came = []
        for chunk in client.chat.completions.create(model="chat", messages=ASK, stream=True):
            came.append((time.time(), chunk))
    server, attempt = sight.receiver.trace(trace, 2)

    first, last = came[0][0], came[-1][0]
    assert last - first > 0.2
    for span in (server, attempt):
        # The end is known when the last bytes are handed on, a moment before they are here.
        assert span.start < first and last - 0.2 < span.end < last + 0.2
        assert span.status == "unset"
    assert attempt.attributes["gen_ai.request.stream"] is True
    assert 0 < attempt.attributes["gen_ai.response.time_to_first_chunk"] < attempt.seconds - 0.2
    assert attempt.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    # The caller did not ask for usage; egret did.
    assert attempt.attributes["gen_ai.usage.output_tokens"] > 10
    assert abs(server.event("egret.commit").at - first) < 0.2


def test_a_fallback_is_two_client_spans_of_which_the_second_links_to_the_first(sight):
    answer, _, [server, failed, answered] = sight.call("fallback", 3)

    assert answer.headers["x-egret-attempts"] == "2"
    assert failed.parent == answered.parent == server.id
    assert failed.status == "error"
    assert failed.attributes["error.type"] == "503"
    assert failed.attributes["http.response.status_code"] == 503
    assert failed.links == []
    assert answered.links == [failed.id]
    assert answered.status == "unset"
    assert answered.attributes["http.request.resend_count"] == 1
    assert server.status == "unset"
    assert server.attributes["egret.attempts"] == 2
    event = server.event("egret.fallback").attributes
    assert event["egret.reason"]
    assert (event["egret.from.provider"], event["egret.from.model"]) == ("down", "down")
    assert (event["egret.to.provider"], event["egret.to.model"]) == ("openai", "tide")


def test_a_refused_model_is_a_server_span_alone_and_no_error(sight):
    error, _, [server] = sight.call("hidden", 1)

    assert error.status_code == 403
    assert server.status == "unset"
    assert server.attributes["http.response.status_code"] == 403
    assert server.attributes["egret.refusal"] == error.code == "model_not_allowed"
    assert server.event("egret.refusal").attributes["egret.refusal"] == "model_not_allowed"


def test_a_call_over_its_limit_is_a_server_span_alone_and_no_error(sight):
    sight.call("quick", 2, key=LIMITED_KEY)
    error, _, [server] = sight.call("quick", 1, key=LIMITED_KEY)

    assert error.status_code == 429
    assert server.status == "unset"
    assert server.attributes["http.response.status_code"] == 429
    assert server.attributes["egret.tenant"] == "limited"
    assert server.attributes["egret.refusal"]


def test_an_unknown_key_is_a_span_that_does_not_say_the_key(sight):
    error, _, [server] = sight.call("chat", 1, key="egret_canary_unknown")

    assert error.status_code == 401
    assert server.attributes["http.response.status_code"] == 401
    assert "egret.tenant" not in server.attributes
    assert "egret_canary_unknown" not in str(server)


def test_a_provider_that_fails_alone_is_an_error_of_both(sight):
    error, _, [server, *attempts] = sight.call("down", 4)

    assert error.status_code == 503
    assert [span.status for span in (server, *attempts)] == ["error"] * 4
    assert server.attributes["error.type"]
    assert [attempt.attributes["error.type"] for attempt in attempts] == ["503"] * 3
    resent = [attempt.attributes.get("http.request.resend_count") for attempt in attempts]
    assert resent == [None, 1, 2], "it is tried three times"


def test_a_throttling_provider_is_an_error_of_the_attempt_and_not_of_the_call(sight):
    client = sight.app.client(sight.egret)
    with sight.app.span() as trace, pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="busy", messages=ASK)
    server, *attempts = sight.receiver.trace(trace, 2)

    assert server.status == "unset"
    assert {attempt.status for attempt in attempts} == {"error"}
    assert {attempt.attributes["error.type"] for attempt in attempts} == {"429"}


def test_a_stream_that_breaks_is_an_error_of_both(sight):
    client = sight.app.client(sight.egret)
    with sight.app.span() as trace, pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="breaking", messages=ASK, stream=True))
    server, attempt = sight.receiver.trace(trace, 2)

    assert server.status == attempt.status == "error"
    assert server.attributes["error.type"] and attempt.attributes["error.type"]
    assert server.attributes["http.response.status_code"] == 200


def test_a_caller_that_leaves_ends_the_spans_and_is_no_error(sight):
    client = sight.app.client(sight.egret)
    with sight.app.span() as trace:
        with client.chat.completions.create(model="chat", messages=ASK, stream=True) as stream:
            next(iter(stream))
        left = time.time()
    server, attempt = sight.receiver.trace(trace, 2)

    for span in (server, attempt):
        assert span.status == "unset"
        assert "error.type" not in span.attributes
        assert span.end < left + 0.2
    assert server.attributes["egret.outcome"] != "answered"
    assert "gen_ai.response.finish_reasons" not in attempt.attributes


def test_embeddings_and_completions_say_what_they_are(sight):
    client = sight.app.client(sight.egret)
    with sight.app.span() as trace:
        client.embeddings.create(model="tide", input="canary-question-5d1f")
    server, attempt = sight.receiver.trace(trace, 2)
    assert server.name == "POST /v1/embeddings"
    assert (attempt.name, attempt.attributes["gen_ai.operation.name"]) == ("embeddings gpt-4.1", "embeddings")

    with sight.app.span() as trace:
        client.completions.create(model="tide", prompt="canary-question-5d1f")
    server, attempt = sight.receiver.trace(trace, 2)
    assert server.name == "POST /v1/completions"
    assert attempt.attributes["gen_ai.operation.name"] == "text_completion"
