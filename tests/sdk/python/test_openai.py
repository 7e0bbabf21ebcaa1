"""The official OpenAI SDK for Python as a client of egret."""

import asyncio
import json

import openai
import pytest
from conftest import CANARY

SAYS = "The tide comes in and the tide goes out."
ASK = [{"role": "user", "content": f"What does the tide do? {CANARY}"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks up the tide at a place.",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["place", "days"],
        },
    },
}


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


# Chat.


def test_a_plain_answer_comes_with_usage_and_a_request_id(client):
    answer = client.chat.completions.create(model="chat", messages=ASK)

    assert answer.choices[0].message.content == SAYS
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert answer._request_id


def test_a_stream_says_the_same_and_shows_no_usage_that_was_not_asked_for(client):
    chunks = list(client.chat.completions.create(model="chat", messages=ASK, stream=True))

    assert text_of(chunks) == SAYS
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.choices for chunk in chunks)
    assert all(chunk.usage is None for chunk in chunks)


def test_a_stream_ends_with_the_usage_that_was_asked_for(client):
    plain = client.chat.completions.create(model="chat", messages=ASK)
    chunks = list(
        client.chat.completions.create(
            model="chat", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
    )

    assert text_of(chunks) == SAYS
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == plain.usage.total_tokens
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_the_stream_helper_gathers_the_whole_answer(client):
    with client.chat.completions.stream(model="chat", messages=ASK) as stream:
        final = stream.get_final_completion()

    assert final.choices[0].message.content == SAYS


def test_a_stream_may_be_left_early(client):
    with client.chat.completions.create(model="chat", messages=ASK, stream=True) as stream:
        next(iter(stream))

    assert client.chat.completions.create(model="chat", messages=ASK).choices[0].message.content == SAYS


# Tools.


def test_a_tool_is_called_and_its_result_answered(client):
    asked = client.chat.completions.create(model="chat", messages=ASK, tools=[TOOL], tool_choice="required")

    message = asked.choices[0].message
    assert asked.choices[0].finish_reason == "tool_calls"
    call = message.tool_calls[0]
    assert call.function.name == "look_up"
    assert set(json.loads(call.function.arguments)) >= {"place", "days"}

    result = {"role": "tool", "tool_call_id": call.id, "content": "low at noon"}
    answered = client.chat.completions.create(
        model="chat", messages=[*ASK, message.model_dump(exclude_none=True), result], tools=[TOOL]
    )
    assert answered.choices[0].message.content == SAYS


def test_a_tool_call_is_put_together_from_a_stream(client):
    name, arguments, finish = "", "", None
    stream = client.chat.completions.create(
        model="chat", messages=ASK, tools=[TOOL], tool_choice="required", stream=True
    )
    for chunk in stream:
        for call in chunk.choices[0].delta.tool_calls or []:
            name += call.function.name or ""
            arguments += call.function.arguments or ""
        finish = chunk.choices[0].finish_reason or finish

    assert (name, finish) == ("look_up", "tool_calls")
    assert set(json.loads(arguments)) >= {"place", "days"}


# The other APIs.


def test_embeddings_are_the_same_in_base64_and_as_floats(client):
    packed = client.embeddings.create(model="chat", input=["ebb", "flow"])
    floats = client.embeddings.create(model="chat", input=["ebb", "flow"], encoding_format="float")

    assert [entry.index for entry in packed.data] == [0, 1]
    assert len(packed.data[0].embedding) > 1
    for a, b in zip(packed.data, floats.data):
        assert a.embedding == pytest.approx(b.embedding, rel=1e-6)
    assert packed.usage.prompt_tokens == floats.usage.prompt_tokens > 0


def test_a_response_comes_with_its_text_and_usage(client):
    answer = client.responses.create(model="chat", input=f"What does the tide do? {CANARY}")

    assert answer.status == "completed"
    assert answer.output_text == SAYS
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0


def test_a_streamed_response_runs_from_created_to_completed(client):
    events = list(client.responses.create(model="chat", input="What does the tide do?", stream=True))

    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == SAYS
    assert events[-1].response.usage.total_tokens > 0
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers))


def test_a_legacy_completion_comes_plain_and_streamed(client):
    plain = client.completions.create(model="chat", prompt="What does the tide do?")
    stream = client.completions.create(model="chat", prompt="What does the tide do?", stream=True)

    assert plain.choices[0].text.strip() == SAYS
    assert "".join(chunk.choices[0].text for chunk in stream).strip() == SAYS


