// What was made, newest first, for as long as the tab shows this page. Nothing of it is stored anywhere else.

import { byId, make } from "./elements.js";
import { TASKS } from "./schema.js";

// Pictures lie in memory: the oldest results make room.
const MOST = 60;

export class History {
  #count = 0;

  /** `actions` are `{reuse, edit, ask, copy}`, called with a result's `state`, its picture, or both. */
  constructor(actions) {
    this.actions = actions;
  }

  /** Add a result: `state` is what was asked for, `result` what `Running.run` gave. One entry for each picture. */
  add(state, { pictures, thought, answer, seconds }) {
    this.#count += 1;
    const took = `${seconds.toFixed(1)} s`;
    if (pictures.length === 0) this.#show(state, null, { thought, answer, took });
    for (const [index, blob] of pictures.entries()) {
      // Picture i of several is the only one of seed + i: the state that makes this one again.
      const { n, ...settings } = state.settings;
      const own = { ...state, settings: { ...settings, seed: settings.seed + index } };
      const name = `bagel-${own.settings.seed}-${this.#count}.${blob.type.split("/")[1]}`;
      this.#show(own, { name, blob }, { thought, answer, took });
    }
    byId("empty").hidden = true;
  }

  #show(state, picture, { thought, answer, took }) {
    const { reuse, edit, ask, copy } = this.actions;
    const button = (text, action) => make("button", { type: "button", click: action }, text);
    const url = picture === null ? null : URL.createObjectURL(picture.blob);
    const facts = make("p", { class: "hint" }, `${TASKS[state.task].label} · seed ${state.settings.seed} · ${took}`);
    const item = make(
      "li",
      { "data-seed": state.settings.seed },
      picture === null ? null : pictureOf(url, state.prompt, facts),
      make("h3", {}, state.prompt),
      thought === "" ? null : make("details", {}, make("summary", {}, "Thought"), make("p", { class: "answer" }, thought)),
      answer === "" ? null : make("p", { class: "answer" }, answer),
      facts,
      make(
        "div",
        { class: "actions" },
        picture === null ? null : button("Edit this", () => edit(picture)),
        picture === null ? null : button("Ask about this", () => ask(picture)),
        button("Use these settings", () => reuse(state)),
        picture === null ? null : make("a", { href: url, download: picture.name }, `Save ${picture.name}`),
        button("Copy as curl", () => copy("curl", state)),
        button("Copy as Python", () => copy("Python", state)),
      ),
    );
    byId("history").prepend(item);
    const oldest = byId("history").children[MOST];
    if (oldest) {
      for (const image of oldest.querySelectorAll("img")) URL.revokeObjectURL(image.src);
      oldest.remove();
    }
  }
}

function pictureOf(url, prompt, facts) {
  const image = make("img", { src: url, alt: prompt });
  const told = () => facts.append(` · ${image.naturalWidth} × ${image.naturalHeight}`);
  image.addEventListener("load", told, { once: true });
  return image;
}
