// The state of the search page and what changes it. Components only read these signals and call these functions.
import { Failure, getJSON, onLeave, readEvents } from "../api.js";
import { batch, effect, signal } from "../html.js";
import { behind, forAPI } from "../time.js";
import { forget, reshape, shape, show, view } from "../view.js";
import { clause, withClause } from "../clauses.js";
import { countHits, hits, levelField } from "./hits.js";
import { Lines, shownFields } from "./lines.js";

/** lines is the list on the screen; the signal changes its object at every change of the list. */
export const lines = signal({ list: [] });
/** phase of the search: idle, searching, more (a further page is on its way), done, failed. */
export const phase = signal("idle");
/** failure is the Failure that ended the last search, or null. */
export const failure = signal(null);
/** complete is true when all lines of the range are in the list. */
export const complete = signal(false);
/** current is the line under the cursor, open the one whose details are shown. */
export const current = signal(null);
export const open = signal(null);

const firstPage = 1000;
const largestPage = 50000;

let set = new Lines();
let running = new AbortController();
let pageSize = firstPage;
// Lines that a live tail brings while a search is on its way; null while none is.
let meanwhile = null;
// While true, the list is still that of the search before.
let stale = false;
// The columns that the lines in the list were asked for.
let fetched = new Set();

/** range is a view as parameters of the API. */
export const range = ({ q, start, end }) => ({ query: q.trim() || "*", start: forAPI(start), end: forAPI(end) });

/** listed is a view as parameters for the lines of the list: what a row shows, not whole events. */
const listed = (wanted) => ({ ...range(wanted), fields: shownFields(shape.peek().columns).join(","), order: "desc" });

/** publish shows the present state of the list. */
function publish() {
  lines.value = { list: set.list };
}

/** search runs the view's query from the beginning. What is on the screen stays until the first new lines are here. */
export async function search() {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const wanted = view.peek();
  const fresh = new Lines();
  pageSize = firstPage;
  meanwhile = [];
  stale = true;
  batch(() => {
    phase.value = "searching";
    failure.value = null;
    complete.value = false;
  });
  fetched = new Set(shape.peek().columns);
  const { line } = shape.peek();
  // The rows come first: the server should not count while it looks for them.
  let counting = false;
  const count = () => {
    if (!counting && !signal.aborted) countHits(wanted, signal);
    counting = true;
  };
  const showFresh = () => {
    set = fresh;
    stale = false;
    batch(() => {
      if (current.peek() && !fresh.ids.has(current.peek().id)) current.value = null;
      publish();
    });
  };
  const joinTail = () => {
    fresh.merge(meanwhile, Infinity);
    meanwhile = null;
    showFresh();
  };
  try {
    let last = 0;
    const n = await readEvents("query", { ...listed(wanted), limit: firstPage }, signal, (events) => {
      fresh.append(events);
      count();
      if (stale || performance.now() - last > 60) {
        last = performance.now();
        showFresh();
      }
    });
    if (signal.aborted) return;
    count();
    batch(() => {
      joinTail();
      complete.value = n < firstPage;
      phase.value = "done";
      if (!line) reshape({ line: open.peek()?.id ?? "" });
    });
    if (levelField(fresh.list)) countHits(wanted, signal);
    if (line) reopen(line, signal);
  } catch (e) {
    if (!counting && !signal.aborted) hits.value = null;
    fail(e, signal, joinTail);
  }
}

/** fail shows why a search ended, unless it was given up: the state then belongs to the next one, or the session is over. */
function fail(e, signal, before) {
  if (signal.aborted) return;
  batch(() => {
    before();
    phase.value = "failed";
    failure.value = e instanceof Failure ? e : new Failure(0, "internal", e.message, 0);
  });
}

/**
 * more loads the next page: everything up to the time of the oldest line, without those that are there already. Pages
 * grow, so that someone who scrolls far does not wait often.
 */
