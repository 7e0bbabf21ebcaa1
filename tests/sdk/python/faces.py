"""What callers speak, each by its official SDK: the same questions, asked in four APIs and read back in one form."""

import base64
import json
from dataclasses import dataclass, field

import anthropic
import openai
from google import genai
from google.genai import errors as google_errors
from google.genai import types
from pydantic import BaseModel

SAYS = "The tide comes in and the tide goes out."
# Stands in prompts; must stand in no log.
CANARY = "canary-8f1b2c"
QUESTION = f"What does the tide do? {CANARY}"
RULE = "Answer in one sentence."
KEY = "egret_sdk_main"
# A white point.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8/5+hHgAHggJ/PchI7wAAAABJRU5ErkJggg=="
)
# The tools by name, each with what it is told.
TOOLS = {
    "look_up": {
        "type": "object",
        "properties": {"place": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["place", "days"],
        "additionalProperties": False,
    },
    "measure": {
        "type": "object",
        "properties": {"depth": {"type": "number"}},
        "required": ["depth"],
        "additionalProperties": False,
    },
}


class Tide(BaseModel):
    high: bool
    place: str


@dataclass
class Said:
    """An answer, however it came."""

    text: str
    finish: str
    # Tokens in, cached ones included; tokens out, thoughts included; and both, where the API says it.
    input: int
    output: int
    total: int | None
    cached: int = 0
    calls: list = field(default_factory=list)
    headers: dict = field(default_factory=dict)
    # The answer as the SDK gives it.
    native: object = None


def describe(name):
    return f"Finds the tide by {name}."


class Face:
    """One API, by its SDK. `fault` is what the scripted provider is to do wrong; `native` is in the SDK's own words."""

    name = title = None
    # What an API has no word for is no capability of its callers.
    lacks = frozenset()
    # The finish of a text, of calls, and of a text that is cut.
    stop = calls = length = None
    # What asks for thoughts.
    thinking = {}
    # Whether its SDK's helper for streams gives an answer that was cut.
    streams_cut = True
    # Where its SDK looks for the id of a call.
    id_header = "x-request-id"

    def __init__(self, egret):
        self.egret = egret

    def client(self, key=KEY, **options):
        """A client of its SDK. Made once: that takes longer than a call, and Google's closes when it is forgotten."""
        made = self.egret.__dict__.setdefault("clients", {})
        of = (self.name, key, *sorted(options.items()))
        if of not in made:
            made[of] = self.make(key, **options)
        return made[of]

    def make(self, key, retries=0, timeout=20):
        raise NotImplementedError

    def http(self, client):
        """The client of HTTP that its SDK uses."""
        return client._client


class OfOpenAi(Face):
    streams_cut = False
    errors = {
        400: openai.BadRequestError,
        401: openai.AuthenticationError,
        402: openai.APIStatusError,
        403: openai.PermissionDeniedError,
        404: openai.NotFoundError,
        429: openai.RateLimitError,
        500: openai.InternalServerError,
        502: openai.InternalServerError,
        503: openai.InternalServerError,
        504: openai.InternalServerError,
    }
    in_stream = openai.APIError
    timed_out = openai.APITimeoutError

    def make(self, key, retries=0, timeout=20):
        return openai.OpenAI(api_key=key, base_url=self.egret.base_url, max_retries=retries, timeout=timeout)

    def status(self, error):
        return error.status_code

    def code(self, error):
        return error.code

    def request_id(self, error):
        return error.request_id

    def headers_of(self, error):
        return error.response.headers


def faulty(fault):
    return {"x-mock-fault": fault} if fault else {}


class Chat(OfOpenAi):
    """OpenAI's chat completions."""

    name, title = "chat", "OpenAI chat completions"
    lacks = {"count"}
    stop, calls, length = "stop", "tool_calls", "length"
    thinking = {"reasoning_effort": "low"}

    def messages(self, turns, system=None):
        roles = {"user": "user", "model": "assistant"}
        turns = [{"role": roles[who], "content": text} for who, text in turns]
        return [{"role": "system", "content": system}, *turns] if system else turns

    def tools(self, names):
        return [
            {"type": "function", "function": {"name": n, "description": describe(n), "parameters": TOOLS[n]}}
            for n in names
        ]

    def said(self, answer, headers=()):
        [choice, *_] = answer.choices
        usage = answer.usage
        calls = [(c.function.name, json.loads(c.function.arguments)) for c in choice.message.tool_calls or []]
        details = usage.prompt_tokens_details
        return Said(
            choice.message.content or "", choice.finish_reason, usage.prompt_tokens, usage.completion_tokens,
            usage.total_tokens, details.cached_tokens or 0 if details else 0, calls, dict(headers), answer,
        )

    def send(self, model, *, client=None, stream=False, fault=None, **native):
        chat = (client or self.client()).chat.completions
        headers = faulty(fault)
        if not stream:
            raw = chat.with_raw_response.create(model=model, extra_headers=headers, **native)
            return self.said(raw.parse(), raw.headers)
        native["stream_options"] = {"include_usage": True}
        with chat.stream(model=model, extra_headers=headers, **native) as events:
            return self.said(events.get_final_completion(), events._raw_stream.response.headers)

    def say(self, model, turns=None, system=None, **native):
        return self.send(model, messages=self.messages(turns or [("user", QUESTION)], system), **native)

    def events(self, client, model, **headers):
        return client.chat.completions.create(
            model=model, messages=self.messages([("user", QUESTION)]), stream=True, extra_headers=headers
        )

    def event_text(self, event):
        return event.choices[0].delta.content or "" if event.choices else ""

    def loop(self, model, names, stream=False, then=None, **native):
        """Asks, is called, gives the results, and is answered, by `then` where it is named."""
        asked = self.messages([("user", f"Use {' and '.join(names)}. {CANARY}")], RULE)
        options = {"tools": self.tools(names), "stream": stream, **native}
        first = self.send(model, messages=asked, **options)
        message = first.native.choices[0].message
        results = [
            {"role": "tool", "tool_call_id": call.id, "content": f'{{"at": "{call.function.name}"}}'}
            for call in message.tool_calls
        ]
        back = {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": call.id, "type": "function",
                    "function": {"name": call.function.name, "arguments": call.function.arguments},
                }
                for call in message.tool_calls
            ],
        }
        return first, self.send(then or model, messages=[*asked, back, *results], **options)

    def force(self, model, name):
        choice = {"type": "function", "function": {"name": name}}
        return self.say(model, tools=self.tools(TOOLS), tool_choice=choice)

    def structured(self, model):
        answer = self.client().chat.completions.parse(
            model=model, messages=self.messages([("user", QUESTION)]), response_format=Tide
        )
        return answer.choices[0].message.parsed

    def image(self, model):
        url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
        content = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": url}}]
        return self.send(model, messages=[{"role": "user", "content": content}])

    def sampling(self, model, **options):
        return self.say(model, temperature=0.2, top_p=0.9, **options)

    def cut(self, model, **options):
        return self.say(model, max_completion_tokens=4, **options)

    def several(self, model):
        answer = self.say(model, n=2)
        assert [choice.message.content for choice in answer.native.choices] == [SAYS] * 2
        return answer

    def logprobs(self, model):
        return self.say(model, logprobs=True, top_logprobs=2)

    def hinted(self, model):
        """With words that only OpenAI has."""
        return self.say(model, verbosity="low", prompt_cache_key="tide")

    def embeddings(self, model):
        packed = self.client().embeddings.create(model=model, input=["ebb", "flow and ebb"])
        floats = self.client().embeddings.create(model=model, input=["ebb", "flow and ebb"], encoding_format="float")
        assert [entry.index for entry in packed.data] == [0, 1]
        for one, other in zip(packed.data, floats.data):
            assert len(one.embedding) > 1
            assert all(abs(a - b) < 1e-6 for a, b in zip(one.embedding, other.embedding, strict=True))
        assert packed.usage.total_tokens == floats.usage.total_tokens

    def models(self, client):
        return {model.id for model in client.models.list()}


