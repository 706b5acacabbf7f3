// What is looked at. It lives in the URL, so that an address is a view, and Back goes to the one before: the page, and for the
// search its query, time range, columns, grouping, and the line whose details are open.
import { batch, signal } from "./html.js";
import { keptColumns } from "./prefs.js";
import { resolve } from "./time.js";

const initial = "-1h";
/** pages are the pages by the name they have in the URL; the search is the one without a name. */
export const pages = ["search", "browse", "sources", "clusters", "operations"];

function fromURL() {
  const p = new URLSearchParams(location.search);
  const list = (name) => (p.get(name) ?? "").split(",").map((s) => s.trim()).filter(Boolean);
  const page = pages.includes(p.get("page")) ? p.get("page") : "search";
  const rest = Object.fromEntries([...p].filter(([name]) => name !== "page"));
  return {
    view: { q: p.get("q") ?? "", start: p.get("start") || initial, end: p.get("end") ?? "" },
    shape: { columns: p.has("columns") || p.has("q") ? list("columns") : keptColumns.peek(), by: p.get("by") ?? "", line: p.get("line") ?? "" },
    route: { page, params: page === "search" ? {} : rest },
  };
}

const first = fromURL();
/** view is {q, start, end} as in the URL; an empty end means now. A new object is a new search, even if nothing changed. */
export const view = signal(first.view);
/** shape is how the search is shown: {columns: [field], by: field, line: id}. It changes without a new search. */
export const shape = signal(first.shape);
/** route is {page, params}; params are what a page other than the search keeps in the URL. */
export const route = signal(first.route);

function address({ q, start, end }, { columns, by, line }) {
  const more = { ...(columns.length ? { columns: columns.join(",") } : {}), ...(by ? { by } : {}), ...(line ? { line } : {}) };
  if (q === "" && start === initial && end === "" && Object.keys(more).length === 0) return "/";
  return `/?${new URLSearchParams({ q, start, end, ...more })}`;
}

/** hrefOf is the address of a page; without params that of the search is the search as it stands. */
export function hrefOf(page, params = {}) {
  if (page === "search") return address({ ...view.value, ...params }, { ...shape.value, line: "" });
  return `/?${new URLSearchParams({ page, ...Object.fromEntries(Object.entries(params).filter(([, v]) => v !== "" && v !== undefined)) })}`;
}

function push(to) {
  if (to !== location.pathname + location.search) history.pushState(null, "", to);
}

/** show goes to a search: the given parts replace those of the present one. */
export function show(change) {
  const next = { ...view.peek(), ...change };
  const bare = { ...shape.peek(), line: "" };
  push(address(next, bare));
  batch(() => {
    shape.value = bare;
    view.value = next;
    if (route.peek().page !== "search") route.value = { page: "search", params: {} };
  });
}

/** reshape changes how the search is shown; the address follows without a step in the history. */
export function reshape(change) {
  const next = { ...shape.peek(), ...change };
  if (Object.keys(next).every((k) => String(next[k]) === String(shape.peek()[k]))) return;
  shape.value = next;
  if (route.peek().page === "search") history.replaceState(null, "", address(view.peek(), next));
}

/** go opens a page. */
export function go(page, params = {}) {
  push(hrefOf(page, params));
  route.value = { page, params: page === "search" ? {} : params };
}

/** refine replaces some parameters of the page that is open, without a step in the history. */
export function refine(change) {
  const { page, params } = route.peek();
  const next = { ...params, ...change };
  history.replaceState(null, "", hrefOf(page, next));
  route.value = { page, params: next };
}

/** follow makes a click on a link to another page of ours go there without loading anew. */
export function follow(page, params) {
  return (event) => {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(page, params);
  };
}

/** forget goes back to the empty view without a trace of the query in the address. */
export function forget() {
  history.replaceState(null, "", "/");
  read();
}

function read() {
  const now = fromURL();
  batch(() => {
    shape.value = now.shape;
    if (now.route.page === "search") view.value = now.view;
    route.value = now.route;
  });
}

addEventListener("popstate", read);

/** fixed is a view with its relative times made absolute. */
export function fixed({ q, start, end }) {
  const now = Date.now();
  const at = (text, fallback) => new Date(resolve(text, now, fallback)).toISOString();
  return { q, start: at(start, now - 36e5), end: end === "" ? new Date(now).toISOString() : at(end, now) };
}

/** link is the address of exactly this view: relative times are fixed, so that it shows the same lines tomorrow. */
export function link(line = shape.peek().line) {
  return location.origin + address(fixed(view.peek()), { ...shape.peek(), line });
}