def test_the_list_of_models_has_what_the_caller_may_use(client):
    names = {model.id for model in client.models.list()}

    assert {"chat", "fallback", "fine"} <= names
    assert not {"forbidden", "down"} & names


def test_one_model_can_be_looked_up(client):
    model = client.models.retrieve("fine")

    assert (model.id, model.object) == ("fine", "model")
    assert model.model_extra["context_window"] == 128000
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("forbidden")


# Errors.


def test_a_wrong_key_is_an_authentication_error(make):
    with pytest.raises(openai.AuthenticationError) as raised:
        make(key="egret_sdk_nobody").chat.completions.create(model="chat", messages=ASK)

    assert raised.value.code == "invalid_api_key"
    assert raised.value.request_id


def test_a_call_without_a_key_of_its_own_is_refused_where_no_tenant_is_local(make):
    with pytest.raises(openai.AuthenticationError):
        make(key="egret-local").chat.completions.create(model="chat", messages=ASK)


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="no-such-model", messages=ASK)

    assert raised.value.code == "model_not_found"


def test_a_model_of_others_is_permission_denied(client):
    with pytest.raises(openai.PermissionDeniedError) as raised:
        client.chat.completions.create(model="forbidden", messages=ASK)

    assert raised.value.code == "model_not_allowed"


def test_a_field_that_policy_does_not_control_is_a_bad_request(client):
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="chat", messages=ASK, extra_body={"fallbacks": ["forbidden"]})

    assert raised.value.code == "field_not_allowed"
    assert raised.value.param == "fallbacks"


def test_an_unknown_path_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as raised:
        client.moderations.create(input="calm sea")

    assert raised.value.code == "unknown_path"


def test_over_the_rate_is_a_rate_limit_error_that_says_when_to_come_back(make):
    client = make(key="egret_sdk_limited")
    first = client.chat.completions.with_raw_response.create(model="chat", messages=ASK)
    client.chat.completions.create(model="chat", messages=ASK)
    with pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(model="chat", messages=ASK)

    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert raised.value.code == "rate_limit_exceeded"
    assert 1 <= int(raised.value.response.headers["retry-after"]) <= 60


def test_one_call_after_the_other_is_never_over_a_limit_of_one_at_once(make):
    client = make(key="egret_sdk_single")
    for _ in range(10):
        client.chat.completions.create(model="chat", messages=ASK)
        list(client.chat.completions.create(model="chat", messages=ASK, stream=True))


def test_the_only_providers_rate_limit_comes_through(client):
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="busy", messages=ASK)


def test_the_providers_refusal_of_our_key_is_never_the_callers(client):
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(model="locked-out", messages=ASK)

    assert (raised.value.status_code, raised.value.code) == (502, "upstream_auth_failed")


def test_a_provider_that_is_silent_too_long_is_a_gateway_timeout(client):
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(model="impatient", messages=ASK)

    assert (raised.value.status_code, raised.value.code) == (504, "upstream_timeout")


def test_a_caller_may_lose_patience(client):
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.5).chat.completions.create(model="slow", messages=ASK)


# Failover and broken streams.


@pytest.mark.parametrize("stream", [False, True])
def test_the_second_target_answers_where_the_first_is_down(client, stream):
    raw = client.chat.completions.with_raw_response.create(model="fallback", messages=ASK, stream=stream)
    answer = raw.parse()

    assert raw.headers["x-egret-attempts"] == "2"
    assert raw.headers["x-egret-model"] == "fine"
    assert (text_of(answer) if stream else answer.choices[0].message.content) == SAYS


@pytest.mark.parametrize("model", ["erring", "breaking"])
def test_a_stream_that_breaks_raises_after_what_came(client, model):
    came = []
    with pytest.raises(openai.APIError):
        for chunk in client.chat.completions.create(model=model, messages=ASK, stream=True):
            came.append(chunk)

    assert came


def test_a_streamed_response_that_breaks_raises(client):
    with pytest.raises(openai.APIError):
        list(client.responses.create(model="breaking", input="What does the tide do?", stream=True))


# Many at once.


def test_fifty_plain_and_fifty_streamed_calls_at_once_all_answer(async_client):
    async def plain():
        answer = await async_client.chat.completions.create(model="chat", messages=ASK)
        return answer.choices[0].message.content

    async def streamed():
        stream = await async_client.chat.completions.create(model="chat", messages=ASK, stream=True)
        return text_of([chunk async for chunk in stream])

    async def all_at_once():
        async with async_client:
            return await asyncio.gather(*(call() for _ in range(50) for call in (plain, streamed)))

    assert asyncio.run(all_at_once()) == [SAYS] * 100