class Responses(OfOpenAi):
    """OpenAI's Responses."""

    name, title = "responses", "OpenAI Responses"
    lacks = {"count", "embeddings", "n"}
    stop, calls, length = "completed", "completed", "incomplete: max_output_tokens"
    # What was thought comes back in a form that the next call can bring along.
    thinking = {"reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"], "store": False}

    def items(self, turns):
        roles = {"user": "user", "model": "assistant"}
        return [{"role": roles[who], "content": text} for who, text in turns]

    def tools(self, names):
        return [
            {"type": "function", "name": n, "description": describe(n), "parameters": TOOLS[n], "strict": False}
            for n in names
        ]

    def said(self, answer, headers=()):
        usage = answer.usage
        calls = [(c.name, json.loads(c.arguments)) for c in answer.output if c.type == "function_call"]
        finish = f"incomplete: {answer.incomplete_details.reason}" if answer.incomplete_details else answer.status
        return Said(
            answer.output_text, finish, usage.input_tokens, usage.output_tokens, usage.total_tokens,
            usage.input_tokens_details.cached_tokens, calls, dict(headers), answer,
        )

    def send(self, model, *, client=None, stream=False, fault=None, **native):
        responses = (client or self.client()).responses
        headers = faulty(fault)
        if not stream:
            raw = responses.with_raw_response.create(model=model, extra_headers=headers, **native)
            return self.said(raw.parse(), raw.headers)
        with responses.stream(model=model, extra_headers=headers, **native) as events:
            return self.said(events.get_final_response(), events._raw_stream.response.headers)

    def say(self, model, turns=None, system=None, **native):
        if system:
            native["instructions"] = system
        return self.send(model, input=self.items(turns or [("user", QUESTION)]), **native)

    def events(self, client, model, **headers):
        return client.responses.create(model=model, input=QUESTION, stream=True, extra_headers=headers)

    def event_text(self, event):
        return event.delta if event.type == "response.output_text.delta" else ""

    def loop(self, model, names, stream=False, then=None, **native):
        asked = self.items([("user", f"Use {' and '.join(names)}. {CANARY}")])
        options = {"tools": self.tools(names), "instructions": RULE, "stream": stream, **native}
        first = self.send(model, input=asked, **options)
        output = first.native.output
        results = [
            {"type": "function_call_output", "call_id": item.call_id, "output": f'{{"at": "{item.name}"}}'}
            for item in output
            if item.type == "function_call"
        ]
        back = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in output]
        return first, self.send(then or model, input=[*asked, *back, *results], **options)

    def force(self, model, name):
        return self.say(model, tools=self.tools(TOOLS), tool_choice={"type": "function", "name": name})

    def structured(self, model):
        return self.client().responses.parse(model=model, input=QUESTION, text_format=Tide).output_parsed

    def image(self, model):
        url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
        image = {"type": "input_image", "image_url": url, "detail": "auto"}
        return self.send(model, input=[{"role": "user", "content": [{"type": "input_text", "text": QUESTION}, image]}])

    def sampling(self, model, **options):
        return self.say(model, temperature=0.2, top_p=0.9, **options)

    def cut(self, model, **options):
        return self.say(model, max_output_tokens=4, **options)

    def logprobs(self, model):
        return self.say(model, top_logprobs=2, include=["message.output_text.logprobs"])

    def hinted(self, model):
        return self.say(model, text={"verbosity": "low"}, prompt_cache_key="tide")

    def models(self, client):
        return {model.id for model in client.models.list()}


