// Light or dark, and the key: the two things of the page that outlive a reload.

import { byId } from "./elements.js";

const THEME = "bagel-theme"; // of this browser
const KEY = "bagel-key"; // of this tab alone

/** The system's choice until the button is pressed, then the button's. */
export function followTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = byId("theme");
  const show = () => {
    const chosen = localStorage.getItem(THEME);
    const dark = chosen === null ? system.matches : chosen === "dark";
    if (chosen !== null) document.documentElement.dataset.theme = chosen;
    button.setAttribute("aria-pressed", String(dark));
  };
  button.addEventListener("click", () => {
    localStorage.setItem(THEME, button.getAttribute("aria-pressed") === "true" ? "light" : "dark");
    show();
  });
  system.addEventListener("change", show);
  show();
}

/** The key as it is now, or an empty text. */
export function currentKey() {
  return sessionStorage.getItem(KEY) ?? "";
}

/** Let the key be typed; `used` is called after each change. */
export function followKey(used) {
  const field = byId("key");
  field.value = currentKey();
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const key = field.value.trim();
    if (key === "") sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, key);
    byId("access").open = false;
    byId("access").querySelector("summary").focus();
    used();
  });
}

/** Open the key's field, when the server wants one. */
export function askForKey() {
  byId("access").open = true;
  byId("key").focus();
}
