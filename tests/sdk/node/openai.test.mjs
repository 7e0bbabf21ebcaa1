// The official OpenAI SDK for Node as a client of egret.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import OpenAI from "openai";

import { start } from "./egret.mjs";

const says = "The tide comes in and the tide goes out.";
// Stands in prompts; must stand in no log.
const canary = "canary-8f1b2c";
const messages = [{ role: "user", content: `What does the tide do? ${canary}` }];
const tools = [
  {
    type: "function",
    function: {
      name: "look_up",
      description: "Looks up the tide at a place.",
      parameters: {
        type: "object",
        properties: { place: { type: "string" }, days: { type: "integer" } },
        required: ["place", "days"],
      },
    },
  },
];

let egret;
let client;

// Without retries, so that each call is one request.
const make = (apiKey = "egret_sdk_main") =>
  new OpenAI({ apiKey, baseURL: egret.baseURL, maxRetries: 0, timeout: 20_000 });

before(async () => {
  egret = await start();
  client = make();
});

after(async () => {
  if (!egret) return;
  assert.equal(await egret.stop(), 0, egret.written());
  assert.ok(!egret.written().includes(canary), "a prompt is in a log");
  assert.ok(!egret.written().includes("egret_sdk_"), "a caller's key is in a log");
});

const all = async (stream) => {
  const came = [];
  for await (const item of stream) came.push(item);
  return came;
};
const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");

const raises = async (call, kind, expected = {}) => {
  const error = await call().then(
    () => assert.fail("nothing was raised"),
    (error) => error,
  );
  assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
  for (const [name, value] of Object.entries(expected)) assert.equal(error[name], value, name);
  return error;
};

describe("chat", () => {
  test("a plain answer comes with usage and a request id", async () => {
    const answer = await client.chat.completions.create({ model: "chat", messages });
    assert.equal(answer.choices[0].message.content, says);
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
    assert.ok(answer._request_id);
  });

  test("a stream says the same and shows no usage that was not asked for", async () => {
    const chunks = await all(await client.chat.completions.create({ model: "chat", messages, stream: true }));
    assert.equal(textOf(chunks), says);
    assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
    assert.ok(chunks.every((chunk) => chunk.choices.length > 0 && !chunk.usage));
  });

  test("a stream ends with the usage that was asked for", async () => {
    const stream_options = { include_usage: true };
    const chunks = await all(
      await client.chat.completions.create({ model: "chat", messages, stream: true, stream_options }),
    );
    assert.equal(textOf(chunks), says);
    assert.deepEqual(chunks.at(-1).choices, []);
    assert.ok(chunks.at(-1).usage.total_tokens > 0);
  });

  test("a stream may be left early", async () => {
    for await (const _ of await client.chat.completions.create({ model: "chat", messages, stream: true })) break;
    const answer = await client.chat.completions.create({ model: "chat", messages });
    assert.equal(answer.choices[0].message.content, says);
  });

  test("a tool is called, plain and streamed, and its result answered", async () => {
    const ask = { model: "chat", messages, tools, tool_choice: "required" };
    const asked = await client.chat.completions.create(ask);
    const [call] = asked.choices[0].message.tool_calls;
    assert.equal(call.function.name, "look_up");
    assert.ok("place" in JSON.parse(call.function.arguments));

    const chunks = await all(await client.chat.completions.create({ ...ask, stream: true }));
    const pieces = chunks.flatMap((chunk) => chunk.choices[0].delta.tool_calls ?? []);
    assert.equal(pieces.map((piece) => piece.function.name ?? "").join(""), "look_up");
    assert.ok("place" in JSON.parse(pieces.map((piece) => piece.function.arguments ?? "").join("")));

    const result = { role: "tool", tool_call_id: call.id, content: "low at noon" };
    const answered = await client.chat.completions.create({
      model: "chat",
      messages: [...messages, asked.choices[0].message, result],
      tools,
    });
    assert.equal(answered.choices[0].message.content, says);
  });
});

