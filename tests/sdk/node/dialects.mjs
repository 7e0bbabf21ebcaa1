// What the suites of all dialects share: a running egret before scripted providers of each, and what they ask it.

import assert from "node:assert/strict";

import { start } from "./egret.mjs";

export const says = "The tide comes in and the tide goes out.";
// Stands in prompts; must stand in no log.
export const canary = "canary-8f1b2c";
export const question = `What does the tide do? ${canary}`;
export const providers = ["openai", "anthropic", "gemini"];
export const routes = providers.flatMap((one) =>
  providers.filter((other) => other !== one).map((other) => ({ route: `${one}-then-${other}`, answers: other })),
);
export const tide = { high: true, place: "Husum" };
// The tools by name, each with what it is told.
export const tools = {
  look_up: {
    type: "object",
    properties: { place: { type: "string" }, days: { type: "integer" } },
    required: ["place", "days"],
    additionalProperties: false,
  },
  measure: {
    type: "object",
    properties: { depth: { type: "number" } },
    required: ["depth"],
    additionalProperties: false,
  },
};

export const startDialects = () => start("dialects.yaml");

export async function stop(egret) {
  if (!egret) return;
  assert.equal(await egret.stop(), 0, egret.written());
  assert.ok(!egret.written().includes(canary), "a prompt is in a log");
  assert.ok(!egret.written().includes("egret_sdk_"), "a caller's key is in a log");
}

export async function all(stream) {
  const came = [];
  for await (const item of stream) came.push(item);
  return came;
}

// The error that comes of it, of this very class.
export async function raises(call, kind, expected = {}) {
  const error = await call().then(
    () => assert.fail("nothing was raised"),
    (error) => error,
  );
  assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
  for (const [name, value] of Object.entries(expected)) assert.equal(error[name], value, name);
  return error;
}

// Tries until a place is free again.
export async function soon(call) {
  for (const until = Date.now() + 2000; ; ) {
    try {
      return await call();
    } catch (error) {
      if (error.status !== 429 || Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
