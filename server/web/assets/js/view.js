// What is looked at: query and time range. It lives in the URL, so that an address is a view, and Back goes to the one before.
import { signal } from "./html.js";
import { resolve } from "./time.js";

const initial = "-1h";

function fromURL() {
  const p = new URLSearchParams(location.search);
  return { q: p.get("q") ?? "", start: p.get("start") || initial, end: p.get("end") ?? "" };
}

/** view is {q, start, end} as in the URL; an empty end means now. A new object is a new search, even if nothing changed. */
export const view = signal(fromURL());

function address({ q, start, end }) {
  if (q === "" && start === initial && end === "") return "/";
  return `/?${new URLSearchParams({ q, start, end })}`;
}

/** show goes to a view: the given parts replace those of the present one. */
export function show(change) {
  const next = { ...view.peek(), ...change };
  const to = address(next);
  if (to !== location.pathname + location.search) history.pushState(null, "", to);
  view.value = next;
}

/** forget goes back to the empty view without a trace of the query in the address. */
export function forget() {
  history.replaceState(null, "", "/");
  view.value = fromURL();
}

addEventListener("popstate", () => (view.value = fromURL()));

/** link is the address of exactly this view: relative times are fixed, so that it shows the same lines tomorrow. */
export function link() {
  const { q, start, end } = view.peek();
  const now = Date.now();
  const at = (text, fallback) => new Date(resolve(text, now, fallback)).toISOString();
  return location.origin + address({ q, start: at(start, now - 36e5), end: end === "" ? new Date(now).toISOString() : at(end, now) });
}