describe("the other APIs", () => {
  test("embeddings are the same in base64 and as floats", async () => {
    const packed = await client.embeddings.create({ model: "chat", input: ["ebb", "flow"] });
    const floats = await client.embeddings.create({
      model: "chat",
      input: ["ebb", "flow"],
      encoding_format: "float",
    });
    assert.equal(packed.data.length, 2);
    packed.data.forEach((entry, n) => {
      assert.equal(entry.embedding.length, floats.data[n].embedding.length);
      entry.embedding.forEach((value, m) => assert.ok(Math.abs(value - floats.data[n].embedding[m]) < 1e-6));
    });
  });

  test("a response comes plain and streamed", async () => {
    const plain = await client.responses.create({ model: "chat", input: "What does the tide do?" });
    assert.equal(plain.output_text, says);
    const events = await all(
      await client.responses.create({ model: "chat", input: "What does the tide do?", stream: true }),
    );
    assert.equal(events[0].type, "response.created");
    assert.equal(events.at(-1).type, "response.completed");
    const deltas = events.filter((event) => event.type === "response.output_text.delta");
    assert.equal(deltas.map((event) => event.delta).join(""), says);
  });

  test("a legacy completion comes plain and streamed", async () => {
    const ask = { model: "chat", prompt: "What does the tide do?" };
    const plain = await client.completions.create(ask);
    assert.equal(plain.choices[0].text.trim(), says);
    const chunks = await all(await client.completions.create({ ...ask, stream: true }));
    assert.equal(chunks.map((chunk) => chunk.choices[0].text).join("").trim(), says);
  });

  test("the list of models has what the caller may use", async () => {
    const names = (await all(await client.models.list())).map((model) => model.id);
    assert.ok(names.includes("chat") && names.includes("fine"));
    assert.ok(!names.includes("forbidden") && !names.includes("down"));
    assert.equal((await client.models.retrieve("fine")).context_window, 128000);
  });
});

describe("errors", () => {
  const chat = (model, extra = {}, caller = client) =>
    caller.chat.completions.create({ model, messages, ...extra });

  test("a wrong key is an authentication error", () =>
    raises(() => chat("chat", {}, make("egret_sdk_nobody")), OpenAI.AuthenticationError, {
      code: "invalid_api_key",
    }));

  test("an unknown model is not found", () =>
    raises(() => chat("no-such-model"), OpenAI.NotFoundError, { code: "model_not_found" }));

  test("a model of others is permission denied", () =>
    raises(() => chat("forbidden"), OpenAI.PermissionDeniedError, { code: "model_not_allowed" }));

  test("a field that policy does not control is a bad request", () =>
    raises(() => chat("chat", { fallbacks: ["forbidden"] }), OpenAI.BadRequestError, {
      code: "field_not_allowed",
      param: "fallbacks",
    }));

  test("over the rate is a rate limit error that says when to come back", async () => {
    const limited = make("egret_sdk_limited");
    await chat("chat", {}, limited);
    await chat("chat", {}, limited);
    const error = await raises(() => chat("chat", {}, limited), OpenAI.RateLimitError);
    const seconds = Number(error.headers.get("retry-after"));
    assert.ok(seconds >= 1 && seconds <= 60);
  });

  test("one call after the other is never over a limit of one at once", async () => {
    const single = make("egret_sdk_single");
    for (let n = 0; n < 10; n += 1) {
      await chat("chat", {}, single);
      await all(await chat("chat", { stream: true }, single));
    }
  });

  test("the provider's refusal of our key is never the caller's", () =>
    raises(() => chat("locked-out"), OpenAI.InternalServerError, {
      status: 502,
      code: "upstream_auth_failed",
    }));

  test("a provider that is silent too long is a gateway timeout", () =>
    raises(() => chat("impatient"), OpenAI.InternalServerError, { status: 504, code: "upstream_timeout" }));

  test("a caller may lose patience", () =>
    raises(
      () => client.chat.completions.create({ model: "slow", messages }, { timeout: 500 }),
      OpenAI.APIConnectionTimeoutError,
    ));
});

describe("failover", () => {
  for (const stream of [false, true]) {
    test(`the second target answers where the first is down, stream: ${stream}`, async () => {
      const call = client.chat.completions.create({ model: "fallback", messages, stream });
      const { data, response } = await call.withResponse();
      assert.equal(response.headers.get("x-egret-attempts"), "2");
      assert.equal(response.headers.get("x-egret-model"), "fine");
      assert.equal(stream ? textOf(await all(data)) : data.choices[0].message.content, says);
    });
  }

  for (const model of ["erring", "breaking"]) {
    test(`a stream that breaks raises after what came: ${model}`, async () => {
      const stream = await client.chat.completions.create({ model, messages, stream: true });
      let came = 0;
      await raises(async () => {
        for await (const _ of stream) came += 1;
      }, OpenAI.APIError);
      assert.ok(came > 0);
    });
  }
});

test("fifty plain and fifty streamed calls at once all answer", async () => {
  const plain = async () =>
    (await client.chat.completions.create({ model: "chat", messages })).choices[0].message.content;
  const streamed = async () =>
    textOf(await all(await client.chat.completions.create({ model: "chat", messages, stream: true })));
  const answers = await Promise.all(Array.from({ length: 50 }, () => [plain(), streamed()]).flat());
  assert.deepEqual(new Set(answers), new Set([says]));
});
