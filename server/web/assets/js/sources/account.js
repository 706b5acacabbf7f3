// Reckoning with the accounts of sources: how much of each is there, and sums over clusters, nodes and pods.

const size = ([from, to]) => to - from;

/** summary tells of one source: {known, missing, lost, inFlight, share, open}; share is of what is known to exist, from 0 to 1. */
export function summary(source) {
  const accounted = source.ranges.reduce((n, r) => n + size(r), 0);
  const bounded = source.gaps.filter((g) => g.to !== null);
  const missing = bounded.reduce((n, g) => n + g.to - g.from, 0);
  const inFlight = source.in_flight.reduce((n, g) => n + Math.max(0, (g.to ?? g.from) - g.from), 0);
  const known = accounted + missing;
  return { accounted, missing, inFlight, known, share: known === 0 ? 1 : accounted / known, open: source.gaps.length > bounded.length };
}

const keys = {
  cluster: (s) => [s.cluster ?? ""],
  host: (s) => [s.cluster ?? "", s.host ?? ""],
  namespace: (s) => [s.cluster ?? "", s.namespace ?? ""],
  pod: (s) => [s.cluster ?? "", s.namespace ?? "", s.pod ?? s.pod_uid ?? ""],
};
export const groupings = ["source", "pod", "namespace", "host", "cluster"];

/** grouped sums sources up: [{key, parts, sources, events, gaps, duplicates, conflicts, inFlight, whole, worst, reasons, updated}]. */
export function grouped(sources, by) {
  const rows = new Map();
  for (const s of sources) {
    const parts = by === "source" ? [s.id] : keys[by](s);
    const key = parts.join("\u0000");
    let row = rows.get(key);
    if (!row) {
      row = { key, parts, sources: [], events: 0, gaps: 0, duplicates: 0, conflicts: 0, inFlight: 0, accounted: 0, missing: 0, open: false, reasons: new Set(), updated: "" };
      rows.set(key, row);
    }
    const sum = summary(s);
    row.sources.push(s);
    row.events += s.events;
    row.gaps += s.gaps.length;
    row.duplicates += s.duplicates;
    row.conflicts += s.conflicts;
    row.inFlight += s.in_flight.length;
    row.accounted += sum.accounted;
    row.missing += sum.missing;
    row.open ||= sum.open;
    for (const g of s.gaps) row.reasons.add(g.reason);
    if ((s.updated ?? "") > row.updated) row.updated = s.updated;
  }
  const list = [...rows.values()];
  for (const row of list) row.share = row.accounted + row.missing === 0 ? 1 : row.accounted / (row.accounted + row.missing);
  return list;
}

/** state is what matters most about a row: conflict, gap, flight, or whole. */
export function state(row) {
  if (row.gaps > 0) return "gap";
  if (row.conflicts > 0) return "conflict";
  if (row.inFlight > 0) return "flight";
  return "whole";
}

const gravity = { gap: 0, conflict: 1, flight: 2, whole: 3 };
/** byGravity puts what needs a look first. */
export const byGravity = (a, b) => gravity[state(a)] - gravity[state(b)] || b.missing - a.missing || (a.key < b.key ? -1 : 1);

/** percent never says 100 while something is missing. */
export function percent(row) {
  if (row.share === 1 && !row.open && row.gaps === 0) return "100";
  return (Math.floor(Math.min(row.share, 0.9999) * 10000) / 100).toFixed(2);
}
