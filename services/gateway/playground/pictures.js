// The pictures that a request starts from: chosen, dropped, pasted, or a result that goes on. Owns their list.

import { announce, byId, make } from "./elements.js";

const TYPES = { "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp" };

export class Pictures {
  #list = []; // {name, blob, url}
  #pasted = 0;

  /** `added` is called after pictures came, `refused` with a sentence when something else did. */
  constructor({ added, refused }) {
    Object.assign(this, { added, refused });
    const files = byId("files");
    files.addEventListener("change", () => {
      this.add(files.files);
      files.value = "";
    });
    document.addEventListener("paste", (event) => this.#paste(event));
    this.#listenToDrops();
  }

  /** As `plan.js` wants them. */
  get list() {
    return this.#list.map(({ name, blob }) => ({ name, blob }));
  }

  /** Add files; others than pictures are refused. */
  add(files) {
    const all = [...files];
    const taken = all.filter((file) => file.type in TYPES);
    for (const file of taken) this.#keep(file.name, file);
    if (taken.length < all.length) this.refused("Only PNG, JPEG and WebP pictures are taken.");
    if (taken.length > 0) this.#changed(`${taken.length === 1 ? taken[0].name : `${taken.length} pictures`} added`);
  }

  /** These instead of what there was, as `list` gives them. */
  replace(pictures) {
    for (const { url } of this.#list) URL.revokeObjectURL(url);
    this.#list = [];
    for (const { name, blob } of pictures) this.#keep(name, blob);
    if (pictures.length > 0) this.#changed("Picture taken as input");
    else this.#show();
  }

  #keep(name, blob) {
    this.#list.push({ name, blob, url: URL.createObjectURL(blob) });
  }

  #changed(text) {
    this.#show();
    announce(text);
    this.added();
  }

  #remove(picture) {
    URL.revokeObjectURL(picture.url);
    this.#list.splice(this.#list.indexOf(picture), 1);
    this.#show();
    announce(`${picture.name} removed`);
    byId("files").focus();
  }

  #show() {
    const items = this.#list.map((picture) => {
      const label = `Remove ${picture.name}`;
      const remove = make("button", { type: "button", "aria-label": label, click: () => this.#remove(picture) }, "Remove");
      return make("li", {}, make("img", { src: picture.url, alt: picture.name }), picture.name, remove);
    });
    byId("pictures").replaceChildren(...items);
  }

  #paste(event) {
    const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type in TYPES);
    if (files.length === 0) return; // a text, into whatever has the focus
    event.preventDefault();
    this.add(files.map((file) => new File([file], `pasted-${++this.#pasted}.${TYPES[file.type]}`, { type: file.type })));
  }

  #listenToDrops() {
    const dropping = (on) => document.body.classList.toggle("dropping", on);
    document.addEventListener("dragover", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      dropping(true);
    });
    document.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) dropping(false);
    });
    document.addEventListener("drop", (event) => {
      dropping(false);
      if (!event.dataTransfer?.files.length) return;
      event.preventDefault();
      this.add(event.dataTransfer.files);
    });
  }
}