export async function more() {
  if (phase.peek() !== "done" || complete.peek() || set.list.length === 0) return;
  const { signal } = running;
  const target = set;
  phase.value = "more";
  pageSize = Math.min(pageSize * 2, largestPage);
  try {
    for (let limit = pageSize; ; limit *= 2) {
      const end = behind(target.list.at(-1).event["@timestamp"]);
      let added = 0;
      const n = await readEvents("query", { ...listed(view.peek()), end, limit }, signal, (events) => {
        added += target.append(events);
        if (target === set && added > 0) publish();
      });
      if (signal.aborted) return;
      // A full page without a new line: more lines have this very time than the page holds.
      if (n < limit || added > 0) {
        batch(() => {
          complete.value = n < limit;
          phase.value = "done";
        });
        return;
      }
    }
  } catch (e) {
    fail(e, signal, () => {});
  }
}

/** whole fetches all fields of a line; null where it is gone, or out of reach. */
export async function whole(id, time, signal) {
  // A range of time makes the search for one id cheap.
  const at = time ? Date.parse(time) : NaN;
  const near = Number.isNaN(at) ? {} : { start: new Date(at - 1000).toISOString(), end: new Date(at + 1000).toISOString() };
  let found = null;
  await readEvents("query", { query: clause("_id", id), ...near, limit: 1 }, signal, ([event]) => (found = event));
  return found;
}

/** reopen shows the details of the line that the address names, also where the list does not reach it. */
async function reopen(id, signal) {
  const here = set.list.find((l) => l.id === id);
  const event = here ? null : await whole(id, "", signal).catch(() => null);
  if (signal.aborted || !(here || event)) return;
  batch(() => {
    current.value = here ?? null;
    open.value = here ?? { id, event };
  });
}

// The address follows the open line.
effect(() => {
  const id = open.value?.id ?? "";
  if (id !== "" || phase.peek() === "done") reshape({ line: id });
});

// Lines that were asked for without a column have no value for it.
effect(() => {
  const { columns } = shape.value;
  if (phase.peek() !== "idle" && columns.some((c) => !fetched.has(c))) search();
});

// Another grouping is another histogram of the same lines.
let grouped = shape.peek().by;
effect(() => {
  const { by } = shape.value;
  if (by === grouped) return;
  grouped = by;
  if (phase.peek() !== "idle") refreshHits();
});

/** refreshHits counts again while lines stream in. */
export const refreshHits = () => countHits(view.peek(), running.signal);

/** add brings events of the live tail into the list, which it bounds to max lines. */
export function add(events, max) {
  meanwhile?.push(...events);
  if (stale) return;
  if (set.merge(events, max) === 0) return;
  if (set.list.length === max) complete.value = false;
  publish();
}

/** catchUp asks for what came since the newest line, at most limit, so that a tail that was (re)connected misses nothing. */
export async function catchUp(limit, signal, each) {
  const newest = stale ? undefined : set.list[0]?.event["@timestamp"];
  await readEvents("query", { ...listed(view.peek()), ...(newest ? { start: newest } : {}), end: "", limit }, signal, each);
}

/** move puts the cursor n lines further down; open details follow it. It returns the new index, -1 without lines. */
export function move(n) {
  const { list } = lines.peek();
  if (list.length === 0) return -1;
  const at = current.peek() ? list.findIndex((l) => l.id === current.peek().id) : -1;
  const to = at < 0 ? 0 : Math.min(Math.max(at + n, 0), list.length - 1);
  batch(() => {
    current.value = list[to];
    if (open.peek()) open.value = list[to];
  });
  return to;
}

/** filter narrows the query to a value of a field, or away from it. */
export function filter(field, value, out) {
  show({ q: withClause(view.peek().q, field, value, out) });
}

/** clear forgets every line and everything derived from lines. */
export function clear() {
  running.abort();
  set = new Lines();
  meanwhile = null;
  stale = false;
  batch(() => {
    publish();
    phase.value = "idle";
    failure.value = null;
    complete.value = false;
    hits.value = null;
    current.value = null;
    open.value = null;
  });
}

onLeave(() => {
  clear();
  forget();
});
