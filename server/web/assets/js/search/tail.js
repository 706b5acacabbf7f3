// The live tail: a stream of server-sent events that is merged into the list.
import { alive, onLeave, parseEvent, tailURL } from "../api.js";
import { batch, effect, signal } from "../html.js";
import { show, view } from "../view.js";
import { add, catchUp, refreshHits } from "./store.js";

/** most is how many lines the page holds while it tails. */
export const most = 5000;

/** tail is {state: "off" | "connecting" | "live" | "waiting", seconds?}. */
export const tail = signal({ state: "off" });
/** paused by the button; away is true while the user has scrolled from the top. Either holds new lines back. */
export const paused = signal(false);
export const away = signal(false);
/** held is the number of lines held back; skipped the number that the server could not send. */
export const held = signal(0);
export const skipped = signal(0);
/** missing are the servers whose lines the tail is without, where there are several. */
export const missing = signal([]);

let source = null;
let stop = new AbortController();
let waiting = [];
let flushTimer = 0;
let retryTimer = 0;
let hitsTimer = 0;
// The histogram follows the lines at this distance, in milliseconds.
const hitsDelay = 3000;
let tries = 0;

/** start begins a tail of the view's query. A range in the past has no tail: its end becomes now. */
export function start() {
  if (view.peek().end !== "") show({ end: "" });
  close();
  tries = 0;
  batch(() => {
    paused.value = false;
    skipped.value = 0;
    missing.value = [];
  });
  connect();
}

export function end() {
  close();
  batch(() => {
    tail.value = { state: "off" };
    flush(true);
    paused.value = false;
    skipped.value = 0;
    missing.value = [];
  });
}

export const toggle = () => (tail.peek().state === "off" ? start() : end());

function close() {
  source?.close();
  source = null;
  stop.abort();
  clearTimeout(retryTimer);
  clearTimeout(hitsTimer);
  hitsTimer = 0;
}

function connect() {
  clearTimeout(retryTimer);
  stop.abort();
  stop = new AbortController();
  const { signal } = stop;
  tail.value = { state: "connecting" };
  source = new EventSource(tailURL(view.peek().q.trim()));
  source.onopen = () => {
    tries = 0;
    batch(() => {
      tail.value = { state: "live" };
      missing.value = [];
    });
    // Lines that came between the search, or the break, and this moment. A failure shows as a break of the stream does.
    const fetchMissed = () => catchUp(most, signal, receive).catch((e) => e.name !== "AbortError" && signal === stop.signal && lost());
    fetchMissed();
    source.addEventListener("missing", (message) => {
      const before = missing.peek().length;
      missing.value = JSON.parse(message.data).servers;
      if (missing.peek().length < before) fetchMissed();
    });
  };
  source.onmessage = (message) => receive([parseEvent(message.data)]);
  source.addEventListener("skipped", (message) => {
    skipped.value += Number(JSON.parse(message.data).count) || 0;
  });
  // The browser's own reconnecting neither backs off nor ends; the page does both itself.
  source.onerror = lost;
}

async function lost() {
  source?.close();
  const { signal } = stop;
  await alive();
  // Meanwhile the session may have ended, or the user switched the tail off.
  if (signal.aborted) return;
  countdown(Math.min(2 ** tries++, 30));
}

function countdown(seconds) {
  if (seconds <= 0) {
    connect();
    return;
  }
  tail.value = { state: "waiting", seconds };
  retryTimer = setTimeout(() => countdown(seconds - 1), 1000);
}

/** retry connects at once. */
export const retry = () => connect();

function receive(events) {
  for (const event of events) waiting.push(event);
  // The list would drop the oldest anyway.
  if (waiting.length > 2 * most) waiting = waiting.slice(-most);
  if (!flushTimer) flushTimer = setTimeout(() => flush(false), 120);
}

function flush(force) {
  clearTimeout(flushTimer);
  flushTimer = 0;
  if (!force && (paused.peek() || away.peek())) {
    held.value = Math.min(waiting.length, most);
    return;
  }
  const events = waiting;
  waiting = [];
  batch(() => {
    held.value = 0;
    if (events.length) add(events, most);
  });
  if (events.length === 0 || hitsTimer || tail.peek().state === "off") return;
  hitsTimer = setTimeout(() => {
    hitsTimer = 0;
    refreshHits();
  }, hitsDelay);
}

// What was held back comes as soon as nothing holds it any more.
effect(() => {
  if (!paused.value && !away.value && waiting.length) flush(false);
});

// Another query is another tail.
let tailed = view.peek();
effect(() => {
  const now = view.value;
  const same = now.q === tailed.q && now.end === tailed.end;
  tailed = now;
  if (same || tail.peek().state === "off") return;
  waiting = [];
  held.value = 0;
  if (now.end !== "") end();
  else connect();
});

onLeave(() => {
  waiting = [];
  end();
  held.value = 0;
});
