"""What the official OpenAI SDK for Python makes of failover: every class of what comes of it, with the SDK's own retries
on, as apps have them."""

import time

import openai
import pytest
from conftest import CANARY, ROOT, Egret
from openai import DefaultHttpxClient, OpenAI

SAYS = "The tide comes in and the tide goes out."
FIXED = "Please try again shortly."
ASK = [{"role": "user", "content": f"What does the tide do? {CANARY}"}]


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    egret = Egret(tmp_path_factory.mktemp("failover"), ROOT / "tests/sdk/failover.yaml")
    yield egret
    assert egret.stop() == 0, "".join(egret.lines)
    egret.reader.join(timeout=5)
    assert CANARY not in egret.written(), "a prompt is in a log"


class App:
    """An app with the SDK as it comes, and how many requests the SDK sent."""

    def __init__(self, egret):
        self.requests = 0
        counted = DefaultHttpxClient(event_hooks={"request": [self._count]})
        self.client = OpenAI(api_key="egret-local", base_url=egret.base_url, timeout=20, http_client=counted)

    def _count(self, request):
        self.requests += 1

    def chat(self, model, **options):
        return self.client.chat.completions.create(model=model, messages=ASK, **options)

    def raw(self, model, **options):
        return self.client.chat.completions.with_raw_response.create(model=model, messages=ASK, **options)

    def fails(self, kind, model, **options):
        with pytest.raises(kind) as raised:
            self.chat(model, **options)
        # Not one of its subclasses.
        assert type(raised.value) is kind
        return raised.value


@pytest.fixture
def app(failing):
    return App(failing)


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


# Somebody else answers.


@pytest.mark.parametrize("stream", [False, True])
def test_after_an_error_inside_a_good_answer_the_next_target_answers(app, stream):
    raw = app.raw("goes-on", stream=stream)
    answer = raw.parse()

    assert (text_of(answer) if stream else answer.choices[0].message.content) == SAYS
    assert (raw.headers["x-egret-model"], raw.headers["x-egret-attempts"]) == ("fine", "2")
    assert app.requests == 1


@pytest.mark.parametrize("stream", [False, True])
def test_beside_a_slow_target_another_one_is_asked_and_answers(app, stream):
    began = time.monotonic()
    raw = app.raw("hedged", stream=stream)
    answer = raw.parse()

    assert (text_of(answer) if stream else answer.choices[0].message.content) == SAYS
    assert time.monotonic() - began < 2
    assert (raw.headers["x-egret-model"], raw.headers["x-egret-attempts"]) == ("fine", "2")


def test_a_call_that_is_too_long_is_cut_and_answered(app):
    long = [{"role": "user", "content": "The tide comes in and goes out. " * 20}, {"role": "assistant", "content": "Yes."}]
    raw = app.client.chat.completions.with_raw_response.create(model="cut", messages=long * 5 + ASK)

    assert raw.parse().choices[0].message.content == SAYS
    assert int(raw.headers["x-egret-truncated"]) >= 8


# The provider's own error.


@pytest.mark.parametrize("stream", [False, True])
def test_a_bad_request_is_the_providers_own_and_tried_nowhere_else(app, stream):
    raised = app.fails(openai.BadRequestError, "refused", stream=stream)

    assert (raised.code, raised.type) == ("unsupported_value", "invalid_request_error")
    assert raised.response.headers["x-egret-attempts"] == "1"
    assert app.requests == 1


def test_a_rate_limit_that_egret_has_not_retried_is_left_to_the_sdk(app):
    app.client.max_retries = 1
    raised = app.fails(openai.RateLimitError, "busy-once")

    assert raised.response.headers["x-egret-attempts"] == "1"
    assert "x-should-retry" not in raised.response.headers
    assert app.requests == 2


def test_a_rate_limit_that_egret_has_retried_is_not_retried_by_the_sdk(app):
    raised = app.fails(openai.RateLimitError, "busy-retried")

    assert raised.code == "rate_limit_exceeded"
    assert raised.response.headers["x-egret-attempts"] == "2"
    assert raised.response.headers["x-should-retry"] == "false"
    assert app.requests == 1


# Nobody answers.


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "status", "code"),
    [("all-down", 503, "no_provider_available"), ("too-late", 504, "upstream_timeout")],
)
def test_where_nobody_answers_the_sdk_raises_once(app, model, status, code, stream):
    raised = app.fails(openai.InternalServerError, model, stream=stream)

    assert (raised.status_code, raised.code) == (status, code)
    assert raised.response.headers["x-egret-attempts"] == "2"
    assert app.requests == 1


def test_keys_that_are_refused_are_never_an_authentication_error(app):
    raised = app.fails(openai.InternalServerError, "locked-out")

    assert (raised.status_code, raised.code) == (502, "upstream_auth_failed")
    assert raised.response.headers["x-egret-attempts"] == "2"
    assert app.requests == 1


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_of_the_policys_own_is_an_answer(app, stream):
    raw = app.raw("polite", stream=stream)
    answer = raw.parse()

    assert (text_of(answer) if stream else answer.choices[0].message.content) == FIXED
    assert raw.headers["x-egret-exhausted"] == "no_provider_available"
    assert app.requests == 1


def test_an_answer_of_the_policys_own_is_a_response_plain_and_streamed(app):
    plain = app.client.responses.create(model="polite", input="What does the tide do?")
    events = list(app.client.responses.create(model="polite", input="What does the tide do?", stream=True))

    assert (plain.status, plain.output_text) == ("completed", FIXED)
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == FIXED
    assert events[-1].response.output_text == FIXED


# Streams that break, and streams that wait.


@pytest.mark.parametrize("model", ["errs", "breaks"])
def test_a_stream_that_breaks_after_its_first_token_raises_and_is_not_begun_again(app, model):
    came = []
    with pytest.raises(openai.APIError) as raised:
        for chunk in app.chat(model, stream=True):
            came.append(chunk)

    assert type(raised.value) is openai.APIError
    assert text_of(came) and len({chunk.id for chunk in came}) == 1
    assert app.requests == 1


def test_a_streamed_response_that_breaks_raises(app):
    came = []
    with pytest.raises(openai.APIError):
        for event in app.client.responses.create(model="breaks", input="What does the tide do?", stream=True):
            came.append(event.type)

    assert "response.output_text.delta" in came and "response.completed" not in came


def test_a_stream_that_is_kept_alive_says_nothing_but_its_answer(app):
    with app.client.chat.completions.with_streaming_response.create(
        model="patient", messages=ASK, stream=True
    ) as raw:
        lines = [line for line in raw.iter_lines() if line]

    assert lines[0].startswith(":") and lines[-1] == "data: [DONE]"
    assert text_of(app.chat("patient", stream=True)) == SAYS
    assert app.requests == 2


def test_a_stream_that_is_kept_alive_in_vain_raises(app):
    came = []
    with pytest.raises(openai.APIError) as raised:
        for chunk in app.chat("patient-fails", stream=True):
            came.append(chunk)

    assert (came, raised.value.code) == ([], "upstream_timeout")
    assert app.requests == 1
