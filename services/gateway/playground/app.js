// The page: builds its parts and hands them to each other. What each does stands in its own file.

import { Api, Problem } from "./api.js";
import { askForKey, currentKey, followKey, followTheme } from "./appearance.js";
import { asCurl, asPython } from "./copying.js";
import { announce, byId, make } from "./elements.js";
import { History } from "./history.js";
import { Pictures } from "./pictures.js";
import { planOf } from "./plan.js";
import { Running } from "./running.js";
import { ENDPOINTS, TASKS, fieldOf, settingsOf } from "./schema.js";
import { Settings } from "./settings.js";

const RETRY_MS = 2000;
const SEEDS = 2 ** 32;

const api = new Api(new URL(".", document.baseURI), currentKey);
const settings = new Settings();
const running = new Running(api);
const pictures = new Pictures({ added: pictureCame, refused: (text) => showProblem(new Problem(text)) });
const history = new History({ reuse, edit: (one) => goOn("img2img", one), ask: (one) => goOn("img2text", one), copy });
let server = null; // {described, api, previews} once it has answered
let nextTry = 0; // the timer of the next question whether it is there

followTheme();
followKey(() => connect());
listTasks();
byId("form").addEventListener("submit", (event) => { event.preventDefault(); start(); });
byId("cancel").addEventListener("click", () => running.cancel());
byId("think").addEventListener("change", showSettings);
byId("reset").addEventListener("click", () => { settings.write({}); announce("All settings are empty"); });
byId("curl").addEventListener("click", () => copy("curl", entered()));
byId("python").addEventListener("click", () => copy("Python", entered()));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && running.busy && !byId("copy").open) running.cancel();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target === byId("prompt")) start();
});
connect();

/** Ask the server what it is; again until it answers. */
async function connect() {
  clearTimeout(nextTry);
  try {
    const [{ id }] = (await api.json("v1/models")).data;
    const [described, whole] = await Promise.all([api.json(`v1/models/${id}`), api.json("openapi.json")]);
    const images = whole.paths[`/${ENDPOINTS.generate}`].post.requestBody.content["application/json"].schema;
    const { properties } = whole.components.schemas[images.$ref.split("/").pop()];
    server = { described, api: whole, previews: fieldOf("partial_images", properties.partial_images).most };
    byId("server").textContent = `${described.id} is ready`;
    byId("run").disabled = false;
    byId("problem").replaceChildren();
    showSettings();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    byId("server").textContent = error.status === 401 ? "A key is needed" : `Waiting: ${error.message}`;
    if (error.status === 401) askForKey();
    else nextTry = setTimeout(connect, RETRY_MS);
  }
}

function listTasks() {
  for (const [task, { label }] of Object.entries(TASKS)) {
    const radio = make("input", { type: "radio", name: "task", value: task, change: showSettings });
    byId("tasks").append(make("label", {}, radio, label));
  }
  choose("text2img");
}

function chosen() {
  return document.querySelector('input[name="task"]:checked').value;
}

function choose(task) {
  document.querySelector(`input[name="task"][value="${task}"]`).checked = true;
  showSettings();
}

function showSettings() {
  const task = chosen();
  byId("inputs").hidden = !TASKS[task].takes;
  byId("run").textContent = TASKS[task].verb;
  if (server === null) return;
  const { main, more } = settingsOf(task, byId("think").checked, server.described, server.api);
  settings.show([[byId("main-settings"), main], [byId("settings"), more]]);
}

/** What stands in the form. */
function entered() {
  const state = { task: chosen(), think: byId("think").checked, prompt: byId("prompt").value, settings: settings.read() };
  return { ...state, pictures: TASKS[state.task].takes ? pictures.list : [] };
}

async function start() {
  if (running.busy || server === null || !valid()) return;
  clearProblem();
  const state = entered();
  // Chosen here, so that the history can tell it: a stream does not.
  state.settings.seed ??= crypto.getRandomValues(new Uint32Array(1))[0] % SEEDS;
  try {
    const plan = planOf(state, server.described.limits);
    toggleRunning(true);
    const result = await running.run(plan, server.previews);
    if (result === null) announce("Cancelled");
    else {
      history.add(state, result);
      announce(result.answer === "" ? "Done" : `Done: ${result.answer}`);
    }
  } catch (error) {
    showProblem(error);
  } finally {
    toggleRunning(false);
  }
}

/** Run and Cancel take each other's place, and the focus with it. */
function toggleRunning(on) {
  const [shown, gone] = on ? [byId("cancel"), byId("run")] : [byId("run"), byId("cancel")];
  const focused = document.activeElement === gone;
  shown.hidden = false;
  gone.hidden = true;
  if (focused) shown.focus();
}

function valid() {
  const wrong = byId("form").querySelector("#prompt:invalid, .settings :invalid");
  if (wrong === null) return true;
  for (let outer = wrong.closest("details"); outer; outer = outer.parentElement.closest("details")) outer.open = true;
  wrong.reportValidity();
  return false;
}

function showProblem(error) {
  if (!(error instanceof Problem)) throw error;
  const where = error.param === null ? "" : `${error.param}: `;
  const told = where && !error.message.startsWith(error.param) ? `${where}${error.message}` : error.message;
  const again = error.retryAfterS === null ? "" : ` Try again in ${error.retryAfterS} s.`;
  byId("problem").replaceChildren(make("p", {}, told + again));
  if (error.status === 401) return askForKey();
  const field = fieldAtFault(error.param);
  if (field === null) return undefined;
  field.setAttribute("aria-invalid", "true");
  for (let outer = field.closest("details"); outer; outer = outer.parentElement.closest("details")) outer.open = true;
  return field.focus();
}

function clearProblem() {
  byId("problem").replaceChildren();
  for (const field of document.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
}

function fieldAtFault(param) {
  if (param === null) return null;
  if (/image/.test(param) && settings.input(param) === null) return byId("inputs").hidden ? null : byId("files");
  if (param === "prompt" || param.startsWith("messages")) return byId("prompt");
  return settings.input(param === "size" ? "width" : param);
}

/** A picture where none is taken: the task that takes one. */
function pictureCame() {
  const task = chosen();
  if (!TASKS[task].takes) choose(TASKS[task].draws ? "img2img" : "img2text");
}

function reuse(state) {
  byId("think").checked = state.think;
  byId("prompt").value = state.prompt;
  if (TASKS[state.task].takes) pictures.replace(state.pictures);
  choose(state.task);
  settings.write(state.settings);
  announce("Settings taken over");
  byId("prompt").focus();
}

function goOn(task, picture) {
  pictures.replace([picture]);
  // Of what was, only the settings that hold for any picture stay: an edit is as large as its input.
  const { width, height, seed, ...rest } = settings.read();
  settings.write(rest);
  choose(task);
  byId("prompt").focus();
  byId("prompt").select();
}

async function copy(language, state) {
  clearProblem();
  try {
    const plan = planOf(state, server?.described.limits ?? {});
    const text = (language === "curl" ? asCurl : asPython)(plan, api.base, currentKey() !== "");
    const files = plan.pictures.map(({ name }) => name).join(", ");
    if (await copied(text)) announce(`Copied as ${language}${files ? `; it reads ${files} where it runs` : ""}`);
  } catch (error) {
    showProblem(error);
  }
}

/** Browsers give the clipboard to secure pages alone; elsewhere the text is shown. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    byId("copy-text").value = text;
    byId("copy").showModal();
    byId("copy-text").select();
    return false;
  }
}
