"""The official Google SDK for Python as a client of egret: what the table of all faces does not ask."""

import asyncio
import urllib.request

import pytest
from faces import PROVIDERS, QUESTION, SAYS, Generate
from google.genai import errors, types


@pytest.fixture
def client(dialects):
    return Generate(dialects).client()


@pytest.fixture(params=PROVIDERS)
def provider(request):
    return request.param


def config(**options):
    return types.GenerateContentConfig(**options)


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_both_versions_of_the_api_are_served(dialects, provider, version):
    client = Generate(dialects).client(version=version)

    assert client.models.generate_content(model=f"on-{provider}", contents=QUESTION).text == SAYS
    stream = client.models.generate_content_stream(model=f"on-{provider}", contents=QUESTION)
    assert "".join(piece.text or "" for piece in stream) == SAYS
    assert any(model.name == "models/on-gemini" for model in client.models.list())


def test_an_answer_has_its_id_and_model(client, provider):
    answer = client.models.generate_content(model=f"on-{provider}", contents=QUESTION)

    assert answer.response_id
    assert answer.model_version
    assert answer.candidates[0].content.role == "model"


def test_a_function_of_python_is_called_by_the_sdk_itself(client, provider):
    asked = []

    def look_up(place: str, days: int) -> dict:
        """Looks up the tide at a place."""
        asked.append((place, days))
        return {"high": True}

    contents = f"Use look_up. {QUESTION}"
    answer = client.models.generate_content(model=f"on-{provider}", contents=contents, config=config(tools=[look_up]))

    assert len(asked) == 1
    assert isinstance(asked[0][0], str) and isinstance(asked[0][1], int)
    assert answer.text == SAYS
    assert len(answer.automatic_function_calling_history) == 3


def test_a_chat_keeps_its_turns(client, provider):
    chat = client.chats.create(model=f"on-{provider}", config=config(system_instruction="Be brief."))
    first = chat.send_message(QUESTION)
    second = "".join(piece.text or "" for piece in chat.send_message_stream("And then?"))
    third = chat.send_message("And then?")

    assert (first.text, second, third.text) == (SAYS, SAYS, SAYS)
    assert third.usage_metadata.prompt_token_count > 2 * first.usage_metadata.prompt_token_count


def test_gemini_3_has_ids_and_signatures_of_its_calls_and_gets_them_back(client):
    function = types.FunctionDeclaration(name="look_up", description="x", parameters_json_schema={
        "type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"],
    })
    options = config(tools=[types.Tool(function_declarations=[function])])
    asked = types.Content(role="user", parts=[types.Part(text="Use look_up.")])
    answer = client.models.generate_content(model="on-gemini-3", contents=[asked], config=options)
    [part] = answer.candidates[0].content.parts

    assert part.function_call.id
    assert part.thought_signature
    result = types.FunctionResponse(id=part.function_call.id, name="look_up", response={"output": "low"})
    turns = [asked, answer.candidates[0].content, types.Content(role="user", parts=[types.Part(function_response=result)])]
    for model in ("on-gemini-3", "on-openai", "on-anthropic"):
        assert client.models.generate_content(model=model, contents=turns, config=options).text == SAYS


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_json_schema_is_carried_over_in_both_forms(client, provider):
    schema = {
        "type": "object", "properties": {"high": {"type": "boolean"}, "place": {"type": "string"}},
        "required": ["high", "place"], "additionalProperties": False,
    }
    for form in ({"response_json_schema": schema}, {"response_schema": {**schema, "additionalProperties": None}}):
        form = {key: {k: v for k, v in value.items() if v is not None} for key, value in form.items()}
        options = config(response_mime_type="application/json", **form)
        answer = client.models.generate_content(model=f"json-on-{provider}", contents=QUESTION, config=options)
        assert answer.parsed == {"high": True, "place": "Husum"}


