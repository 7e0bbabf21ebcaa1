// The official Anthropic SDK for Node before providers of every dialect.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";

import { all, providers, question, raises, routes, says, soon, startDialects, stop, tide, tools } from "./dialects.mjs";

const messages = [{ role: "user", content: question }];
const max_tokens = 512;
const asTools = (names) => names.map((name) => ({ name, description: "x", input_schema: tools[name] }));
const textOf = (message) => message.content.map((block) => block.text ?? "").join("");

let egret;
const make = (apiKey = "egret_sdk_main", options = {}) =>
  new Anthropic({ apiKey, baseURL: egret.baseURL.replace(/\/v1$/, ""), maxRetries: 0, timeout: 20_000, ...options });

before(async () => {
  egret = await startDialects();
});

after(() => stop(egret));

for (const version of ["2026-10-21", "2023-06-01"]) {
  for (const provider of providers) {
    describe(`version ${version} at ${provider}`, () => {
      const model = `on-${provider}`;
      let client;
      before(() => {
        // The newer one is the SDK's own.
        const older = version === "2023-06-01" && { defaultHeaders: { "anthropic-version": version } };
        client = make("egret_sdk_main", older || {});
      });

      test("a message comes plain and by the helper for streams, with the same usage", async () => {
        const ask = { model, max_tokens, messages, system: "Be brief." };
        const { data, response, request_id } = await client.messages.create(ask).withResponse();
        assert.equal(textOf(data), says);
        assert.equal(data.stop_reason, "end_turn");
        assert.equal(response.headers.get("x-egret-provider"), provider);
        assert.equal(request_id, response.headers.get("request-id"));
        assert.ok(request_id);

        const stream = client.messages.stream(ask);
        let pieces = 0;
        stream.on("text", () => (pieces += 1));
        const whole = await stream.finalMessage();
        assert.equal(textOf(whole), says);
        assert.ok(pieces > 3);
        assert.deepEqual(
          [whole.usage.input_tokens, whole.usage.output_tokens],
          [data.usage.input_tokens, data.usage.output_tokens],
        );
        assert.ok(data.usage.input_tokens > 0 && data.usage.output_tokens === says.split(" ").length);
      });

      test("tools are called, plain and streamed, and their results read", async () => {
        for (const streams of [false, true]) {
          const turns = [{ role: "user", content: "Use look_up and measure." }];
          const say = () => {
            const ask = { model, max_tokens, messages: turns, tools: asTools(["look_up", "measure"]) };
            return streams ? client.messages.stream(ask).finalMessage() : client.messages.create(ask);
          };
          const asked = await say();
          assert.equal(asked.stop_reason, "tool_use");
          const calls = asked.content.filter((block) => block.type === "tool_use");
          assert.deepEqual(
            calls.map(({ name, input }) => [name, ...Object.keys(input).sort()]),
            [
              ["look_up", "days", "place"],
              ["measure", "depth"],
            ],
          );
          const results = calls.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "low" }));
          turns.push({ role: "assistant", content: asked.content }, { role: "user", content: results });
          assert.equal(textOf(await say()), says);
        }
      });

      test("a message has the form of a schema", async () => {
        const schema = {
          type: "object",
          properties: { high: { type: "boolean" }, place: { type: "string" } },
          required: ["high", "place"],
          additionalProperties: false,
        };
        const output_config = { format: { type: "json_schema", schema } };
        const message = await client.messages.create({ model: `json-${model}`, max_tokens, messages, output_config });
        assert.deepEqual(JSON.parse(textOf(message)), tide);
      });

      for (const fault of ["error-event=6", "truncate=6", "reset=6"]) {
        test(`a stream that breaks raises after what came: ${fault}`, async () => {
          let came = 0;
          await raises(async () => {
            const headers = { "x-mock-fault": fault };
            const stream = await client.messages.create({ model, max_tokens, messages, stream: true }, { headers });
            for await (const _ of stream) came += 1;
          }, Anthropic.APIError);
          assert.ok(came > 0);
        });
      }

      test("a stream that is left early frees its place", async () => {
        const single = make("egret_sdk_single");
        const headers = { "x-mock-fault": "slow-stream=2" };
        const stream = await single.messages.create({ model, max_tokens, messages, stream: true }, { headers });
        for await (const _ of stream) break;
        assert.equal(textOf(await soon(() => single.messages.create({ model, max_tokens, messages }))), says);
      });

      test("an overloaded provider is not asked again by the SDK", async () => {
        let requests = 0;
        const counted = make("egret_sdk_main", {
          maxRetries: 2,
          fetch: (...request) => {
            requests += 1;
            return fetch(...request);
          },
        });
        const headers = { "x-mock-fault": "error=server_is_overloaded" };
        const error = await raises(
          () => counted.messages.create({ model, max_tokens, messages }, { headers }),
          Anthropic.InternalServerError,
        );
        assert.equal(error.headers.get("x-should-retry"), "false");
        assert.equal(requests, 1);
      });

      test("tokens are counted", async () => {
        const { input_tokens } = await client.messages.countTokens({ model, messages });
        assert.ok(input_tokens > 3);
      });
    });
  }
}

