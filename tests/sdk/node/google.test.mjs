// The official Google SDK for Node before providers of every dialect.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { ApiError, GoogleGenAI } from "@google/genai";

import { all, providers, question, raises, routes, says, soon, startDialects, stop, tide, tools } from "./dialects.mjs";

const contents = [{ role: "user", parts: [{ text: question }] }];
const asTools = (names) => [
  {
    functionDeclarations: names.map((name) => ({ name, description: "x", parametersJsonSchema: tools[name] })),
  },
];
const textOf = (pieces) => pieces.map((piece) => piece.text ?? "").join("");

let egret;
const make = (apiKey = "egret_sdk_main", httpOptions = {}) =>
  new GoogleGenAI({
    apiKey,
    httpOptions: { baseUrl: egret.baseURL.replace(/\/v1$/, ""), timeout: 20_000, ...httpOptions },
  });

before(async () => {
  egret = await startDialects();
});

after(() => stop(egret));

for (const provider of providers) {
  describe(`at ${provider}`, () => {
    const model = `on-${provider}`;

    test("an answer comes plain and streamed, with the same usage", async () => {
      const ask = { model, contents, config: { systemInstruction: "Be brief." } };
      const plain = await make().models.generateContent(ask);
      assert.equal(plain.text, says);
      assert.equal(plain.candidates[0].finishReason, "STOP");
      const { promptTokenCount, candidatesTokenCount, totalTokenCount } = plain.usageMetadata;
      assert.equal(totalTokenCount, promptTokenCount + candidatesTokenCount);
      assert.equal(candidatesTokenCount, says.split(" ").length);

      const pieces = await all(await make().models.generateContentStream(ask));
      assert.equal(textOf(pieces), says);
      assert.ok(pieces.length > 3);
      assert.equal(pieces.at(-1).usageMetadata.totalTokenCount, totalTokenCount);
      assert.equal(pieces.at(-1).candidates[0].finishReason, "STOP");
    });

    test("functions are called, plain and streamed, and their results read", async () => {
      for (const streams of [false, true]) {
        const turns = [{ role: "user", parts: [{ text: "Use look_up and measure." }] }];
        const say = async () => {
          const ask = { model, contents: turns, config: { tools: asTools(["look_up", "measure"]) } };
          const pieces = streams
            ? await all(await make().models.generateContentStream(ask))
            : [await make().models.generateContent(ask)];
          return pieces.flatMap((piece) => piece.candidates?.[0]?.content?.parts ?? []);
        };
        const parts = await say();
        const calls = parts.flatMap((part) => part.functionCall ?? []);
        assert.deepEqual(
          calls.map(({ name, args }) => [name, ...Object.keys(args).sort()]),
          [
            ["look_up", "days", "place"],
            ["measure", "depth"],
          ],
        );
        const results = calls.map(({ id, name }) => ({ functionResponse: { id, name, response: { output: "low" } } }));
        turns.push({ role: "model", parts }, { role: "user", parts: results });
        assert.equal(textOf(await say()), says);
      }
    });

    test("a chat keeps its turns", async () => {
      const chat = make().chats.create({ model });
      assert.equal((await chat.sendMessage({ message: question })).text, says);
      assert.equal(textOf(await all(await chat.sendMessageStream({ message: "And then?" }))), says);
      const third = await chat.sendMessage({ message: "And then?" });
      assert.equal(third.text, says);
      assert.equal(chat.getHistory().filter((turn) => turn.role === "user").length, 3);
    });

    test("an answer has the form of a schema", async () => {
      const responseJsonSchema = {
        type: "object",
        properties: { high: { type: "boolean" }, place: { type: "string" } },
        required: ["high", "place"],
        additionalProperties: false,
      };
      const config = { responseMimeType: "application/json", responseJsonSchema };
      const answer = await make().models.generateContent({ model: `json-${model}`, contents, config });
      assert.deepEqual(JSON.parse(answer.text), tide);
    });

    test("tokens are counted", async () => {
      assert.ok((await make().models.countTokens({ model, contents })).totalTokens > 3);
    });

    for (const fault of ["error-event=6", "truncate=6", "reset=6"]) {
      test(`a stream that breaks raises after what came: ${fault}`, async () => {
        const config = { httpOptions: { headers: { "x-mock-fault": fault } } };
        let came = 0;
        await raises(async () => {
          const stream = await make().models.generateContentStream({ model, contents, config });
          for await (const _ of stream) came += 1;
        }, Error);
        assert.ok(came > 0);
      });
    }

    test("a stream that is left early frees its place", async () => {
      const leaving = new AbortController();
      const config = {
        abortSignal: leaving.signal,
        httpOptions: { headers: { "x-mock-fault": "slow-stream=2" } },
      };
      const single = make("egret_sdk_single");
      const stream = await single.models.generateContentStream({ model, contents, config });
      await stream.next();
      leaving.abort();
      assert.equal((await soon(() => single.models.generateContent({ model, contents }))).text, says);
    });
  });
}

for (const { route } of routes) {
  test(`the second target answers where the first fails: ${route}`, async () => {
    for (const streams of [false, true, false, true]) {
      const ask = { model: route, contents };
      const pieces = streams
        ? await all(await make().models.generateContentStream(ask))
        : [await make().models.generateContent(ask)];
      assert.equal(textOf(pieces), says);
    }
  });
}

describe("errors", () => {
  const overloaded = "error=server_is_overloaded";
  const say =
    (model, key, fault = "none") =>
    () =>
      make(key).models.generateContent({
        model,
        contents,
        config: { httpOptions: { headers: { "x-mock-fault": fault } } },
      });

  for (const [what, call, status, word] of [
    ["a wrong key", say("on-openai", "egret_sdk_nobody"), 401, "UNAUTHENTICATED"],
    ["a model of others", say("forbidden"), 403, "PERMISSION_DENIED"],
    ["an unknown model", say("no-such"), 404, "NOT_FOUND"],
    ["an overloaded provider of OpenAI's dialect", say("on-openai", undefined, overloaded), 503, "UNAVAILABLE"],
    ["an overloaded provider of Anthropic's", say("on-anthropic", undefined, overloaded), 503, "UNAVAILABLE"],
  ]) {
    test(`${what} is an error with Google's own word`, async () => {
      const error = await raises(call, ApiError, { status });
      assert.ok(error.message.includes(word), error.message);
    });
  }

  test("over the rate is an error that says when to come back", async () => {
    await say("rate-generate", "egret_sdk_limited")();
    const error = await raises(say("rate-generate", "egret_sdk_limited"), ApiError, { status: 429 });
    assert.match(error.message, /RESOURCE_EXHAUSTED/);
    assert.match(error.message, /RetryInfo/);
  });
});

test("embeddings of a provider of OpenAI's dialect have one vector for each text", async () => {
  const answer = await make().models.embedContent({ model: "on-openai", contents: ["ebb", "flow"] });
  assert.equal(answer.embeddings.length, 2);
  assert.ok(answer.embeddings.every((one) => one.values.length > 1));
});

test("both versions of the API list the models that the caller may use", async () => {
  for (const apiVersion of ["v1", "v1beta"]) {
    const names = (await all(await make(undefined, { apiVersion }).models.list())).map((model) => model.name);
    assert.ok(names.includes("models/on-openai") && names.includes("models/gemini-then-openai"));
    assert.ok(!names.includes("models/forbidden"));
  }
});
