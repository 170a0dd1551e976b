// Chat completions with `openai` for Node: texts, pictures in and out, a conversation, streams.
"use strict";
const assert = require("node:assert/strict");
const OpenAI = require("openai");
const { URL, SCENE, QUICK, part, pictureOf, pngSize, report } = require("./given.cjs");

const client = new OpenAI({ baseURL: `${URL}/v1`, apiKey: "none", maxRetries: 0 });
const ASKED = [{ role: "user", content: "What is the capital of France?" }];
const DRAW = { model: "bagel", modalities: ["image"], messages: [{ role: "user", content: "A red circle" }] };
const SMALL = { ...QUICK, height: 128, width: 128 };

async function texts() {
  const whole = await client.chat.completions.create({ model: "bagel", messages: ASKED, max_completion_tokens: 40 });
  const { message, finish_reason: reason } = whole.choices[0];
  assert.ok(message.content && ["stop", "length"].includes(reason));
  assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);
  const request = { model: "bagel", messages: ASKED, max_tokens: 40, stream_options: { include_usage: true } };
  const chunks = [];
  for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) chunks.push(chunk);
  assert.equal(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join(""), message.content);
  assert.deepEqual(chunks.at(-1).usage, whole.usage);
  // The client's own accumulator.
  assert.equal(await client.chat.completions.stream({ ...request, stream: true }).finalContent(), message.content);
  return message.content;
}

async function pictures() {
  const content = [part(SCENE), { type: "text", text: "Describe this image" }];
  const seen = await client.chat.completions.create({ model: "bagel", messages: [{ role: "user", content }] });
  assert.ok(seen.choices[0].message.content);
  assert.equal(seen.bagel.work.vit_passes, 1);
  const { message } = (await client.chat.completions.create({ ...DRAW, ...SMALL })).choices[0];
  const drawn = pictureOf(message.content[0]);
  assert.deepEqual(pngSize(drawn), [128, 128]);
  const images = [];
  for await (const { choices } of await client.chat.completions.create({ ...DRAW, ...SMALL, stream: true })) {
    images.push(...(choices[0].delta.images ?? []));
  }
  assert.deepEqual(images.map(pictureOf), [drawn]);
  const messages = [...DRAW.messages, message, { role: "user", content: "Now make it blue" }];
  const edit = await client.chat.completions.create({ ...DRAW, ...QUICK, messages });
  assert.equal(edit.bagel.task, "img2img");
  assert.notDeepEqual(pictureOf(edit.choices[0].message.content[0]), drawn);
}

(async () => {
  const text = await texts();
  await pictures();
  report({ text });
})();
