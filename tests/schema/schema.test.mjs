// The schemas of `policies/` before a validator that is not the one of the Rust tests, and before the language server that
// editors ask.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';

import Ajv from 'ajv/dist/2020.js';
import { parse, parseAllDocuments } from 'yaml';

import { Server } from './server.mjs';

const policies = new URL('../../policies/', import.meta.url);
const read = (name, from = policies) => readFileSync(new URL(name, from), 'utf8');

const ajv = new Ajv({ strict: true, strictTypes: false, strictRequired: false, allErrors: true });
// Words for editors alone.
for (const word of ['markdownDescription', 'enumDescriptions', 'markdownEnumDescriptions', 'patternErrorMessage']) {
  ajv.addKeyword(word);
}
const schemas = { Policy: 'policy.schema.json', PolicyTest: 'policytest.schema.json' };
const validators = Object.fromEntries(
  Object.entries(schemas).map(([kind, file]) => [kind, ajv.compile(JSON.parse(read(file)))]),
);

// The files that name their schema, but for the reference: it shows what is not built yet.
const modeline = /^# yaml-language-server: \$schema=/;
const examples = readdirSync(policies, { recursive: true })
  .filter((name) => /\.ya?ml$/.test(name) && name !== 'reference.yaml' && modeline.test(read(name)))
  .sort();

const faults = Object.entries(parse(read('faults.yaml', import.meta.url)));

let server;
before(async () => {
  server = await Server.start();
});
after(() => server.stop());

test('there are examples and faults', () => {
  assert.ok(examples.length >= 3 && faults.length >= 25, `${examples.length}, ${faults.length}`);
});

for (const name of examples) {
  test(`${name} is as its schema says`, async () => {
    for (const document of parseAllDocuments(read(name))) {
      const value = document.toJS();
      const validate = validators[value.kind];
      assert.ok(validate(value), JSON.stringify(validate.errors, null, 2));
    }
    assert.deepEqual(await server.open(new URL(name, policies).href, read(name)), []);
  });
}

for (const [name, { at, document }] of faults) {
  test(`${name} is told`, async () => {
    const kind = document.kind in validators ? document.kind : 'Policy';
    assert.ok(!validators[kind](document));
    const places = validators[kind].errors.map((error) => error.instancePath);
    assert.ok(places.every((place) => place.startsWith(at)), `${places} are not at ${at}`);
    const uri = new URL(`${name.replaceAll(' ', '-')}.yaml`, policies).href;
    const text = `# yaml-language-server: $schema=${schemas[kind]}\n${JSON.stringify(document)}\n`;
    assert.notDeepEqual(await server.open(uri, text), []);
  });
}

// `|` is where the editor asks.
const asked = async (text, ask) => {
  const uri = new URL(`asked-${Math.random()}.yaml`, policies).href;
  const whole = `# yaml-language-server: $schema=policy.schema.json\n${text}`;
  const lines = whole.slice(0, whole.indexOf('|')).split('\n');
  await server.open(uri, whole.replace('|', ''));
  return ask(uri, { line: lines.length - 1, character: lines.at(-1).length });
};
const shown = (text) => asked(text, (uri, at) => server.hover(uri, at));
const offered = (text) => asked(text, (uri, at) => server.complete(uri, at));

test('an editor explains the field, not the type that several fields have', async () => {
  const text = await shown('models:\n  m: { provider: p, price: [{ input|PerMTok: "2.00", outputPerMTok: "8.00" }] }\n');
  assert.match(text, /Input: `inputPerMTok: "2\.00"`/);
});

test('an editor explains what each word of a choice means', async () => {
  const text = await shown('providers:\n  openai: { stream|Usage: ask }\n');
  assert.match(text, /How it is brought to report the tokens of a stream/);
  assert.match(text, /\* `never`: It never does, and asking may be refused\./);
});

test('an editor explains a choice that takes something', async () => {
  const text = await shown('plans:\n  p:\n    limits:\n      rpm: { requests: 1, per: 1m, onExceed: { que|ue: { maxWait: 5s } } }\n');
  assert.match(text, /It waits for room/);
});

test('an editor offers fields', async () => {
  const labels = await offered('tenants:\n  app:\n    |\n');
  for (const field of ['local', 'plan', 'access', 'limits']) assert.ok(labels.includes(field), `${field}: ${labels}`);
});

test('an editor offers words', async () => {
  assert.deepEqual(await offered('providers:\n  openai:\n    streamUsage: |\n'), ['ask', 'always', 'never']);
});

test('an editor offers presets', async () => {
  const labels = await offered('providers:\n  mine:\n    preset: |\n');
  assert.ok(labels.includes('anthropic') && labels.includes('vllm'), `${labels}`);
});