def test_thoughts_of_anthropic_are_thought_parts(client):
    thinking = types.ThinkingConfig(thinking_budget=1024, include_thoughts=True)
    options = config(thinking_config=thinking, max_output_tokens=4096)
    answer = client.models.generate_content(model="thinking-on-anthropic", contents=QUESTION, config=options)

    assert [bool(part.thought) for part in answer.candidates[0].content.parts] == [True, False]
    assert answer.text == SAYS
    assert answer.usage_metadata.thoughts_token_count > 0


def test_a_stop_sequence_ends_the_answer(client):
    for provider in ("anthropic", "gemini"):
        options = config(stop_sequences=["goes"])
        answer = client.models.generate_content(model=f"on-{provider}", contents=QUESTION, config=options)
        assert answer.text.strip() == "The tide comes in and the tide"
        assert answer.candidates[0].finish_reason.name == "STOP"


def test_many_streams_at_once_come_through_the_asynchronous_client(dialects):
    client = Generate(dialects).client()

    async def one(provider):
        stream = await client.aio.models.generate_content_stream(model=f"on-{provider}", contents=QUESTION)
        return "".join([piece.text or "" async for piece in stream])

    async def run():
        return await asyncio.gather(*(one(provider) for provider in PROVIDERS for _ in range(15)))

    assert set(asyncio.run(run())) == {SAYS}


def test_embeddings_of_one_text_and_of_many(client):
    for model in ("gemini-embedding-001", "text-embedding-3-small"):
        one = client.models.embed_content(model=model, contents="ebb")
        many = client.models.embed_content(model=model, contents=["ebb", "flow"])
        assert one.embeddings[0].values == pytest.approx(many.embeddings[0].values)
        assert len(many.embeddings) == 2


def test_where_nobody_embeds_texts_it_is_refused(client):
    with pytest.raises(errors.ClientError) as raised:
        client.models.embed_content(model="on-anthropic", contents="ebb")

    assert raised.value.code in (400, 404)


def test_a_count_includes_all_that_is_sent(client, provider):
    one = client.models.count_tokens(model=f"on-{provider}", contents=QUESTION).total_tokens
    two = client.models.count_tokens(model=f"on-{provider}", contents=[QUESTION] * 40).total_tokens

    assert 0 < one < two


def test_a_model_of_anothers_file_is_refused(client):
    part = types.Part.from_uri(file_uri="https://example.com/a.png", mime_type="image/png")
    stored = types.Part(file_data=types.FileData(
        file_uri="https://generativelanguage.googleapis.com/v1beta/files/abc", mime_type="image/png"
    ))
    answer = client.models.generate_content(model="on-openai", contents=[QUESTION, part])
    assert answer.text == SAYS
    with pytest.raises(errors.ClientError) as raised:
        client.models.generate_content(model="on-openai", contents=[QUESTION, stored])
    assert (raised.value.code, raised.value.status) == (400, "INVALID_ARGUMENT")


def test_one_model_can_be_looked_up(client):
    model = client.models.get(model="on-gemini")

    assert model.name == "models/on-gemini"
    assert "generateContent" in model.supported_actions
    with pytest.raises(errors.ClientError) as raised:
        client.models.get(model="forbidden")
    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")


def test_an_operation_that_is_not_served_is_not_found(client):
    with pytest.raises(errors.ClientError) as raised:
        client.files.list()

    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")


def test_the_sdks_own_retries_wait_out_a_rate(dialects):
    """Google's SDK retries where it is told to, and asks no header whether it should."""
    client = Generate(dialects).client(retries=1)
    with pytest.raises(errors.ServerError) as raised:
        client.models.generate_content(
            model="on-gemini", contents=QUESTION,
            config=config(http_options=types.HttpOptions(headers={"x-mock-fault": "status=503"})),
        )

    assert raised.value.status == "UNAVAILABLE"


def test_the_key_may_stand_in_the_query(dialects):
    base = dialects.base_url.removesuffix("/v1")
    body = b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'
    request = urllib.request.Request(
        f"{base}/v1beta/models/on-openai:generateContent?key=egret_sdk_main", body, {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        assert SAYS.encode() in answer.read()
