// What the official OpenAI SDK for Node makes of failover, with the SDK's own retries on, as apps have them.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import OpenAI from "openai";

import { start } from "./egret.mjs";

const says = "The tide comes in and the tide goes out.";
const fixed = "Please try again shortly.";
const canary = "canary-8f1b2c";
const messages = [{ role: "user", content: `What does the tide do? ${canary}` }];

let egret;
let client;
// How many the SDK sent.
let requests;

before(async () => {
  egret = await start("failover.yaml");
});

beforeEach(() => {
  requests = 0;
  const counted = (...request) => {
    requests += 1;
    return fetch(...request);
  };
  client = new OpenAI({ apiKey: "egret-local", baseURL: egret.baseURL, timeout: 20_000, fetch: counted });
});

after(async () => {
  if (!egret) return;
  assert.equal(await egret.stop(), 0, egret.written());
  assert.ok(!egret.written().includes(canary), "a prompt is in a log");
});

const chat = (model, stream = false) => client.chat.completions.create({ model, messages, stream });

// The text, plain or streamed, and the headers.
const answered = async (model, stream) => {
  const { data, response } = await chat(model, stream).withResponse();
  if (!stream) return [data.choices[0].message.content, response.headers];
  let text = "";
  for await (const chunk of data) text += chunk.choices[0]?.delta.content ?? "";
  return [text, response.headers];
};

const raised = async (call) => {
  const error = await call().then(
    () => assert.fail("nothing was raised"),
    (error) => error,
  );
  assert.ok(error instanceof OpenAI.APIError, `${error.constructor.name}: ${error.message}`);
  return error;
};

for (const stream of [false, true]) {
  const how = stream ? "streamed" : "plain";

  test(`after an error inside a good answer the next target answers, ${how}`, async () => {
    const [text, headers] = await answered("goes-on", stream);
    assert.equal(text, says);
    assert.equal(headers.get("x-egret-attempts"), "2");
    assert.equal(requests, 1);
  });

  test(`an answer of the policy's own is an answer, ${how}`, async () => {
    const [text, headers] = await answered("polite", stream);
    assert.equal(text, fixed);
    assert.equal(headers.get("x-egret-exhausted"), "no_provider_available");
    assert.equal(requests, 1);
  });

  for (const [model, kind, status, code] of [
    ["refused", OpenAI.BadRequestError, 400, "unsupported_value"],
    ["all-down", OpenAI.InternalServerError, 503, "no_provider_available"],
    ["too-late", OpenAI.InternalServerError, 504, "upstream_timeout"],
  ]) {
    test(`${status} ${code} is raised once, ${how}`, async () => {
      const error = await raised(() => chat(model, stream));
      assert.ok(error instanceof kind, error.constructor.name);
      assert.deepEqual([error.status, error.code, requests], [status, code, 1]);
    });
  }
}

test("a rate limit that egret has retried is not retried by the SDK", async () => {
  const error = await raised(() => chat("busy-retried"));
  assert.ok(error instanceof OpenAI.RateLimitError, error.constructor.name);
  assert.equal(error.headers.get("x-egret-attempts"), "2");
  assert.equal(requests, 1);
});

test("keys that are refused are never an authentication error", async () => {
  const error = await raised(() => chat("locked-out"));
  assert.ok(error instanceof OpenAI.InternalServerError, error.constructor.name);
  assert.deepEqual([error.status, error.code, requests], [502, "upstream_auth_failed", 1]);
});

for (const model of ["errs", "breaks"]) {
  test(`a stream that ${model} after its first token raises and is not begun again`, async () => {
    const ids = new Set();
    const error = await raised(async () => {
      for await (const chunk of await chat(model, true)) ids.add(chunk.id);
    });
    assert.equal(error.status, undefined);
    assert.deepEqual([ids.size, requests], [1, 1]);
  });
}

test("a stream that is kept alive says nothing but its answer", async () => {
  const [text] = await answered("patient", true);
  assert.equal(text, says);
});

test("a stream that is kept alive in vain raises", async () => {
  const error = await raised(async () => {
    for await (const chunk of await chat("patient-fails", true)) assert.fail(JSON.stringify(chunk));
  });
  assert.deepEqual([error.code, requests], ["upstream_timeout", 1]);
});