class Messages(Face):
    """Anthropic's Messages, in the version that its SDK asks for by itself."""

    name, title = "messages", "Anthropic Messages, 2026-10-21"
    # That version has no words for sampling.
    lacks = {"embeddings", "n", "logprobs", "sampling"}
    stop, calls, length = "end_turn", "tool_use", "max_tokens"
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4096}
    id_header = "request-id"
    version = None
    errors = {
        400: anthropic.BadRequestError,
        401: anthropic.AuthenticationError,
        402: anthropic.PaymentRequiredError,
        403: anthropic.PermissionDeniedError,
        404: anthropic.NotFoundError,
        429: anthropic.RateLimitError,
        500: anthropic.InternalServerError,
        502: anthropic.InternalServerError,
        503: anthropic.ServiceUnavailableError,
        504: anthropic.GatewayTimeoutError,
        529: anthropic.OverloadedError,
    }
    in_stream = anthropic.APIError
    timed_out = anthropic.APITimeoutError

    def make(self, key, retries=0, timeout=20):
        headers = {"anthropic-version": self.version} if self.version else None
        return anthropic.Anthropic(
            api_key=key, base_url=self.egret.base_url.removesuffix("/v1"), max_retries=retries, timeout=timeout,
            default_headers=headers,
        )

    def status(self, error):
        return error.status_code

    def code(self, error):
        return error.body["error"]["type"]

    def request_id(self, error):
        return error.request_id

    def headers_of(self, error):
        return error.response.headers

    def messages(self, turns):
        roles = {"user": "user", "model": "assistant"}
        return [{"role": roles[who], "content": text} for who, text in turns]

    def tools(self, names):
        return [{"name": n, "description": describe(n), "input_schema": TOOLS[n]} for n in names]

    def said(self, answer, headers=()):
        usage = answer.usage
        cached = usage.cache_read_input_tokens or 0
        total_in = usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0)
        text = "".join(block.text for block in answer.content if block.type == "text")
        calls = [(block.name, block.input) for block in answer.content if block.type == "tool_use"]
        return Said(
            text, answer.stop_reason, total_in, usage.output_tokens, None, cached, calls, dict(headers), answer
        )

    def send(self, model, *, client=None, stream=False, fault=None, max_tokens=512, **native):
        messages = (client or self.client()).messages
        options = {"model": model, "max_tokens": max_tokens, "extra_headers": faulty(fault), **native}
        if not stream:
            raw = messages.with_raw_response.create(**options)
            return self.said(raw.parse(), raw.headers)
        with messages.stream(**options) as events:
            return self.said(events.get_final_message(), events.response.headers)

    def say(self, model, turns=None, system=None, **native):
        if system:
            native["system"] = system
        return self.send(model, messages=self.messages(turns or [("user", QUESTION)]), **native)

    def events(self, client, model, **headers):
        return client.messages.create(
            model=model, max_tokens=512, messages=self.messages([("user", QUESTION)]), stream=True,
            extra_headers=headers,
        )

    def event_text(self, event):
        return event.delta.text if event.type == "content_block_delta" and event.delta.type == "text_delta" else ""

    def loop(self, model, names, stream=False, then=None, **native):
        asked = self.messages([("user", f"Use {' and '.join(names)}. {CANARY}")])
        options = {"tools": self.tools(names), "system": RULE, "stream": stream, **native}
        first = self.send(model, messages=asked, **options)
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": f'{{"at": "{block.name}"}}'}
            for block in first.native.content
            if block.type == "tool_use"
        ]
        back = [block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in first.native.content]
        turns = [*asked, {"role": "assistant", "content": back}, {"role": "user", "content": results}]
        return first, self.send(then or model, messages=turns, **options)

    def force(self, model, name):
        return self.say(model, tools=self.tools(TOOLS), tool_choice={"type": "tool", "name": name})

    def structured(self, model):
        answer = self.client().messages.parse(
            model=model, max_tokens=512, messages=self.messages([("user", QUESTION)]), output_format=Tide
        )
        return answer.parsed_output

    def image(self, model):
        source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()}
        content = [{"type": "text", "text": QUESTION}, {"type": "image", "source": source}]
        return self.send(model, messages=[{"role": "user", "content": content}])

    def cut(self, model, **options):
        return self.say(model, max_tokens=4, **options)

    def hinted(self, model):
        return self.say(model, service_tier="auto", inference_geo="eu")

    def count(self, model):
        raw = self.client().messages.with_raw_response.count_tokens(
            model=model, messages=self.messages([("user", QUESTION)]), system=RULE
        )
        return raw.parse().input_tokens, raw.headers

    def models(self, client):
        return {model.id for model in client.models.list()}


