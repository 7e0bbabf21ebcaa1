"""LangChain and OpenAI's Agents as clients of egret: frameworks that know nothing of it but the base URL, each with the
SDK below it, before providers of every dialect."""

import asyncio
import os

import agents
import pytest
from faces import KEY, PROVIDERS, QUESTION, SAYS, TOOLS, Tide
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from openai import AsyncOpenAI


def openai_chat(egret, model):
    return ChatOpenAI(model=model, api_key=KEY, base_url=egret.base_url, max_retries=0, timeout=20)


def openai_responses(egret, model):
    return ChatOpenAI(
        model=model, api_key=KEY, base_url=egret.base_url, max_retries=0, timeout=20, use_responses_api=True
    )


def anthropic_messages(egret, model):
    return ChatAnthropic(
        model=model, api_key=KEY, base_url=egret.base_url.removesuffix("/v1"), max_retries=0, timeout=20, max_tokens=512
    )


def google_generate(egret, model):
    return ChatGoogleGenerativeAI(
        model=model, api_key=KEY, base_url=egret.base_url.removesuffix("/v1"), max_retries=0, timeout=20
    )


MODELS = [openai_chat, openai_responses, anthropic_messages, google_generate]


@tool
def look_up(place: str, days: int) -> str:
    """Looks up the tide at a place."""
    return f"low at {place} in {days} days"


@tool
def measure(depth: float) -> str:
    """Measures the water."""
    return f"{depth} m"


@pytest.fixture(params=MODELS, ids=lambda make: make.__name__)
def make(request, dialects):
    return lambda model: request.param(dialects, model)


@pytest.fixture(params=PROVIDERS)
def provider(request):
    return request.param


def test_a_langchain_model_answers_and_counts(make, provider):
    answer = make(f"on-{provider}").invoke([SystemMessage("Be brief."), HumanMessage(QUESTION)])

    assert answer.text == SAYS
    words = len(f"Be brief. {QUESTION}".split())
    usage = answer.usage_metadata
    assert (usage["input_tokens"], usage["output_tokens"]) == (words, len(SAYS.split()))


def test_a_langchain_model_streams(make, provider):
    pieces = list(make(f"on-{provider}").stream(QUESTION))

    assert "".join(piece.text for piece in pieces) == SAYS
    assert len([piece for piece in pieces if piece.text]) > 3


@pytest.mark.parametrize("streams", [False, True], ids=["plain", "stream"])
def test_a_langchain_model_calls_its_tools_and_reads_what_they_say(make, provider, streams):
    model = make(f"on-{provider}").bind_tools([look_up, measure])
    turns = [HumanMessage("Use look_up and measure.")]

    def ask():
        if not streams:
            return model.invoke(turns)
        whole = None
        for piece in model.stream(turns):
            whole = piece if whole is None else whole + piece
        return whole

    asked = ask()
    assert [call["name"] for call in asked.tool_calls] == ["look_up", "measure"]
    turns.append(asked)
    for call in asked.tool_calls:
        assert set(call["args"]) == set(TOOLS[call["name"]]["required"])
        called = {"look_up": look_up, "measure": measure}[call["name"]].invoke(call)
        assert isinstance(called, ToolMessage)
        turns.append(called)

    assert ask().text == SAYS


def test_a_langchain_model_answers_in_a_form(make, provider):
    assert make(f"json-on-{provider}").with_structured_output(Tide, method="json_schema").invoke(QUESTION) == Tide(
        high=True, place="Husum"
    )


def test_a_langchain_model_falls_over_to_another_dialect(make):
    for route in ("openai-then-gemini", "gemini-then-anthropic", "anthropic-then-openai"):
        assert make(route).invoke(QUESTION).text == SAYS


@pytest.mark.parametrize("provider", ["openai", "gemini"])
def test_langchain_embeds_texts(dialects, provider):
    embeddings = OpenAIEmbeddings(
        model=f"on-{provider}", api_key=KEY, base_url=dialects.base_url, check_embedding_ctx_length=False
    )

    assert len(embeddings.embed_query("ebb")) > 1
    assert len(embeddings.embed_documents(["ebb", "flow"])) == 2


@pytest.mark.parametrize("streams", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("kind", [agents.OpenAIChatCompletionsModel, agents.OpenAIResponsesModel])
def test_an_agent_uses_its_tool_and_answers(dialects, provider, kind, streams):
    agents.set_tracing_disabled(True)
    asked = []

    @agents.function_tool
    def look_up(place: str, days: int) -> str:
        """Looks up the tide at a place."""
        asked.append((place, days))
        return "low at noon"

    async def run():
        async with AsyncOpenAI(api_key=KEY, base_url=dialects.base_url, max_retries=0, timeout=20) as client:
            agent = agents.Agent(
                name="Pilot", instructions="Say what the tide does.", tools=[look_up],
                model=kind(model=f"on-{provider}", openai_client=client),
            )
            if not streams:
                return await agents.Runner.run(agent, f"Use look_up. {QUESTION}")
            running = agents.Runner.run_streamed(agent, f"Use look_up. {QUESTION}")
            async for _ in running.stream_events():
                pass
            return running

    assert asyncio.run(run()).final_output == SAYS
    assert len(asked) == 1


@pytest.fixture(autouse=True, scope="module")
def nothing_is_traced():
    # Both report home where a key is set.
    os.environ.pop("LANGSMITH_API_KEY", None)
    os.environ["LANGSMITH_TRACING"] = "false"
