// From what is entered to the request that does it. A plan is the whole answer at once; a stream is the same plan sent.

import { Problem } from "./api.js";
import { ENDPOINTS, TASKS, endpointOf } from "./schema.js";

/**
 * What is asked for: `{task, think, prompt, settings, pictures}`, pictures as `{name, blob}`; `limits` are the model's.
 * The plan is `{path, fields, pictures, messages}`: fields of the body besides messages, which chats alone have.
 * Throws Problem.
 */
export function planOf({ task, think, prompt, settings, pictures }, limits) {
  const { takes, draws } = TASKS[task];
  if (prompt.trim() === "") throw new Problem("Write a prompt first.", { param: "prompt" });
  if (takes && pictures.length === 0) throw new Problem("Choose a picture first.", { param: "image" });
  const path = endpointOf(task, think);
  const { width, height, ...rest } = settings;
  const sides = draws ? sidesOf(width, height, takes, limits) : null;
  const used = takes ? pictures : [];
  if (path !== ENDPOINTS.chat) {
    const size = sides ? { size: `${sides.width}x${sides.height}` } : {};
    return { path, fields: { prompt, ...size, ...rest }, pictures: used, messages: false };
  }
  const fields = { ...(draws ? { modalities: ["image"], image_output: "content" } : {}), ...(think ? { think } : {}) };
  return { path, fields: { ...fields, ...sides, ...rest }, prompt, pictures: used, messages: true };
}

/** The body of a plan's JSON; `write` makes the URL of a picture. Null for a form. */
export function bodyOf(plan, write) {
  if (!plan.messages) return plan.pictures.length > 0 ? null : plan.fields;
  const parts = plan.pictures.map((picture) => ({ type: "image_url", image_url: { url: write(picture) } }));
  const content = parts.length > 0 ? [...parts, { type: "text", text: plan.prompt }] : plan.prompt;
  return { messages: [{ role: "user", content }], ...plan.fields };
}

/** Names and texts of a plan's form, without the pictures. */
export function formFieldsOf({ fields }) {
  return Object.entries(fields).map(([name, value]) => [name, String(value)]);
}

/** The name under which a form sends its pictures. */
export function formNameOf({ pictures }) {
  return pictures.length > 1 ? "image[]" : "image";
}

/** What goes over the wire: the plan as a stream, with as many previews as the server gives. */
export async function streamOf(plan, previews) {
  const extra = plan.messages ? { stream: true } : { stream: true, partial_images: previews };
  const streamed = { ...plan, fields: { ...plan.fields, ...extra } };
  const urls = new Map();
  if (plan.messages) for (const { blob } of plan.pictures) urls.set(blob, await dataUrl(blob));
  const body = bodyOf(streamed, ({ blob }) => urls.get(blob));
  if (body !== null) {
    return { path: plan.path, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  }
  const boundary = `bagel-${Array.from(crypto.getRandomValues(new Uint32Array(4))).join("-")}`;
  const headers = { "content-type": `multipart/form-data; boundary=${boundary}` };
  return { path: plan.path, headers, body: formOf(streamed, boundary) };
}

/** As `FormData` would be sent, which however turns a text's newlines into others: another prompt, another picture. */
function formOf(plan, boundary) {
  const head = (rest) => `--${boundary}\r\ncontent-disposition: form-data; name=${rest}\r\n\r\n`;
  const texts = formFieldsOf(plan).flatMap(([name, value]) => [head(`"${name}"`), value, "\r\n"]);
  const part = (blob) => head(`"${formNameOf(plan)}"; filename="picture"\r\ncontent-type: ${blob.type}`);
  const files = plan.pictures.flatMap(({ blob }) => [part(blob), blob, "\r\n"]);
  return new Blob([...texts, ...files, `--${boundary}--\r\n`]);
}

function sidesOf(width, height, edits, { default_side_px: usual }) {
  if (width === undefined && height === undefined) return null;
  if (edits && (width === undefined || height === undefined)) {
    const param = width === undefined ? "width" : "height";
    throw new Problem("Give both width and height of an edit, or neither.", { param });
  }
  return { width: width ?? usual, height: height ?? usual };
}

function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.addEventListener("error", () => reject(new Problem("the picture cannot be read", { param: "image" })));
    reader.readAsDataURL(blob);
  });
}