class First(Messages):
    """The same in its first version, which old SDKs ask for."""

    name, title = "first", "Anthropic Messages, 2023-06-01"
    lacks = {"embeddings", "n", "logprobs"}
    version = "2023-06-01"

    def sampling(self, model, **options):
        return self.say(model, extra_body={"temperature": 0.2, "top_p": 0.9}, **options)


class Generate(Face):
    """Gemini's generateContent."""

    name, title = "generate", "Gemini generateContent"
    stop, calls, length = "STOP", "STOP", "MAX_TOKENS"
    thinking = {"thinking_config": types.ThinkingConfig(thinking_budget=1024)}
    errors = {
        status: google_errors.ClientError if status < 500 else google_errors.ServerError
        for status in (400, 401, 402, 403, 404, 429, 500, 502, 503, 504)
    }
    in_stream = google_errors.APIError
    timed_out = Exception

    def make(self, key, retries=0, timeout=20, version=None):
        retry = types.HttpRetryOptions(attempts=retries + 1, initial_delay=0.01) if retries else None
        return genai.Client(
            api_key=key,
            http_options=types.HttpOptions(
                base_url=self.egret.base_url.removesuffix("/v1"), timeout=int(timeout * 1000),
                retry_options=retry, api_version=version,
            ),
        )

    def status(self, error):
        return error.code

    def code(self, error):
        return error.status

    def request_id(self, error):
        return error.response.headers["x-request-id"]

    def headers_of(self, error):
        return error.response.headers

    def http(self, client):
        return client._api_client._httpx_client

    def contents(self, turns):
        return [types.Content(role=who, parts=[types.Part(text=text)]) for who, text in turns]

    def tools(self, names):
        functions = [
            types.FunctionDeclaration(name=n, description=describe(n), parameters_json_schema=TOOLS[n]) for n in names
        ]
        return [types.Tool(function_declarations=functions)]

    def said(self, answers):
        """Of the pieces of an answer, or of one that is whole."""
        candidates = [answer.candidates[0] for answer in answers if answer.candidates]
        parts = [part for one in candidates if one.content for part in one.content.parts or []]
        usage = answers[-1].usage_metadata
        text = "".join(part.text for part in parts if part.text and not part.thought)
        calls = [(part.function_call.name, part.function_call.args) for part in parts if part.function_call]
        output = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
        native = types.Content(role="model", parts=parts)
        headers = answers[0].sdk_http_response.headers or {}
        return Said(
            text, candidates[-1].finish_reason.name, usage.prompt_token_count, output, usage.total_token_count,
            usage.cached_content_token_count or 0, calls, dict(headers), native,
        )

    def send(self, model, contents, *, client=None, stream=False, fault=None, **config):
        models = (client or self.client()).models
        config["automatic_function_calling"] = types.AutomaticFunctionCallingConfig(disable=True)
        config["http_options"] = types.HttpOptions(headers=faulty(fault))
        config = types.GenerateContentConfig(**config)
        if not stream:
            return self.said([models.generate_content(model=model, contents=contents, config=config)])
        return self.said(list(models.generate_content_stream(model=model, contents=contents, config=config)))

    def say(self, model, turns=None, system=None, **native):
        if system:
            native["system_instruction"] = system
        return self.send(model, self.contents(turns or [("user", QUESTION)]), **native)

    def events(self, client, model, **headers):
        config = types.GenerateContentConfig(http_options=types.HttpOptions(headers=headers))
        return client.models.generate_content_stream(
            model=model, contents=self.contents([("user", QUESTION)]), config=config
        )

    def event_text(self, event):
        return event.text or ""

    def loop(self, model, names, stream=False, then=None, **native):
        asked = self.contents([("user", f"Use {' and '.join(names)}. {CANARY}")])
        options = {"tools": self.tools(names), "system_instruction": RULE, "stream": stream, **native}
        first = self.send(model, asked, **options)
        results = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=part.function_call.id, name=part.function_call.name,
                    response={"output": {"at": part.function_call.name}},
                )
            )
            for part in first.native.parts
            if part.function_call
        ]
        turns = [*asked, first.native, types.Content(role="user", parts=results)]
        return first, self.send(then or model, turns, **options)

    def force(self, model, name):
        one = types.FunctionCallingConfig(mode="ANY", allowed_function_names=[name])
        return self.say(model, tools=self.tools(TOOLS), tool_config=types.ToolConfig(function_calling_config=one))

    def structured(self, model):
        config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Tide)
        return self.client().models.generate_content(model=model, contents=QUESTION, config=config).parsed

    def image(self, model):
        parts = [types.Part(text=QUESTION), types.Part.from_bytes(data=PNG, mime_type="image/png")]
        return self.send(model, [types.Content(role="user", parts=parts)])

    def sampling(self, model, **options):
        return self.say(model, temperature=0.2, top_p=0.9, **options)

    def cut(self, model, **options):
        return self.say(model, max_output_tokens=4, **options)

    def several(self, model):
        answer = self.client().models.generate_content(
            model=model, contents=QUESTION, config=types.GenerateContentConfig(candidate_count=2)
        )
        assert [candidate.content.parts[0].text for candidate in answer.candidates] == [SAYS] * 2

    def logprobs(self, model):
        return self.say(model, response_logprobs=True, logprobs=2)

    def hinted(self, model):
        harassment = types.SafetySetting(category="HARM_CATEGORY_HARASSMENT", threshold="BLOCK_NONE")
        return self.say(model, safety_settings=[harassment])

    def count(self, model):
        answer = self.client().models.count_tokens(model=model, contents=QUESTION)
        return answer.total_tokens, answer.sdk_http_response.headers

    def embeddings(self, model):
        answer = self.client().models.embed_content(model=model, contents=["ebb", "flow and ebb"])
        one, other = answer.embeddings
        assert len(one.values) == len(other.values) > 1

    def models(self, client):
        return {model.name.removeprefix("models/") for model in client.models.list()}


FACES = [Chat, Responses, Messages, First, Generate]
PROVIDERS = ["openai", "anthropic", "gemini"]
