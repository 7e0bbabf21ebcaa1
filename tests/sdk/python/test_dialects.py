"""Every face of egret before providers of every dialect, by the official SDKs. What comes of it is the table in the
README: `UPDATE_README=1` writes it anew."""

import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import pytest
from conftest import ROOT, Egret
from faces import CANARY, FACES, KEY, PROVIDERS, QUESTION, RULE, SAYS, TOOLS, Chat, Generate, Messages, Responses, Tide

FACE = {face.name: face for face in FACES}
TURNS = [("user", f"Is it high? {CANARY}"), ("model", "It was high at noon."), ("user", QUESTION)]
WORDS = {"plain": len(QUESTION.split()), "turns": len(" ".join([RULE, *(text for _, text in TURNS)]).split())}
SPOKEN = len(SAYS.split())


@pytest.fixture(params=FACES, ids=lambda face: face.name)
def face(request, dialects):
    return request.param(dialects)


@pytest.fixture(params=PROVIDERS)
def provider(request):
    return request.param


def told(face, said, provider, attempts="1"):
    """What the headers of every answer say."""
    assert said.headers["x-egret-provider"] == provider
    assert said.headers["x-egret-attempts"] == attempts
    assert lost(said) == set()
    assert re.fullmatch("[0-9a-f]{32}", said.headers[face.id_header])


def lost(said):
    return {name for name in said.headers.get("x-egret-lost", "").split(", ") if name}


def counted(said, words):
    """The provider's own count, whoever asked: words are tokens there."""
    assert (said.input, said.output) == (words, SPOKEN)
    assert said.total in (None, words + SPOKEN)
    assert said.cached <= said.input


def said(face, answer, provider, words=WORDS["plain"]):
    assert (answer.text, answer.finish, answer.calls) == (SAYS, face.stop, [])
    counted(answer, words)
    told(face, answer, provider)


def called(answer, names):
    assert [name for name, _ in answer.calls] == names
    for name, arguments in answer.calls:
        assert set(arguments) == set(TOOLS[name]["required"])


# The table: what can be done, and where it cannot, how that is said.


def text(face, provider):
    said(face, face.say(f"on-{provider}"), provider)


def stream(face, provider):
    said(face, face.say(f"on-{provider}", stream=True), provider)


def turns(face, provider):
    plain = face.say(f"on-{provider}", TURNS, RULE)
    said(face, plain, provider, WORDS["turns"])
    streamed = face.say(f"on-{provider}", TURNS, RULE, stream=True)
    said(face, streamed, provider, WORDS["turns"])
    assert streamed.cached == plain.cached


def tools(face, provider):
    for streams in (False, True):
        asked, answered = face.loop(f"on-{provider}", ["look_up"], streams)
        called(asked, ["look_up"])
        assert (asked.finish, asked.text) == (face.calls, "")
        told(face, asked, provider)
        assert (answered.text, answered.finish) == (SAYS, face.stop)
    called(face.force(f"on-{provider}", "measure"), ["measure"])


def parallel(face, provider):
    for streams in (False, True):
        asked, answered = face.loop(f"on-{provider}", ["look_up", "measure"], streams)
        called(asked, ["look_up", "measure"])
        assert answered.text == SAYS


def structured(face, provider):
    assert face.structured(f"json-on-{provider}") == Tide(high=True, place="Husum")


def image(face, provider):
    answer = face.image(f"on-{provider}")
    assert answer.text == SAYS
    told(face, answer, provider)


def reasoning(face, provider):
    answer = face.say(f"on-{provider}", **face.thinking)
    assert answer.text == SAYS
    told(face, answer, provider)


def sampling(face, provider):
    answer = face.sampling(f"on-{provider}")
    assert answer.text == SAYS
    told(face, answer, provider)


def cut(face, provider):
    for streams in (False, True)[: 1 + face.streams_cut]:
        answer = face.cut(f"on-{provider}", stream=streams)
        assert (answer.text.strip(), answer.finish) == (" ".join(SAYS.split()[:4]), face.length)
        assert answer.output == 4


def several(face, provider):
    face.several(f"on-{provider}")


