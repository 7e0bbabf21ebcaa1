// The official OpenAI SDK for Node before providers of every dialect.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import OpenAI from "openai";

import { all, providers, question, raises, routes, says, soon, startDialects, stop, tide, tools } from "./dialects.mjs";

const messages = [{ role: "user", content: question }];
const schema = {
  type: "object",
  properties: { high: { type: "boolean" }, place: { type: "string" } },
  required: ["high", "place"],
  additionalProperties: false,
};

let egret;
let client;
const make = (apiKey = "egret_sdk_main", maxRetries = 0, fetch = undefined) =>
  new OpenAI({ apiKey, baseURL: egret.baseURL, maxRetries, timeout: 20_000, fetch });

before(async () => {
  egret = await startDialects();
  client = make();
});

after(() => stop(egret));

for (const provider of providers) {
  describe(`at ${provider}`, () => {
    const model = `on-${provider}`;

    test("chat answers, plain and by the helper for streams, with the same usage", async () => {
      const { data, response } = await client.chat.completions.create({ model, messages }).withResponse();
      assert.equal(data.choices[0].message.content, says);
      assert.equal(data.choices[0].finish_reason, "stop");
      assert.equal(response.headers.get("x-egret-provider"), provider);
      assert.equal(data._request_id, response.headers.get("x-request-id"));

      const stream = client.chat.completions.stream({ model, messages, stream_options: { include_usage: true } });
      const whole = await stream.finalChatCompletion();
      assert.equal(whole.choices[0].message.content, says);
      const { prompt_tokens, completion_tokens, total_tokens } = whole.usage;
      assert.deepEqual(
        [prompt_tokens, completion_tokens, total_tokens],
        [data.usage.prompt_tokens, data.usage.completion_tokens, data.usage.total_tokens],
      );
      assert.equal(total_tokens, prompt_tokens + completion_tokens);
    });

    test("the helper for tools runs the whole loop, plain and streamed", async () => {
      for (const stream of [false, true]) {
        const asked = [];
        const runnable = ["look_up", "measure"].map((name) => ({
          type: "function",
          function: {
            name,
            description: "x",
            parameters: tools[name],
            parse: JSON.parse,
            function: (given) => {
              asked.push([name, ...Object.keys(given).sort()]);
              return { at: name };
            },
          },
        }));
        const runner = client.chat.completions.runTools({
          model,
          messages: [{ role: "user", content: "Use look_up and measure." }],
          tools: runnable,
          stream,
        });
        assert.equal(await runner.finalContent(), says);
        assert.deepEqual(asked, [
          ["look_up", "days", "place"],
          ["measure", "depth"],
        ]);
      }
    });

    test("chat answers by a schema", async () => {
      const response_format = { type: "json_schema", json_schema: { name: "tide", schema, strict: true } };
      const answer = await client.chat.completions.parse({ model: `json-${model}`, messages, response_format });
      assert.deepEqual(answer.choices[0].message.parsed, tide);
    });

    test("responses answer, plain and by the helper for streams", async () => {
      const plain = await client.responses.create({ model, input: question, instructions: "Be brief." });
      assert.equal(plain.output_text, says);
      assert.equal(plain.usage.total_tokens, plain.usage.input_tokens + plain.usage.output_tokens);

      const stream = client.responses.stream({ model, input: question, instructions: "Be brief." });
      const events = await all(stream);
      const whole = await stream.finalResponse();
      assert.equal(events[0].type, "response.created");
      assert.equal(events.at(-1).type, "response.completed");
      const numbers = events.map((event) => event.sequence_number);
      assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
      assert.equal(whole.output_text, says);
      assert.deepEqual(whole.usage.total_tokens, plain.usage.total_tokens);
    });

    test("responses call a tool and read its result", async () => {
      const offered = [{ type: "function", name: "look_up", parameters: tools.look_up, strict: true }];
      const input = [{ role: "user", content: "Use look_up." }];
      const asked = await client.responses.create({ model, input, tools: offered });
      const [call] = asked.output.filter((item) => item.type === "function_call");
      assert.ok("place" in JSON.parse(call.arguments));
      const result = { type: "function_call_output", call_id: call.call_id, output: "low at noon" };
      const answered = await client.responses.create({ model, input: [...input, ...asked.output, result], tools: offered });
      assert.equal(answered.output_text, says);
    });

    test("responses answer by a schema", async () => {
      const text = { format: { type: "json_schema", name: "tide", schema, strict: true } };
      const answer = await client.responses.parse({ model: `json-${model}`, input: question, text });
      assert.deepEqual(answer.output_parsed, tide);
    });

    for (const fault of ["error-event=6", "truncate=6", "reset=6"]) {
      test(`streams that break raise after what came: ${fault}`, async () => {
        const headers = { "x-mock-fault": fault };
        const streams = [
          client.chat.completions.create({ model, messages, stream: true }, { headers }),
          client.responses.create({ model, input: question, stream: true }, { headers }),
        ];
        for (const stream of streams) {
          let came = 0;
          await raises(async () => {
            for await (const _ of await stream) came += 1;
          }, OpenAI.APIError);
          assert.ok(came > 0);
        }
      });
    }

    test("a stream that is left early frees its place", async () => {
      const single = make("egret_sdk_single");
      const slow = { headers: { "x-mock-fault": "slow-stream=2" } };
      for await (const _ of await single.chat.completions.create({ model, messages, stream: true }, slow)) break;
      const answer = await soon(() => single.chat.completions.create({ model, messages }));
      assert.equal(answer.choices[0].message.content, says);
    });

    test("an overloaded provider is not asked again by the SDK", async () => {
      let requests = 0;
      const counted = make("egret_sdk_main", 2, (...request) => {
        requests += 1;
        return fetch(...request);
      });
      const headers = { "x-mock-fault": "error=server_is_overloaded" };
      const error = await raises(
        () => counted.chat.completions.create({ model, messages }, { headers }),
        OpenAI.InternalServerError,
      );
      assert.equal(error.headers.get("x-should-retry"), "false");
      assert.equal(requests, 1);
    });
  });
}

