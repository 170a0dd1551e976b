// Which settings a task has, with kinds and bounds, from what the server says of itself: nothing here to go stale.
//
// Ours come from `/v1/models/{id}`, those that OpenAI has too from `/openapi.json`.

export const ENDPOINTS = {
  chat: "v1/chat/completions",
  generate: "v1/images/generations",
  edit: "v1/images/edits",
};

/** The four tasks: whether pictures go in, whether one comes out. */
export const TASKS = {
  text2img: { label: "Text to picture", takes: false, draws: true, verb: "Draw" },
  img2img: { label: "Edit a picture", takes: true, draws: true, verb: "Edit" },
  img2text: { label: "Ask about a picture", takes: true, draws: false, verb: "Ask" },
  text2text: { label: "Text to text", takes: false, draws: false, verb: "Ask" },
};

// Has its own place on the page, is another name of a shown one, or says how an answer travels.
const NOT_LISTED = ["think", "height", "width", "guidance_scale", "image_output"];
// Mean the same for a text and for a picture.
const FOR_BOTH = ["max_think_tokens", "timeout_s"];
const OPENAI_OF_PICTURES = ["output_format", "n", "quality", "output_compression"];
const OPENAI_OF_TEXTS = ["max_tokens", "temperature", "top_p"];
const OPENAI_OF_THOUGHTS = ["output_format", "temperature", "top_p"];

/** Where a task goes: a picture with a thought is a chat completion, whose stream shows the thought as it is written. */
export function endpointOf(task, think) {
  const { takes, draws } = TASKS[task];
  if (!draws || think) return ENDPOINTS.chat;
  return takes ? ENDPOINTS.edit : ENDPOINTS.generate;
}

/**
 * The settings of a task as `{main, more}`, lists of fields `{name, kind, least, most, step, choices, hint, usual}`;
 * `usual` is what an empty one stands for, where the server tells that.
 * `described` is the server's model object, `api` its OpenAPI document.
 */
export function settingsOf(task, think, described, api) {
  const { draws, takes } = TASKS[task];
  const endpoint = endpointOf(task, think);
  const own = described.settings[`/${endpoint}`] ?? {};
  const standard = propertiesOf(api, `/${endpoint}`);
  const ofPictures = described.settings[`/${ENDPOINTS.generate}`] ?? {};
  const hidden = (name) =>
    NOT_LISTED.includes(name) ||
    (name === "max_think_tokens" && !think) ||
    (!draws && name in ofPictures && !FOR_BOTH.includes(name));
  const more = Object.keys(own).filter((name) => name !== "seed" && !hidden(name)).map((name) => fieldOf(name, own[name]));
  const names = draws ? (think ? OPENAI_OF_THOUGHTS : OPENAI_OF_PICTURES) : OPENAI_OF_TEXTS;
  more.unshift(...names.filter((name) => name in standard).map((name) => fieldOf(name, standard[name])));
  const seed = fieldOf("seed", standard.seed ?? own.seed ?? { type: "integer", minimum: 0 });
  const main = draws ? [...sides(described.limits, takes), seed] : [seed];
  const usual = described.defaults?.[task] ?? {};
  return { main, more: more.filter(({ kind }) => kind !== null).map((field) => ({ ...field, usual: usual[field.name] })) };
}

/** One property's JSON schema as a field; its kind is null where the page has no control for it. */
export function fieldOf(name, schema) {
  const typed = (schema.anyOf ?? [schema]).find((option) => option.type !== "null") ?? schema;
  const field = { name, hint: schema.description ?? "", ...boundsOf(typed) };
  if (typed.enum) return { ...field, kind: "choice", choices: typed.enum };
  if (typed.type === "boolean") return { ...field, kind: "switch" };
  if (typed.type === "integer" || typed.type === "number") return { ...field, kind: typed.type };
  if (typed.type === "string") return { ...field, kind: "text", longest: typed.maxLength ?? null };
  if (typed.type === "array" && typed.minItems === 2 && typed.maxItems === 2 && typed.items?.type === "number") {
    return { ...field, kind: "pair", ...boundsOf(typed.items) };
  }
  return { ...field, kind: null };
}

function boundsOf({ type, minimum, exclusiveMinimum, maximum }) {
  const least = minimum ?? exclusiveMinimum ?? null;
  // The server's seeds go further than this language counts.
  const most = type === "integer" ? Math.min(maximum ?? Infinity, Number.MAX_SAFE_INTEGER) : (maximum ?? null);
  return { least, most, step: type === "integer" ? 1 : "any" };
}

function sides({ token_pixels: step, max_side_px: most, default_side_px: usual }, edits) {
  const hint = `Pixels, a multiple of ${step}, at most ${most}. Empty: ${edits ? "as the picture" : usual}.`;
  const shown = edits ? undefined : usual;
  return ["width", "height"].map((name) => ({ name, hint, kind: "integer", least: step, most, step, usual: shown }));
}

function propertiesOf(api, path) {
  const content = api?.paths?.[path]?.post?.requestBody?.content ?? {};
  let schema = Object.values(content)[0]?.schema ?? {};
  if (schema.$ref) schema = api.components.schemas[schema.$ref.split("/").pop()] ?? {};
  return schema.properties ?? {};
}
