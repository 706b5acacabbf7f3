// The HTTP API as the page uses it: the session with its CSRF token, JSON calls, and NDJSON read while it arrives.
import { batch, signal } from "./html.js";

/** Failure is an answer that is not 2xx (status > 0) or none at all (status 0). wait is in seconds, 0 when not told. */
export class Failure extends Error {
  constructor(status, code, message, wait) {
    super(message);
    this.status = status;
    this.code = code;
    this.wait = wait;
  }
}

/** session is {state: "unknown" | "out" | "in", user?, role?, tenant?, scoped?, ended?}; scoped: a part of the tenant only; ended tells that it was lost, not left. */
export const session = signal({ state: "unknown" });

// The token lives in memory only; after a reload /me hands it out again.
let csrf = "";

const leaving = new Set();

/** onLeave registers what must be forgotten when a session ends, by logout or by expiry. */
export function onLeave(f) {
  leaving.add(f);
}

function leave(ended) {
  csrf = "";
  batch(() => {
    session.value = { state: "out", ended };
    for (const f of leaving) f();
  });
}

async function request(path, { method = "GET", body, signal } = {}) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && csrf) headers["Tally-CSRF"] = csrf;
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
    });
  } catch (e) {
    if (e.name === "AbortError") throw e;
    throw new Failure(0, "unreachable", "", 0);
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  const wait = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  throw new Failure(response.status, answer.error?.code ?? "", answer.error?.message ?? "", Number.isFinite(wait) ? wait : 0);
}

/** call is a request within the session: an answer of 401 ends the session. */
async function call(path, options) {
  try {
    return await request(path, options);
  } catch (e) {
    if (e instanceof Failure && e.status === 401) leave(true);
    throw e;
  }
}

const url = (path, params) => {
  const kept = Object.entries(params).filter(([, v]) => v !== "" && v !== undefined && v !== null);
  return `/api/v1/${path}?${new URLSearchParams(kept)}`;
};

/** resume finds out whether the cookie of an earlier visit still opens a session. */
export async function resume() {
  // The server knows whether any cookie came with the page; without one the question would only make a 401.
  if (document.querySelector('meta[name="tally-session"]')?.content === "none") {
    session.value = { state: "out" };
    return;
  }
  try {
    await me();
  } catch (e) {
    session.value = { state: "out", failure: e.status === 401 ? undefined : e };
  }
}

async function me() {
  const answer = await (await request("/api/v1/me")).json();
  csrf = answer.csrf;
  session.value = { state: "in", user: answer.user, role: answer.role, tenant: answer.tenant, scoped: Boolean(answer.namespaces?.length || answer.clusters?.length) };
}

/** alive asks whether the session still stands, and ends it here if not. It returns false if that is not known. */
export async function alive() {
  try {
    await call("/api/v1/me");
    return true;
  } catch {
    return false;
  }
}

export async function login(user, password) {
  const answer = await (await request("/api/v1/login", { method: "POST", body: { user, password } })).json();
  csrf = answer.csrf;
  // The role decides what the page offers.
  await me();
}

export async function logout() {
  // What is on the screen goes first: it must not stay if the server cannot be reached.
  // The request is built before the token is forgotten.
  const done = request("/api/v1/logout", { method: "POST" });
  leave(false);
  await done.catch((e) => {
    if (e.status !== 401) session.value = { state: "out", failure: e };
  });
}

export async function getJSON(path, params, signal) {
  return (await call(url(path, params), { signal })).json();
}

/** sendJSON makes a change; it returns the answer, or null where there is none to read. */
export async function sendJSON(method, path, body) {
  const response = await call(`/api/v1/${path}`, { method, body });
  return response.status === 204 ? null : response.json();
}

/** exportURL is the address of a download. */
export const exportURL = (params) => url("export", params);

/** tailURL is the address of the live tail for an EventSource. */
export const tailURL = (query) => url("tail", { query: query || "*" });

/**
 * readEvents calls each(events) with every piece of the answer as it arrives, and returns the number of events.
 * A broken connection throws: fetch cannot read trailers, so the server is asked to break it off when a search fails midway.
 */
export async function readEvents(path, params, signal, each) {
  // Only a search streams; other answers are whole before they are sent.
  const response = await call(url(path, path === "query" ? { ...params, on_error: "abort" } : params), { signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let count = 0;
  const deliver = (lines) => {
    const events = lines.filter((l) => l !== "").map(parseEvent);
    count += events.length;
    if (events.length) each(events);
  };
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      deliver(lines);
    }
  } catch (e) {
    if (e.name === "AbortError") throw e;
    throw new Failure(0, "unreachable", "", 0);
  }
  deliver([rest]);
  return count;
}

/** parseEvent reads one event. Integers that a double cannot hold are kept as their text: a log shows what was written. */
export function parseEvent(line) {
  if (!/\d{16}/.test(line)) return JSON.parse(line);
  return JSON.parse(line, (_, v, context) => (typeof v === "number" && context?.source && String(v) !== context.source ? context.source : v));
}