def logprobs(face, provider):
    assert face.logprobs(f"on-{provider}").text == SAYS


def embeddings(face, provider):
    embedders = {"openai": "text-embedding-3-small", "gemini": "gemini-embedding-001"}
    face.embeddings(embedders.get(provider, f"on-{provider}"))


def count(face, provider):
    tokens, headers = face.count(f"on-{provider}")
    assert tokens > 3
    return "estimated" if headers.get("x-egret-estimated") == "true" else None


# The head of the column, and what fills it.
CAPABILITIES = {
    "text": text,
    "stream": stream,
    "turns": turns,
    "tools": tools,
    "parallel": parallel,
    "schema": structured,
    "image": image,
    "reasoning": reasoning,
    "sampling": sampling,
    "length": cut,
    "n": several,
    "logprobs": logprobs,
    "embeddings": embeddings,
    "count": count,
}
EXPECTED = {
    ("chat", "anthropic", "n"): "refused: unsupported_parameter",
    ("chat", "anthropic", "logprobs"): "refused: unsupported_parameter",
    ("chat", "anthropic", "embeddings"): "refused: invalid_request",
    ("chat", "gemini", "logprobs"): "refused: unsupported_parameter",
    ("responses", "anthropic", "logprobs"): "refused: unsupported_parameter",
    ("responses", "gemini", "logprobs"): "refused: unsupported_parameter",
    ("messages", "openai", "count"): "estimated",
    ("messages", "gemini", "count"): "estimated",
    ("first", "openai", "count"): "estimated",
    ("first", "gemini", "count"): "estimated",
    ("generate", "openai", "logprobs"): "refused: INVALID_ARGUMENT",
    ("generate", "openai", "count"): "estimated",
    ("generate", "anthropic", "n"): "refused: INVALID_ARGUMENT",
    ("generate", "anthropic", "logprobs"): "refused: INVALID_ARGUMENT",
    ("generate", "anthropic", "embeddings"): "refused: INVALID_ARGUMENT",
    ("generate", "anthropic", "count"): "estimated",
}
CELLS = [
    (face, provider, capability)
    for face in FACES
    for provider in PROVIDERS
    for capability in CAPABILITIES
    if capability not in face.lacks
]
FOUND = {}


def outcome(face, provider, capability):
    """What comes of it: that it works, or the native code by which it is refused."""
    try:
        return CAPABILITIES[capability](face, provider) or "works"
    except face.errors[400] as error:
        assert face.status(error) == 400
        assert face.request_id(error)
        return f"refused: {face.code(error)}"


@pytest.mark.parametrize(
    ("face", "provider", "capability"), CELLS, ids=lambda part: getattr(part, "name", part)
)
def test_a_cell(dialects, face, provider, capability):
    face = face(dialects)
    found = FOUND[face.name, provider, capability] = outcome(face, provider, capability)

    assert found == EXPECTED.get((face.name, provider, capability), "works")


def test_the_table_of_the_readme_is_what_was_found():
    assert set(FOUND) == {(face.name, provider, capability) for face, provider, capability in CELLS}
    cells = {}
    for (face, provider, capability), found in FOUND.items():
        cells.setdefault(face, {}).setdefault(provider, {})[capability] = found
    data = ROOT / "target/tests/faces.json"
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_text(json.dumps(cells, indent=2) + "\n")

    readme = ROOT / "README.md"
    written = readme.read_text()
    marked = re.compile(r"(?<=<!-- faces -->\n).*?(?=<!-- /faces -->)", re.S)
    updated = marked.sub(lambda _: table(cells), written)
    if os.environ.get("UPDATE_README") == "1":
        readme.write_text(updated)
    else:
        assert updated == written, "UPDATE_README=1 writes the table anew"


