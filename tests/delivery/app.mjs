// An app in a pod: the official SDK, told by its environment alone where to call. Calls until SIGTERM, then makes one
// last streamed call, as an app does that finishes its work. Says each answer as a line of JSON.

import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 0, timeout: 20_000 });
const question = { model: process.env.MODEL, messages: [{ role: "user", content: "Is the tide high?" }] };
const say = (line) => console.log(JSON.stringify(line));
const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));

let ending = false;
process.on("SIGTERM", () => (ending = true));

while (!ending) {
  try {
    const { data, response } = await client.chat.completions.create(question).withResponse();
    say({ text: data.choices[0].message.content, policy: response.headers.get("x-egret-policy") });
  } catch (error) {
    say({ error: error.message });
  }
  await pause(100);
}

const words = [];
for await (const chunk of await client.chat.completions.create({ ...question, stream: true })) {
  words.push(chunk.choices[0]?.delta?.content ?? "");
}
say({ last: words.join("") });
