// What happens on a request's way, whichever endpoint tells it: `{kind: "text" | "step" | "preview" | "picture"}`.

import { problemOf } from "./api.js";
import { eventsOf } from "./stream.js";

const STEP = /^(?:picture (\d+): )?step (\d+) of (\d+)/;

/** The happenings of a streamed response in order. Throws Problem; of a stream that ends too early, too. */
export async function* happeningsOf(response) {
  let finished = false;
  for await (const { name, data, comment } of eventsOf(response.body)) {
    if (data === undefined) {
      const step = STEP.exec(comment);
      if (step) yield { kind: "step", picture: Number(step[1] ?? 1) - 1, done: Number(step[2]), total: Number(step[3]) };
    } else if (data === "[DONE]") finished = true;
    else {
      const body = JSON.parse(data);
      if (body.error) throw problemOf(body);
      finished ||= name.endsWith(".completed");
      yield* name === "message" ? ofChunk(body) : ofPicture(name, body);
    }
  }
  if (!finished) throw problemOf({ error: { message: "the connection ended before the answer did" } });
}

/** `{thought, answer}` of a text, also of one that is still being written. */
export function splitThought(text, thoughtAlone) {
  const open = "<think>";
  const close = "</think>";
  const start = text.trimStart();
  if (start.length < open.length && open.startsWith(start)) return { thought: "", answer: "" };
  if (!start.startsWith(open)) return thoughtAlone ? { thought: text, answer: "" } : { thought: "", answer: text };
  const [thought, ...rest] = start.slice(open.length).split(close);
  return { thought: thought.trim(), answer: rest.join(close).trim() };
}

function* ofChunk({ choices }) {
  for (const { delta } of choices) {
    if (delta.content) yield { kind: "text", text: delta.content };
    for (const { image_url: { url } } of delta.images ?? []) {
      const [, type, data] = /^data:(.*?);base64,(.*)$/s.exec(url);
      yield { kind: "picture", picture: 0, blob: blobOf(data, type) };
    }
  }
}

function* ofPicture(name, body) {
  const kind = name.endsWith(".completed") ? "picture" : "preview";
  yield { kind, picture: body.image_index ?? 0, blob: blobOf(body.b64_json, `image/${body.output_format}`) };
}

function blobOf(base64, type) {
  return new Blob([Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))], { type });
}