def table(cells):
    signs = {"works": "✓", "estimated": "≈", None: ""}
    lines = [f"| face | provider | {' | '.join(CAPABILITIES)} |", "|---|---|" + ":-:|" * len(CAPABILITIES)]
    for face, providers in cells.items():
        for provider, found in providers.items():
            row = [found.get(capability) for capability in CAPABILITIES]
            row = [signs.get(one) or one.removeprefix("refused: ").join("``") if one else "" for one in row]
            lines.append(f"| {FACE[face].title} | {provider} | {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


# Errors of egret's own.

OURS = {
    # Who asks for what, and what is said: a status, OpenAI's code, Anthropic's type, Gemini's word.
    "a wrong key": ("egret_sdk_nobody", "on-openai", 401, "invalid_api_key", "authentication_error", "UNAUTHENTICATED"),
    "a model of others": (KEY, "forbidden", 403, "model_not_allowed", "permission_error", "PERMISSION_DENIED"),
    "an unknown model": (KEY, "no-such", 404, "model_not_found", "not_found_error", "NOT_FOUND"),
}
LIMITED = {
    "a rate": ("egret_sdk_limited", 429, "rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED"),
    "a budget": ("egret_sdk_broke", 429, "insufficient_quota", "rate_limit_error", "RESOURCE_EXHAUSTED"),
    "a budget by 402": ("egret_sdk_spent", 402, "payment_required", "billing_error", "RESOURCE_EXHAUSTED"),
}


def word_of(face, openai, anthropic, google):
    return {Chat: openai, Responses: openai, Generate: google}.get(type(face), anthropic)


def fails(face, call, status, word):
    """The SDK raises the class that goes with the status, and not one of its subclasses or parents."""
    with pytest.raises(face.errors[status]) as raised:
        call()
    error = raised.value
    assert (face.status(error), face.code(error)) == (status, word)
    assert re.fullmatch("[0-9a-f]{32}", face.request_id(error))
    return error


@pytest.mark.parametrize("streams", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("why", OURS)
def test_a_refusal_is_the_sdks_own_exception(face, why, streams):
    key, model, status, *words = OURS[why]
    client = face.client(key)

    fails(face, lambda: face.say(model, client=client, stream=streams), status, word_of(face, *words))


@pytest.mark.parametrize("why", LIMITED)
def test_a_limit_is_the_sdks_own_exception_and_says_when_to_come_back(face, why):
    key, status, *words = LIMITED[why]
    client = face.client(key)
    assert face.say(f"rate-{face.name}", client=client).text == SAYS

    error = fails(face, lambda: face.say(f"rate-{face.name}", client=client), status, word_of(face, *words))

    headers = face.headers_of(error)
    if why == "a rate":
        assert 1 <= int(headers["retry-after"]) <= 60
        assert not isinstance(face, Generate) or "retryDelay" in str(error)
    else:
        assert headers["x-should-retry"] == "false"


# Errors of providers, in the words of the caller's dialect.

THEIRS = {
    "context_length_exceeded": (400, "context_length_exceeded", "invalid_request_error", "INVALID_ARGUMENT"),
    "content_policy_violation": (400, "content_policy_violation", "invalid_request_error", "INVALID_ARGUMENT"),
    "model_not_found": (404, "model_not_found", "not_found_error", "NOT_FOUND"),
    "rate_limit_exceeded": (429, "rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED"),
    "insufficient_quota": (429, "insufficient_quota", "rate_limit_error", "RESOURCE_EXHAUSTED"),
    # Of our key, never of the caller's.
    "invalid_api_key": (502, "upstream_auth_failed", "api_error", "INTERNAL"),
}
# What is said otherwise where a provider has no such word.
TRANSLATED = {
    ("content_policy_violation", "anthropic"): (400, "content_filter"),
    # Of Gemini's answers without one, only the reason says it; an error does not.
    ("content_policy_violation", "gemini"): (400, "invalid_request"),
}


@pytest.fixture(scope="module")
def erring(tmp_path_factory):
    """Providers of every dialect that fail in every way, each for one caller: what fails is left alone for a while."""
    directory = tmp_path_factory.mktemp("erring")
    cells = [
        (f"{face.name}-{provider}-{code}-{how}", provider, code)
        for face in FACES for provider in PROVIDERS for code in THEIRS for how in ("plain", "stream")
    ]
    providers = {name: {"dialect": at, "mock": {"faults": [{"error": code}]}} for name, at, code in cells}
    providers |= {
        f"{face.name}-{at}-busy": {"dialect": at, "mock": {"faults": [{"status": {"code": 429, "retryAfter": "7s"}}]}}
        for face in FACES for at in PROVIDERS
    }
    policy = directory / "erring.yaml"
    # JSON is YAML.
    policy.write_text(json.dumps({
        "apiVersion": "egret.dev/v1alpha1", "kind": "Policy", "allowMock": True, "providers": providers,
        "defaults": {"retry": {"maxAttempts": 1}},
        "models": {name: {"provider": name} for name in providers},
        "tenants": {"app": {"local": True, "access": {"allow": ["*"]}}},
    }))
    egret = Egret(directory, policy)
    yield egret
    assert egret.stop() == 0


@pytest.mark.parametrize("how", ["plain", "stream"])
@pytest.mark.parametrize("code", THEIRS)
@pytest.mark.parametrize("kind", FACES, ids=lambda face: face.name)
def test_a_providers_error_is_the_sdks_own_exception(erring, kind, provider, code, how):
    face = kind(erring)
    status, *words = THEIRS[code]
    word = word_of(face, *words)
    client = face.client("egret-local")
    if not speaks(face, provider):
        status, word = TRANSLATED.get((word, provider), (status, word))
        if isinstance(face, Messages) and code == "insufficient_quota":
            status, word = 402, "billing_error"

    fails(
        face, lambda: face.say(f"{face.name}-{provider}-{code}-{how}", client=client, stream=how == "stream"),
        status, word,
    )


@pytest.mark.parametrize("kind", FACES, ids=lambda face: face.name)
def test_a_provider_that_asks_to_slow_down_is_a_rate_limit_error_with_its_hint(erring, kind, provider):
    face = kind(erring)
    word = word_of(face, "rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED")
    client = face.client("egret-local")

    error = fails(face, lambda: face.say(f"{face.name}-{provider}-busy", client=client), 429, word)

    if isinstance(face, Generate) and provider == "gemini":
        # In the error, which goes through as it is.
        assert "'retryDelay': '7s'" in str(error)
    else:
        assert face.headers_of(error)["retry-after"] == "7"


@pytest.mark.parametrize("streams", [False, True], ids=["plain", "stream"])
def test_an_overloaded_provider_is_told_as_such_and_not_asked_again_by_the_sdk(face, provider, streams):
    client = face.client(retries=2)
    sent = []
    face.http(client).event_hooks = {"request": [sent.append]}
    with pytest.raises((face.errors[503], face.errors.get(529, face.errors[503]))) as raised:
        face.say(f"on-{provider}", client=client, fault="error=server_is_overloaded", stream=streams)

    headers = face.headers_of(raised.value)
    assert headers["x-egret-attempts"] == "2"
    assert headers["x-should-retry"] == "false"
    # Google's SDK, where it is told to retry, asks no header.
    assert len(sent) == (3 if isinstance(face, Generate) else 1)


@pytest.mark.parametrize("fault", ["error-event=6", "truncate=6", "reset=6"])
def test_a_stream_that_breaks_raises_after_what_came(face, provider, fault):
    came = ""
    with pytest.raises(Exception) as raised:
        for event in face.events(face.client(), f"on-{provider}", **{"x-mock-fault": fault}):
            came += face.event_text(event)

    assert isinstance(raised.value, face.in_stream)
    assert came and SAYS.startswith(came)


def test_what_is_compressed_or_comes_byte_by_byte_is_read(face, provider):
    for fault in ("gzip", "trickle=0ms"):
        for streams in (False, True):
            assert face.say(f"on-{provider}", fault=fault, stream=streams).text == SAYS


def test_text_of_any_script_comes_through_wherever_it_is_cut(face, provider):
    said = 'Ebbe 🌊 "qu" \\ \n 潮, \u2028 end'
    for streams in (False, True):
        answer = face.say(f"wordy-on-{provider}", [("user", said)], said, fault="trickle=0ms", stream=streams)
        assert answer.text == said


# Time.


def test_a_provider_that_is_silent_too_long_is_a_gateway_timeout(face, provider):
    word = word_of(face, "upstream_timeout", "timeout_error", "DEADLINE_EXCEEDED")

    fails(face, lambda: face.say(f"impatient-on-{provider}", fault="slow-head=3s"), 504, word)


def test_a_caller_may_lose_patience(face):
    client = face.client(timeout=0.3)
    began = time.monotonic()
    with pytest.raises(face.timed_out):
        face.say("on-openai", client=client, fault="slow-head=5s")

    assert time.monotonic() - began < 3


def test_a_slow_stream_is_kept_alive_in_a_form_that_each_sdk_reads(dialects):
    """All at once: each takes its two seconds."""
    faces = [face(dialects) for face in FACES]

    def slow(face, provider):
        return face.say(f"patient-on-{provider}", client=face.client(), fault="slow-head=2200ms", stream=True).text

    def silent(face, provider):
        with pytest.raises(face.in_stream) as raised:
            face.say(f"patient-on-{provider}", client=face.client(), fault="stall=0", stream=True)
        return "did not answer in time" in str(raised.value)

    for face in faces:
        face.client()
    cells = [(call, face, provider) for call in (slow, silent) for face in faces for provider in PROVIDERS]
    with ThreadPoolExecutor(len(cells)) as pool:
        found = list(pool.map(lambda cell: cell[0](*cell[1:]), cells))
    assert found == [SAYS] * 15 + [True] * 15


def test_a_stream_that_is_left_early_frees_its_place(face, provider):
    client = face.client("egret_sdk_single")
    stream = face.events(client, f"on-{provider}", **{"x-mock-fault": "slow-stream=2"})
    text = ""
    while not text:
        text = face.event_text(next(stream if hasattr(stream, "__next__") else iter(stream)))
    with pytest.raises(face.errors[429]):
        face.say(f"on-{provider}", client=client)
    stream.close()

    until = time.monotonic() + 2
    while True:
        try:
            assert face.say(f"on-{provider}", client=client).text == SAYS
            break
        except face.errors[429]:
            assert time.monotonic() < until, "its place is held on"
            time.sleep(0.02)


def test_many_calls_of_all_faces_at_once_all_answer(dialects):
    calls = [(face(dialects), provider, streams) for face in FACES for provider in PROVIDERS for streams in (0, 1)]
    clients = {face.name: face(dialects).client() for face in FACES}

    def call(one):
        face, provider, streams = one
        return face.say(f"on-{provider}", client=clients[face.name], stream=bool(streams)).text

    with ThreadPoolExecutor(30) as pool:
        assert set(pool.map(call, calls * 3)) == {SAYS}


# Failover.

PAIRS = list(permutations(PROVIDERS, 2))


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0]}-then-{pair[1]}")
def test_a_provider_of_another_dialect_answers_where_the_first_fails(face, pair):
    route = "-then-".join(pair)
    # Twice, for each fails in two ways.
    for streams in (False, False, True, True):
        answer = face.say(route, TURNS, RULE, stream=streams)
        assert (answer.text, answer.finish) == (SAYS, face.stop)
        counted(answer, WORDS["turns"])
        told(face, answer, pair[1], "2")


