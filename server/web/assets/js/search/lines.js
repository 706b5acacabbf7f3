// The list of lines on the page: newest first, none twice.
import { key } from "../time.js";

// Names of pods, levels and the like come again in a million lines; each is kept once. The texts of lines differ.
const interned = new Map();

function intern(event) {
  for (const name in event) {
    const v = event[name];
    if (typeof v !== "string" || v.length > 128 || name === "_id" || name === "@timestamp" || name === "message") continue;
    const known = interned.get(v);
    if (known !== undefined) event[name] = known;
    else if (interned.size < 50000) interned.set(v, v);
  }
  return event;
}

/** Lines holds {id, key, event}; key is the time as sortable text. */
export class Lines {
  constructor() {
    this.list = [];
    this.ids = new Set();
  }

  /** unknown turns the events that are not in the list yet into lines, in their order. */
  unknown(events) {
    const fresh = [];
    for (const event of events) {
      const id = event._id;
      if (this.ids.has(id)) continue;
      this.ids.add(id);
      fresh.push({ id, key: key(event["@timestamp"]), event: intern(event) });
    }
    return fresh;
  }

  /** append adds a further part of an answer that is in order already, and returns how many lines were new. */
  append(events) {
    const fresh = this.unknown(events);
    for (const line of fresh) this.list.push(line);
    return fresh.length;
  }

  /** merge adds events of any order, and keeps the newest max lines. */
  merge(events, max) {
    const fresh = this.unknown(events);
    if (fresh.length === 0) return 0;
    const newest = (a, b) => (a.key < b.key ? 1 : a.key > b.key ? -1 : 0);
    // Of lines with the same time the one that came later is the newer.
    fresh.reverse().sort(newest);
    const inOrder = this.list.length === 0 || fresh.at(-1).key >= this.list[0].key;
    this.list = fresh.concat(this.list);
    if (!inOrder) this.list.sort(newest);
    for (const line of this.list.splice(max)) this.ids.delete(line.id);
    return fresh.length;
  }
}

const levelFields = ["log.level", "level", "severity", "severity_text"];

/** usualLevelField returns the field that most of the lines give their level in. */
export function usualLevelField(list) {
  let best = levelFields[0];
  let most = 0;
  for (const field of levelFields) {
    const n = list.reduce((sum, l) => sum + (typeof l.event[field] === "string" && l.event[field] !== "" ? 1 : 0), 0);
    if (n > most) [best, most] = [field, n];
  }
  return best;
}

/** levels are the classes of levels, gravest first; the last holds everything else. */
export const levels = ["error", "warn", "info", "debug", "other"];

/** levelClass sorts the many names of levels into the classes above. */
export function levelClass(name) {
  const s = String(name ?? "").toLowerCase();
  if (/^(err|fatal|crit|panic|alert|emerg|sev|dpanic)/.test(s)) return "error";
  if (s.startsWith("warn")) return "warn";
  if (/^(info|notice)/.test(s)) return "info";
  if (/^(debug|trace|verb|fine)/.test(s)) return "debug";
  return "other";
}

/** level is the level of an event as it wrote it, or "". */
export function level(event) {
  for (const field of levelFields) {
    const v = event[field];
    if (v !== undefined && v !== null && v !== "") return String(v);
  }
  return "";
}

const namespaceFields = ["kubernetes.namespace", "kubernetes.namespace_name"];
const podFields = ["kubernetes.pod.name", "kubernetes.pod_name", "kubernetes.pod"];
const containerFields = ["kubernetes.container.name", "kubernetes.container_name"];
const fileFields = ["log.file.path", "source"];
const unitFields = ["systemd.unit", "syslog.identifier", "process.name", "service.name"];
const hostFields = ["host.name", "host.hostname", "agent.name", "beat.hostname"];

/** shownFields are the fields that a row may be drawn from: its level, where it comes from, and the columns. */
export function shownFields(columns) {
  return [...new Set([...levelFields, ...namespaceFields, ...podFields, ...containerFields, ...fileFields, ...unitFields, ...hostFields, ...columns])];
}

const first = (event, names) => {
  for (const name of names) if (event[name]) return String(event[name]);
  return "";
};

/** origin says where a line comes from: {where, what}, as in "shop/cart-5d9f" and "server", or "node-1" and "app.log". */
export function origin(event) {
  const namespace = first(event, namespaceFields);
  const pod = first(event, podFields);
  if (namespace || pod) return { where: [namespace, pod].filter(Boolean).join("/"), what: first(event, containerFields) };
  const file = first(event, fileFields);
  const what = file ? file.slice(file.lastIndexOf("/") + 1) : first(event, unitFields);
  return { where: first(event, hostFields), what };
}
