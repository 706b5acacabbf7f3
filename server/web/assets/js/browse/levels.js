// The way down from clusters to containers: the fields of each step.
import { clause } from "../clauses.js";

/** levels are the steps; of the fields of one, the first that an event has counts. */
export const levels = [
  { name: "cluster", fields: ["orchestrator.cluster.name"] },
  { name: "namespace", fields: ["kubernetes.namespace"] },
  { name: "workload", fields: ["kubernetes.workload.name", "kubernetes.deployment.name", "kubernetes.statefulset.name", "kubernetes.daemonset.name", "kubernetes.cronjob.name", "kubernetes.job.name"] },
  { name: "pod", fields: ["kubernetes.pod.name"] },
  { name: "container", fields: ["kubernetes.container.name"] },
];

/** queryOf is the search for what lies below a path: [[field, value], …]; an empty value means that all fields of the step are missing. */
export const queryOf = (path) =>
  path.map(([field, value], i) => (value === "" ? levels[i].fields.map((f) => clause(f, "")).join(" ") : clause(field, value))).join(" ") || "*";

/** path reads the steps that were taken off the parameters of the page: each is "field=value". */
export function pathOf(params) {
  const taken = [];
  for (const { name } of levels) {
    const text = params[name];
    if (text === undefined) break;
    const at = text.indexOf("=");
    taken.push([text.slice(0, at), text.slice(at + 1)]);
  }
  return taken;
}

/** paramsOf is the reverse of pathOf. */
export const paramsOf = (path) => Object.fromEntries(path.map(([field, value], i) => [levels[i].name, `${field}=${value}`]));

/** combine adds the counts over time of the groups; series has one count a minute for each value, largest sum first. */
export function combine(answers, from, minutes) {
  const rows = new Map();
  for (const { field, hits } of answers) {
    for (const h of hits) {
      const value = h.by?.[field] ?? "";
      const key = `${field}=${value}`;
      if (!rows.has(key)) rows.set(key, { field, value, counts: new Array(minutes).fill(0), total: 0 });
      const row = rows.get(key);
      const i = Math.min(minutes - 1, Math.max(0, Math.floor((Date.parse(h["@timestamp"]) - from) / 60e3)));
      row.counts[i] += h.count;
      row.total += h.count;
    }
  }
  return [...rows.values()].sort((a, b) => b.total - a.total);
}
