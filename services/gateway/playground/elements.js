// Building the page's elements. Texts become text nodes and nothing else: no answer of a model is ever markup.

let silence = 0; // the timer that empties the last announcement

/** An element. Attributes that are null or false are left out; functions are listeners of the event they are named by. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** The element with an id, which `index.html` must have. */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no #${id}`);
  return found;
}

/** Say something to those who look and to those who listen; an empty text first, so that the same is said twice. */
export function announce(text) {
  const status = byId("status");
  status.textContent = "";
  clearTimeout(silence);
  requestAnimationFrame(() => {
    status.textContent = text;
    silence = setTimeout(() => { status.textContent = ""; }, 8000);
  });
}
