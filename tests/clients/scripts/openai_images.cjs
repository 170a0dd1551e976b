// The images endpoints with `openai` for Node: whole, by link, streamed, edited; and its classes of errors.
"use strict";
const assert = require("node:assert/strict");
const OpenAI = require("openai");
const { URL, SCENE, OTHER, MASK, QUICK, pngSize, report } = require("./given.cjs");

const client = new OpenAI({ baseURL: `${URL}/v1`, apiKey: "none", maxRetries: 0 });
const PROMPT = { model: "bagel", prompt: "A red circle", size: "128x128" };
const EDIT = { model: "bagel", prompt: "Make it blue", ...QUICK };
const decoded = ({ b64_json: data }) => Buffer.from(data, "base64");
const file = (data, name) => OpenAI.toFile(data, name, { type: "image/png" });

async function generated() {
  const two = await client.images.generate({ ...PROMPT, n: 2, quality: "low", output_format: "webp" });
  assert.equal(new Set(two.data.map(({ b64_json: data }) => data)).size, 2);
  assert.equal(two.usage.total_tokens, two.usage.input_tokens + two.usage.output_tokens);
  const whole = decoded((await client.images.generate({ ...PROMPT, ...QUICK })).data[0]);
  const { url } = (await client.images.generate({ ...PROMPT, ...QUICK, response_format: "url" })).data[0];
  assert.deepEqual(Buffer.from(await (await fetch(url)).arrayBuffer()), whole);
}

async function streamed(call, kind, request) {
  const whole = decoded((await call(request)).data[0]);
  for (const count of [0, 1, 2, 3]) {
    const events = [];
    for await (const event of await call({ ...request, stream: true, partial_images: count })) events.push(event);
    const partial = new Array(count).fill(`${kind}.partial_image`);
    assert.deepEqual(events.map(({ type }) => type), [...partial, `${kind}.completed`]);
    assert.deepEqual(decoded(events.at(-1)), whole);
    assert.ok(events.at(-1).usage.total_tokens > 0);
  }
}

async function edited() {
  const several = [await file(SCENE, "a.png"), await file(OTHER, "b.png")];
  const one = await client.images.edit({ ...EDIT, image: await file(SCENE, "a.png"), mask: await file(MASK, "m.png") });
  assert.ok(pngSize(decoded(one.data[0])));
  const two = await client.images.edit({ ...EDIT, image: several, size: "128x128" });
  assert.equal(two.bagel.work.vit_passes, 2);
}

async function refused() {
  for (const [call, kind, status, param, code] of [
    [() => client.images.generate({ ...PROMPT, size: "100x100" }), "BadRequestError", 400, "size", "invalid_value"],
    [() => client.images.generate({ ...PROMPT, stepz: 1 }), "BadRequestError", 400, "stepz", "unknown_parameter"],
    [() => client.models.retrieve("gpt-4o"), "NotFoundError", 404, "model", "model_not_found"],
    [() => client.embeddings.create({ model: "bagel", input: "Hi" }), "NotFoundError", 404, null, "not_found"],
  ]) {
    const error = await call().then(() => assert.fail(`no ${kind}`), (raised) => raised);
    assert.ok(error instanceof OpenAI[kind], String(error));
    assert.deepEqual([error.status, error.param, error.code], [status, param, code]);
    assert.ok(error.error.message && error.requestID);
  }
  const models = await client.models.list();
  return models.data.map(({ id }) => id);
}

(async () => {
  await generated();
  const steps = { num_inference_steps: 12 };
  await streamed((body) => client.images.generate(body), "image_generation", { ...PROMPT, ...QUICK, ...steps });
  await edited();
  const image = await file(SCENE, "a.png");
  await streamed((body) => client.images.edit(body), "image_edit", { ...EDIT, ...steps, image, size: "96x64" });
  report({ models: await refused() });
})();
