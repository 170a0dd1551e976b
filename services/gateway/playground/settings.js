// Controls of the settings: made from fields (`schema.js`), read and written by name. Knows no task and no server.

import { make } from "./elements.js";

// Where a name alone says too little.
const TITLES = { n: "pictures", num_inference_steps: "steps" };

export class Settings {
  #values = new Map(); // what was entered, also of settings that are not shown now
  #controls = new Map(); // name -> its inputs, one, or two of a pair

  /** Show these fields in these places, `[[place, fields], ...]`; what was entered under a name stays. */
  show(places) {
    this.keep();
    this.#controls.clear();
    for (const [place, fields] of places) place.replaceChildren(...fields.map((field) => this.#control(field)));
  }

  /** The settings that are shown and not empty, typed as the API wants them. */
  read() {
    this.keep();
    const entries = [...this.#controls.keys()].map((name) => [name, this.#values.get(name)]);
    return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
  }

  /** Set these and empty all others. */
  write(values) {
    this.#values = new Map(Object.entries(values));
    for (const [name, { inputs }] of this.#controls) fill(inputs, this.#values.get(name));
  }

  /** The input of a setting, or null when it is not shown. */
  input(name) {
    return this.#controls.get(name)?.inputs[0] ?? null;
  }

  /** Remember what stands in the controls. */
  keep() {
    for (const [name, { field, inputs }] of this.#controls) {
      const value = valueOf(field, inputs);
      if (value === undefined) this.#values.delete(name);
      else this.#values.set(name, value);
    }
  }

  #control(field) {
    const id = `setting-${field.name}`;
    const hint = make("p", { class: "hint", id: `${id}-hint` }, field.hint.replaceAll("`", ""));
    const inputs = inputsOf(field, id);
    for (const input of inputs) input.setAttribute("aria-describedby", hint.id);
    fill(inputs, this.#values.get(field.name));
    this.#controls.set(field.name, { field, inputs });
    if (field.kind === "switch") {
      return make("div", { class: "setting" }, make("label", { class: "switch" }, inputs[0], titleOf(field.name)), hint);
    }
    if (field.kind === "pair") {
      const legend = make("legend", {}, titleOf(field.name));
      return make("fieldset", { class: "setting" }, legend, make("div", { class: "pair" }, ...inputs), hint);
    }
    const wide = field.kind === "text" ? "setting wide" : "setting";
    return make("div", { class: wide }, make("label", { for: id }, titleOf(field.name)), ...inputs, hint);
  }
}

/** `cfg_text_scale` as people read it. */
function titleOf(name) {
  const words = TITLES[name] ?? name.replace(/_s$/, " (s)").replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

function inputsOf(field, id) {
  const { name, kind, least, most, step, usual } = field;
  const number = { type: "number", name, min: least, max: Number.isFinite(most) ? most : null, step };
  switch (kind) {
    case "choice": {
      const empty = usual === undefined ? "default" : `default: ${usual}`;
      const choices = field.choices.map((choice) => make("option", { value: choice }, choice));
      return [make("select", { id, name }, make("option", { value: "" }, empty), ...choices)];
    }
    case "switch":
      return [make("input", { id, name, type: "checkbox" })];
    case "pair":
      return ["from", "to"].map((end, index) =>
        make("input", { ...number, id: `${id}-${end}`, "aria-label": end, placeholder: usual?.[index] }));
    case "text":
      return [make("textarea", { id, name, rows: 2, maxlength: field.longest })];
    default: {
      const placeholder = usual ?? (name === "seed" ? "random" : "default");
      return [make("input", { ...number, id, placeholder, inputmode: kind === "integer" ? "numeric" : "decimal" })];
    }
  }
}

function valueOf({ kind }, inputs) {
  const [input] = inputs;
  if (kind === "switch") return input.checked ? true : undefined;
  if (kind === "choice" || kind === "text") return input.value === "" ? undefined : input.value;
  const numbers = inputs.map((one) => one.valueAsNumber);
  if (numbers.every(Number.isNaN)) return undefined;
  // Half a pair goes to the server as it is, which says what is wrong with it.
  return kind === "pair" ? numbers.filter((one) => !Number.isNaN(one)) : numbers[0];
}

function fill(inputs, value) {
  const values = Array.isArray(value) ? value : [value];
  for (const [index, input] of inputs.entries()) {
    if (input.type === "checkbox") input.checked = values[index] === true;
    else input.value = values[index] ?? "";
  }
}
