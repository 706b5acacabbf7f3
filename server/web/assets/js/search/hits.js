// The counts over time: by level, or by the field that the user groups by.
import { getJSON } from "../api.js";
import { signal } from "../html.js";
import { forAPI, resolve, stepFor } from "../time.js";
import { shape } from "../view.js";
import { levelClass, levels, usualLevelField } from "./lines.js";

/** hits is {from, to, step, times, by, series: [{name, colour, counts}], total}, or null while it is not known. */
export const hits = signal(null);

/** most groups have a colour of their own; the others share one. */
const most = 6;
let level = "log.level";

/** levelField learns from lines which field has the level, and returns whether the histogram must be counted again. */
export function levelField(list) {
  const better = usualLevelField(list);
  if (better === level) return false;
  level = better;
  return shape.peek().by === "";
}

/** countHits fetches the histogram. Its failure is the search's failure too and is shown there, not twice. */
export async function countHits(wanted, signal) {
  const now = Date.now();
  const asked = { from: resolve(wanted.start, now, now - 36e5), to: resolve(wanted.end, now, now) };
  const step = stepFor(Math.max(asked.to - asked.from, 1), innerWidth < 720 ? 60 : 120);
  const by = shape.peek().by || level;
  const params = { query: wanted.q.trim() || "*", start: forAPI(wanted.start), end: forAPI(wanted.end), step: step.text, by };
  try {
    const answer = await getJSON("hits", params, signal);
    if (!signal.aborted) hits.value = shaped(answer.hits, asked, step, by, shape.peek().by !== "");
  } catch {
    if (!signal.aborted) hits.value = null;
  }
}

/** groups returns how a value of by is sorted into series: [series, place of a value]. */
function groups(list, by, grouped) {
  if (!grouped) return [levels.map((name) => ({ name, colour: `lv-${name}` })), (v) => levels.indexOf(levelClass(v))];
  const sums = new Map();
  for (const h of list) sums.set(h.by?.[by] ?? "", (sums.get(h.by?.[by] ?? "") ?? 0) + h.count);
  const names = [...sums].filter(([name]) => name !== "").sort((a, b) => b[1] - a[1]).slice(0, most).map(([name]) => name);
  const series = names.map((name, i) => ({ name, colour: `gr-${i}` }));
  if (sums.size > names.length) series.push({ name: null, colour: "gr-rest" });
  return [series, (v) => (names.includes(v) ? names.indexOf(v) : series.length - 1)];
}

/** shaped sorts the counts into one column a series, with zeros where nothing was. */
export function shaped(list, { from, to }, step, by, grouped) {
  const at = (text) => Math.floor(Date.parse(text) / step.ms);
  // Clocks of server and browser differ: a hit beyond the asked range widens it.
  const firstStep = list.reduce((m, h) => Math.min(m, at(h["@timestamp"])), Math.floor(from / step.ms));
  const lastStep = list.reduce((m, h) => Math.max(m, at(h["@timestamp"])), Math.max(firstStep, Math.ceil(to / step.ms) - 1));
  const n = Math.min(lastStep - firstStep + 1, 5000);
  const [series, place] = groups(list, by, grouped);
  for (const s of series) s.counts = new Array(n).fill(0);
  let total = 0;
  for (const h of list) {
    total += h.count;
    const i = at(h["@timestamp"]) - firstStep;
    if (i < n) series[place(h.by?.[by] ?? "")].counts[i] += h.count;
  }
  const times = Array.from({ length: n }, (_, i) => ((firstStep + i) * step.ms) / 1000);
  return { from, to, step, times, by, grouped, series, total };
}