def test_a_tool_loop_goes_on_at_a_provider_of_another_dialect(face):
    # Each is asked first where the loop goes on, too.
    for route in (f"{one}-then-{other}" for one, other in PAIRS):
        for streams in (False, True):
            asked, answered = face.loop(route, ["look_up"], streams)
            called(asked, ["look_up"])
            assert answered.text == SAYS


THINKERS = ["on-openai", "thinking-on-anthropic", "on-gemini", "on-gemini-3"]


@pytest.mark.parametrize("streams", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("pair", list(permutations(THINKERS, 2)), ids=lambda pair: "-then-".join(pair))
def test_a_tool_loop_with_thoughts_goes_on_at_another_provider(face, pair, streams):
    one, other = pair
    if isinstance(face, Generate) and "gemini" in one and "gemini" in other:
        # What goes through as it is, is Google's own: its older models take no ids, and the newer ones want signatures.
        with pytest.raises(face.errors[400]):
            face.loop(one, ["look_up", "measure"], streams, other, **face.thinking)
        return
    asked, answered = face.loop(one, ["look_up", "measure"], streams, other, **face.thinking)

    called(asked, ["look_up", "measure"])
    assert answered.text == SAYS


@pytest.mark.parametrize("streams", [False, True], ids=["plain", "stream"])
def test_where_nobody_answers_the_policy_does_in_the_callers_dialect(face, provider, streams):
    answer = face.say(f"polite-on-{provider}", stream=streams)

    assert (answer.text, answer.finish) == ("Please try again shortly.", face.stop)
    assert answer.headers["x-egret-exhausted"]


# What is lost.


HINTS = {
    Chat: {"verbosity", "prompt_cache_key"},
    Responses: {"text.verbosity", "prompt_cache_key"},
    Messages: {"service_tier", "inference_geo"},
    Generate: {"safetySettings"},
}


def test_what_is_left_out_is_named(face, provider):
    answer = face.hinted(f"on-{provider}")

    assert answer.text == SAYS
    assert lost(answer) == (set() if speaks(face, provider) else lost_at(face, provider))


def speaks(face, provider):
    """Whether the call goes through as it is."""
    return isinstance(face, {"openai": (Chat, Responses), "anthropic": Messages, "gemini": Generate}[provider])


def lost_at(face, provider):
    return next(hints for kind, hints in HINTS.items() if isinstance(face, kind))


def test_where_nothing_may_be_left_out_the_call_is_refused(face, provider):
    if speaks(face, provider):
        assert face.hinted(f"whole-on-{provider}").text == SAYS
        return
    word = word_of(face, "unsupported_parameter", "invalid_request_error", "INVALID_ARGUMENT")
    error = fails(face, lambda: face.hinted(f"whole-on-{provider}"), 400, word)

    assert any(name in str(error) for name in lost_at(face, provider))


def test_a_model_without_sampling_is_passed_over(dialects):
    for face in (Chat(dialects), Responses(dialects), Generate(dialects)):
        word = word_of(face, "unsupported_parameter", "", "INVALID_ARGUMENT")
        error = fails(face, lambda: face.sampling("steady"), 400, word)
        assert "temperature" in str(error)
        answer = face.sampling("steady-or-not")
        assert (answer.text, answer.headers["x-egret-provider"]) == (SAYS, "gemini")


def test_the_name_of_a_file_is_lost_and_not_the_file(dialects):
    file = {"filename": "tide.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQ="}
    content = [{"type": "text", "text": QUESTION}, {"type": "file", "file": file}]
    for provider, names in {"openai": set(), "anthropic": set(), "gemini": {"messages.document.name"}}.items():
        answer = Chat(dialects).send(f"on-{provider}", messages=[{"role": "user", "content": content}])
        assert (answer.text, lost(answer)) == (SAYS, names)


def test_what_no_other_provider_can_do_is_refused_by_name(dialects):
    chat, responses = Chat(dialects).client(), Responses(dialects).client().responses
    for provider in ("anthropic", "gemini"):
        model = f"on-{provider}"
        for param, call in {
            "previous_response_id": lambda: responses.create(model=model, input="hi", previous_response_id="resp_1"),
            "store": lambda: responses.create(model=model, input="hi", store=True),
            "tools": lambda: responses.create(model=model, input="hi", tools=[{"type": "web_search"}]),
            "audio": lambda: chat.chat.completions.create(
                model=model, messages=[{"role": "user", "content": "hi"}], modalities=["text", "audio"],
                audio={"voice": "alloy", "format": "wav"},
            ),
        }.items():
            error = fails(Chat(dialects), call, 400, "unsupported_parameter")
            assert error.param.startswith(param)
        fails(Chat(dialects), lambda: chat.completions.create(model=model, prompt="hi"), 400, "invalid_request")


def test_a_stream_shows_no_usage_that_was_not_asked_for(dialects, provider):
    chunks = list(Chat(dialects).events(Chat(dialects).client(), f"on-{provider}"))

    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert len({chunk.id for chunk in chunks}) == 1


# Models.


def test_a_list_of_models_has_what_the_caller_may_use(face):
    names = face.models(face.client())

    assert {"on-openai", "on-anthropic", "on-gemini", "openai-then-gemini"} <= names
    assert not {"forbidden", "rate-chat"} & names