for (const { route, answers } of routes) {
  test(`${answers} answers where the first fails: ${route}`, async () => {
    for (const streams of [false, true, false, true]) {
      const ask = { model: route, max_tokens, messages };
      if (streams) {
        assert.equal(await make().messages.stream(ask).finalText(), says);
        continue;
      }
      const { data, response } = await make().messages.create(ask).withResponse();
      assert.equal(textOf(data), says);
      assert.equal(response.headers.get("x-egret-attempts"), "2");
      assert.equal(response.headers.get("x-egret-provider"), answers);
    }
  });
}

describe("errors", () => {
  const say = (model, key) => () => make(key).messages.create({ model, max_tokens, messages });

  test("a wrong key is an authentication error", async () => {
    const error = await raises(say("on-openai", "egret_sdk_nobody"), Anthropic.AuthenticationError, { status: 401 });
    assert.ok(error.requestID);
    assert.equal(error.type, "authentication_error");
  });

  test("a model of others is permission denied", () =>
    raises(say("forbidden"), Anthropic.PermissionDeniedError, { status: 403, type: "permission_error" }));

  test("an unknown model is not found", () =>
    raises(say("no-such"), Anthropic.NotFoundError, { status: 404, type: "not_found_error" }));

  test("over the rate is a rate limit error that says when to come back", async () => {
    await say("rate-messages", "egret_sdk_limited")();
    const error = await raises(say("rate-messages", "egret_sdk_limited"), Anthropic.RateLimitError);
    assert.ok(Number(error.headers.get("retry-after")) >= 1);
  });

  test("a spent budget is one that no SDK tries again", async () => {
    await say("rate-messages", "egret_sdk_broke")();
    const error = await raises(say("rate-messages", "egret_sdk_broke"), Anthropic.RateLimitError);
    assert.equal(error.headers.get("x-should-retry"), "false");
    assert.equal(error.error.error.details.error_code, "enforced_spend_limit_reached");
  });

  test("a caller may lose patience", () =>
    raises(
      () =>
        make().messages.create(
          { model: "on-gemini", max_tokens, messages },
          { timeout: 300, headers: { "x-mock-fault": "slow-head=5s" } },
        ),
      Anthropic.APIConnectionTimeoutError,
    ));
});

test("the list of models has what the caller may use", async () => {
  const names = (await all(make().models.list())).map((model) => model.id);
  assert.ok(names.includes("on-openai") && names.includes("gemini-then-openai"));
  assert.ok(!names.includes("forbidden"));
  assert.equal((await make().models.retrieve("on-gemini")).type, "model");
});
