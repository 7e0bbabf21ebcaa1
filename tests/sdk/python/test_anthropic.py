"""The official Anthropic SDK for Python as a client of egret: what the table of all faces does not ask."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic
import pytest
from conftest import Egret
from faces import PROVIDERS, QUESTION, SAYS, First, Messages

ASK = [{"role": "user", "content": QUESTION}]


@pytest.fixture
def client(dialects):
    return Messages(dialects).client()


@pytest.fixture(params=PROVIDERS)
def provider(request):
    return request.param


# What reaches a provider of the same dialect.


class Recorder(ThreadingHTTPServer):
    """A provider that keeps the requests that it gets."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Recording)
        self.requests = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Recording(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((self.path, self.headers, body))
        answer = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_sequence": None,
            "content": [{"type": "text", "text": SAYS}], "stop_reason": "end_turn", "stop_details": None,
            "usage": {"input_tokens": 5, "output_tokens": 9},
        } if "count_tokens" not in self.path else {"input_tokens": 5}
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.send_header("request-id", "req_of_the_provider")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    recorder = Recorder()
    directory = tmp_path_factory.mktemp("recorded")
    (directory / "key").write_text("sk-ant-of-egret\n")
    policy = directory / "policy.yaml"
    policy.write_text(f"""\
apiVersion: egret.dev/v1alpha1
kind: Policy
providers:
  claude:
    dialect: anthropic
    baseUrl: http://127.0.0.1:{recorder.server_port}/v1
    key: {{ fromFile: {directory}/key }}
models: {{ claude: {{ provider: claude, name: claude-sonnet-5-5 }} }}
tenants: {{ app: {{ local: true, access: {{ allow: [claude] }} }} }}
""")
    egret = Egret(directory, policy)
    egret.requests = recorder.requests
    yield egret
    assert egret.stop() == 0, "".join(egret.lines)
    recorder.shutdown()


def test_its_own_headers_and_body_reach_the_provider_as_they_are(recorded):
    recorded.requests.clear()
    body = {"cache_control": {"type": "ephemeral"}, "of_tomorrow": [1, {"a": None}]}
    client = Messages(recorded).client("egret-local")
    raw = client.messages.with_raw_response.create(
        model="claude", max_tokens=10, messages=ASK, extra_body=body,
        extra_headers={"anthropic-beta": "context-management-2025-06-27,of-tomorrow-2027-01-01"},
    )

    [(path, headers, sent)] = recorded.requests
    assert path == "/v1/messages"
    assert headers["anthropic-beta"] == "context-management-2025-06-27,of-tomorrow-2027-01-01"
    assert headers["anthropic-version"] == "2026-10-21"
    assert json.loads(sent) == {"model": "claude-sonnet-5-5", "max_tokens": 10, "messages": ASK, **body}
    assert raw.headers["x-egret-upstream-request-id"] == "req_of_the_provider"
    assert "x-egret-lost" not in raw.headers


@pytest.mark.parametrize(
    ("face", "version", "name", "value"),
    [
        (Messages, "2026-10-21", "authorization", "Bearer sk-ant-of-egret"),
        (First, "2023-06-01", "x-api-key", "sk-ant-of-egret"),
    ],
)
def test_the_providers_key_is_where_the_callers_version_has_it(recorded, face, version, name, value):
    recorded.requests.clear()
    face(recorded).client("egret-local").messages.create(model="claude", max_tokens=10, messages=ASK)

    [(_, headers, _)] = recorded.requests
    assert headers["anthropic-version"] == version
    assert headers[name] == value
    assert {"authorization", "x-api-key"} & set(map(str.lower, headers)) == {name}


def test_calls_of_other_dialects_are_written_in_the_first_version(recorded):
    from faces import Chat, Generate

    for face in (Chat(recorded), Generate(recorded)):
        recorded.requests.clear()
        answer = face.say("claude", system="Be brief.", client=face.client("egret-local"))

        [(path, headers, sent)] = recorded.requests
        assert (path, headers["anthropic-version"]) == ("/v1/messages", "2023-06-01")
        assert (headers["x-api-key"], headers["authorization"]) == ("sk-ant-of-egret", None)
        sent = json.loads(sent)
        assert sent["model"] == "claude-sonnet-5-5"
        assert sent["max_tokens"] > 0
        assert (answer.text, answer.input, answer.output) == (SAYS, 5, 9)


def test_a_count_goes_to_the_provider(recorded):
    recorded.requests.clear()
    count = Messages(recorded).client("egret-local").messages.count_tokens(model="claude", messages=ASK)

    assert count.input_tokens == 5
    assert [path for path, _, _ in recorded.requests] == ["/v1/messages/count_tokens"]


def test_beta_headers_mean_nothing_elsewhere(dialects):
    raw = Messages(dialects).client().messages.with_raw_response.create(
        model="on-gemini", max_tokens=100, messages=ASK, extra_headers={"anthropic-beta": "of-tomorrow-2027-01-01"}
    )

    assert raw.parse().content[0].text == SAYS


# Streams.


def test_a_stream_has_its_events_in_order(client, provider):
    with client.messages.stream(model=f"on-{provider}", max_tokens=100, messages=ASK) as stream:
        kinds = [event.type for event in stream if event.type not in ("text", "ping")]
        message = stream.get_final_message()

    assert kinds[:2] == ["message_start", "content_block_start"]
    assert set(kinds[2:-3]) == {"content_block_delta"}
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert message.id
    assert (message.type, message.role, message.stop_reason) == ("message", "assistant", "end_turn")


