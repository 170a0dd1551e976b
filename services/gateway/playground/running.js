// The request on its way: sent, shown, stopped. One at a time; owns the section of the page that shows it.

import { Problem } from "./api.js";
import { announce, byId, make } from "./elements.js";
import { happeningsOf, splitThought } from "./happenings.js";
import { streamOf } from "./plan.js";

export class Running {
  #current = null; // {id, stop, cancelled}

  constructor(api) {
    this.api = api;
  }

  get busy() {
    return this.#current !== null;
  }

  /**
   * Do a plan. `{pictures, thought, answer, seconds}` with pictures as blobs by index, or null when it was cancelled.
   * Throws Problem.
   */
  async run(plan, previews) {
    const current = { id: `page-${randomId()}`, stop: new AbortController(), cancelled: false };
    this.#current = current;
    const view = new View(plan);
    const started = performance.now();
    try {
      const response = await this.api.send(await streamOf(plan, previews), current.id, current.stop.signal);
      for await (const what of happeningsOf(response)) view.take(what);
      return { ...view.result(), seconds: (performance.now() - started) / 1000 };
    } catch (error) {
      if (current.cancelled) return null;
      // A connection that breaks in the middle of a body.
      throw error instanceof Problem ? error : new Problem(`the answer did not arrive whole: ${error.message}`);
    } finally {
      view.close();
      this.#current = null;
    }
  }

  /** Stop what runs: by its id, which works whoever holds the connection, and by leaving, which works before it has one. */
  async cancel() {
    const current = this.#current;
    if (current === null || current.cancelled) return;
    current.cancelled = true;
    announce("Cancelling");
    try {
      await this.api.cancel(current.id);
    } finally {
      current.stop.abort();
    }
  }
}

class View {
  #text = "";
  #pictures = [];
  #previews = new Map(); // index of a picture -> its <img>
  #quarter = 0;

  constructor({ fields }) {
    this.thoughtAlone = fields.modalities !== undefined;
    this.count = fields.n ?? 1;
    byId("thought").hidden = true;
    byId("text").textContent = "";
    byId("steps").textContent = "Waiting";
    byId("progress").removeAttribute("value");
    byId("current").hidden = false;
    byId("current").scrollIntoView({ block: "nearest" }); // on a phone it is below the form
    announce("Started");
  }

  take(what) {
    switch (what.kind) {
      case "text":
        this.#text += what.text;
        this.#write();
        break;
      case "step":
        this.#step(what);
        break;
      case "picture":
        this.#pictures[what.picture] = what.blob;
        this.#look(what);
        break;
      case "preview":
        this.#look(what);
    }
  }

  result() {
    return { pictures: this.#pictures, ...splitThought(this.#text, this.thoughtAlone) };
  }

  close() {
    for (const image of this.#previews.values()) URL.revokeObjectURL(image.src);
    byId("previews").replaceChildren();
    byId("current").hidden = true;
  }

  #write() {
    const { thought, answer } = splitThought(this.#text, this.thoughtAlone);
    byId("thought").hidden = thought === "";
    byId("thought").querySelector("p").textContent = thought;
    byId("text").textContent = answer;
    byId("steps").textContent = answer === "" ? "Thinking" : "Writing";
  }

  #step({ picture, done, total }) {
    Object.assign(byId("progress"), { max: total * this.count, value: picture * total + done });
    const of = this.count > 1 ? `Picture ${picture + 1} of ${this.count}, step` : "Step";
    byId("steps").textContent = `${of} ${done} of ${total}`;
    // Each step would be too much to listen to.
    const quarter = Math.floor((4 * (picture * total + done)) / (total * this.count));
    if (quarter > this.#quarter && quarter < 4) announce(`${25 * quarter} percent`);
    this.#quarter = quarter;
  }

  #look({ picture, blob }) {
    let image = this.#previews.get(picture);
    if (image === undefined) {
      image = make("img", { alt: `Picture ${picture + 1} on its way` });
      this.#previews.set(picture, image);
      byId("previews").append(image);
    } else URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(blob);
  }
}

/** `crypto.randomUUID` is missing where a page comes over plain HTTP from another machine. */
function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