for (const { route, answers } of routes) {
  test(`${answers} answers where the first fails: ${route}`, async () => {
    for (const stream of [false, true, false, true]) {
      const call = client.chat.completions.create({ model: route, messages, stream });
      const { data, response } = await call.withResponse();
      assert.equal(response.headers.get("x-egret-attempts"), "2");
      assert.equal(response.headers.get("x-egret-provider"), answers);
      const text = stream
        ? (await all(data)).map((chunk) => chunk.choices[0]?.delta.content ?? "").join("")
        : data.choices[0].message.content;
      assert.equal(text, says);
    }
  });
}

test("embeddings of Gemini are the same in base64 and as floats", async () => {
  const ask = { model: "on-gemini", input: ["ebb", "flow"] };
  const packed = await client.embeddings.create(ask);
  const floats = await client.embeddings.create({ ...ask, encoding_format: "float" });
  packed.data.forEach((entry, n) => {
    assert.ok(entry.embedding.length > 1);
    entry.embedding.forEach((value, m) => assert.ok(Math.abs(value - floats.data[n].embedding[m]) < 1e-6));
  });
});

test("what cannot be carried over is a bad request that names the field", () =>
  raises(
    () => client.chat.completions.create({ model: "on-anthropic", messages, logprobs: true }),
    OpenAI.BadRequestError,
    { code: "unsupported_parameter", param: "logprobs" },
  ));

test("what is left out is named", async () => {
  const ask = { model: "on-anthropic", messages, verbosity: "low", seed: 7 };
  const { response } = await client.chat.completions.create(ask).withResponse();
  assert.deepEqual(new Set(response.headers.get("x-egret-lost").split(", ")), new Set(["verbosity", "seed"]));
});