def test_text_comes_piece_by_piece(client, provider):
    with client.messages.stream(model=f"on-{provider}", max_tokens=100, messages=ASK) as stream:
        pieces = list(stream.text_stream)

    assert "".join(pieces) == SAYS
    assert len(pieces) > 3


def test_the_input_of_a_tool_comes_piece_by_piece_and_is_whole_in_the_end(client, provider):
    tool = {"name": "look_up", "description": "x", "input_schema": {
        "type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"],
    }}
    with client.messages.stream(
        model=f"on-{provider}", max_tokens=100, messages=ASK, tools=[tool], tool_choice={"type": "tool", "name": "look_up"}
    ) as stream:
        pieces = [event.partial_json for event in stream if event.type == "input_json"]
        message = stream.get_final_message()

    assert message.stop_reason == "tool_use"
    [call] = message.content
    assert json.loads("".join(pieces)) == call.input
    assert call.input["place"]


def test_a_tool_without_arguments_has_an_empty_input(client, provider):
    tool = {"name": "now", "description": "x", "input_schema": {"type": "object", "properties": {}}}
    with client.messages.stream(
        model=f"on-{provider}", max_tokens=100, messages=ASK, tools=[tool], tool_choice={"type": "any"}
    ) as stream:
        [call] = stream.get_final_message().content

    assert (call.type, call.name, call.input) == ("tool_use", "now", {})


def test_only_one_tool_is_called_where_only_one_may_be(client, provider):
    tools = [{"name": name, "description": "x", "input_schema": {"type": "object", "properties": {}}} for name in "ab"]
    message = client.messages.create(
        model=f"on-{provider}", max_tokens=100, messages=[{"role": "user", "content": "a"}], tools=tools,
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
    )

    assert [block.name for block in message.content] == ["a"]


def test_many_streams_at_once_come_through_the_asynchronous_client(dialects):
    async def run():
        base_url = dialects.base_url.removesuffix("/v1")
        client = anthropic.AsyncAnthropic(api_key="egret_sdk_main", base_url=base_url, max_retries=0, timeout=20)

        async def one(provider):
            async with client.messages.stream(model=f"on-{provider}", max_tokens=100, messages=ASK) as stream:
                return await stream.get_final_text()

        async with client:
            return await asyncio.gather(*(one(provider) for provider in PROVIDERS for _ in range(15)))

    assert set(asyncio.run(run())) == {SAYS}


# Thoughts and caches.


def test_thoughts_of_gemini_are_thinking_blocks(client):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    with client.messages.stream(model="on-gemini", max_tokens=4096, messages=ASK, thinking=thinking) as stream:
        message = stream.get_final_message()

    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].thinking
    assert message.content[1].text == SAYS


@pytest.mark.parametrize("thinker", ["anthropic", "gemini"])
def test_thoughts_may_be_sent_back_to_another_provider(client, thinker):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    first = client.messages.create(model=f"on-{thinker}", max_tokens=4096, messages=ASK, thinking=thinking)
    assert first.content[0].type == "thinking"
    back = [block.model_dump(exclude_none=True) for block in first.content]
    turns = [*ASK, {"role": "assistant", "content": back}, *ASK]
    for provider in PROVIDERS:
        message = client.messages.create(model=f"on-{provider}", max_tokens=4096, messages=turns)
        assert message.content[-1].text == SAYS


def test_cached_input_is_told_apart_whoever_cached_it(client):
    turns = [*ASK, {"role": "assistant", "content": "It was high."}, *ASK]
    message = client.messages.create(model="on-gemini", max_tokens=100, messages=turns)

    assert message.usage.cache_read_input_tokens > 0
    assert message.usage.input_tokens > 0


# Errors.


def test_a_field_that_no_version_has_is_a_bad_request_of_the_provider(client):
    with pytest.raises(anthropic.BadRequestError) as raised:
        client.messages.create(model="on-anthropic", max_tokens=10, messages=ASK, extra_body={"temperature": 1})

    assert "not supported in this version" in raised.value.message


def test_a_hosted_tool_is_refused_elsewhere(client):
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    for provider in ("openai", "gemini"):
        with pytest.raises(anthropic.BadRequestError) as raised:
            client.messages.create(model=f"on-{provider}", max_tokens=10, messages=ASK, tools=tools)
        assert "tools" in raised.value.message


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
def test_either_header_may_carry_the_key(dialects, header):
    value = "egret_sdk_main" if header == "x-api-key" else "Bearer egret_sdk_main"
    client = Messages(dialects).client("egret_sdk_nobody")
    message = client.messages.create(
        model="on-openai", max_tokens=100, messages=ASK,
        extra_headers={"authorization": anthropic.Omit(), header: value},
    )

    assert message.content[0].text == SAYS


def test_an_unknown_path_is_not_found(client):
    with pytest.raises(anthropic.NotFoundError) as raised:
        client.messages.batches.list()

    assert raised.value.body["type"] == "error"
    assert raised.value.body["error"]["type"] == "not_found_error"
    assert raised.value.request_id


# Models.


def test_one_model_can_be_looked_up(client):
    model = client.models.retrieve("on-anthropic")

    assert (model.id, model.type) == ("on-anthropic", "model")
    assert model.display_name
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("forbidden")


def test_the_list_of_models_is_one_page(client):
    page = client.models.list()

    assert page.has_more is False
    assert page.data[0].id == page.first_id
    assert all(model.type == "model" for model in page.data)
