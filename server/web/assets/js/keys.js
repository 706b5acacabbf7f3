// Keys that work on every page.
import { help } from "./prefs.js";
import { go } from "./view.js";

/** onKey returns a listener for the keys of all pages; pages() are those that the user may open, in their order. */
export const onKey = (pages) => (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.defaultPrevented || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input, select, textarea")) return;
  const page = /^[1-9]$/.test(event.key) ? pages()[Number(event.key) - 1] : undefined;
  if (event.key === "?") help.value = true;
  else if (page) go(page);
  else return;
  event.preventDefault();
};
