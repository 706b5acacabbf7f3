// What can be written at the caret of the search box: names of fields, values, operators, and the words of the language.
import { getJSON } from "../api.js";
import { clause, fieldName } from "../clauses.js";
import { number } from "../i18n.js";
import { forAPI } from "../time.js";
import { view } from "../view.js";

const words = ["AND", "OR", "NOT"];
/** operators are what may follow "field:", with the key of the text that explains each, and where the caret goes. */
const operators = [
  ['="', "opExact"],
  ["*", "opPresent"],
  ['""', "opMissing"],
  ['~"', "opRegexp"],
  [">=", "opAtLeast"],
  ["<", "opLess"],
  ["in(", "opOneOf"],
];
const most = 9;

/** place tells what stands at the caret: {kind: "field", from, prefix}, {kind: "value", from, field, prefix}, or null. */
export function place(text, caret) {
  const before = text.slice(0, caret);
  let from = 0;
  let quoted = false;
  let colon = -1;
  for (let i = 0; i < before.length; i++) {
    const c = before[i];
    if (quoted) {
      if (c === "\\") i++;
      else if (c === '"') quoted = false;
    } else if (c === '"') quoted = true;
    else if (/[\s()]/.test(c) || (c === "-" && i === from)) [from, colon] = [i + 1, -1];
    else if (c === ":" && colon < 0) colon = i;
  }
  if (colon < 0) return quoted ? null : { kind: "field", from, prefix: before.slice(from) };
  const name = before.slice(from, colon);
  let field = name;
  if (name.startsWith('"')) {
    try {
      field = JSON.parse(name);
    } catch {
      return null;
    }
  }
  const value = /^(=?)("?)([^"]*)$/.exec(before.slice(colon + 1));
  // A regular expression, a number, a list: nothing to offer.
  if (!value || /^[~<>]|^in$|^range$/.test(value[3])) return null;
  return { kind: "value", from, field, prefix: value[3], bare: value[1] === "" && value[2] === "" };
}

let known = { range: "", at: 0, fields: [] };

async function fields(signal) {
  const { start, end } = view.peek();
  const range = `${start} ${end}`;
  if (known.range !== range || Date.now() - known.at > 60e3) {
    const answer = await getJSON("fields", { start: forAPI(start), end: forAPI(end) }, signal);
    known = { range, at: Date.now(), fields: answer.fields };
  }
  return known.fields;
}

/** options returns what may stand at a place: [{text, from, note?, explain?}]; text replaces what stands from `from` to the caret. */
export async function options(at, signal) {
  if (at.kind === "field") {
    const wanted = at.prefix.toLowerCase();
    if (wanted === "") return [];
    const rank = (name) => (name.toLowerCase().startsWith(wanted) ? 0 : name.toLowerCase().split(".").some((part) => part.startsWith(wanted)) ? 1 : 2);
    const found = (await fields(signal)).filter((f) => f.name.toLowerCase().includes(wanted));
    found.sort((a, b) => rank(a.name) - rank(b.name) || b.count - a.count);
    const list = found.slice(0, most).map((f) => ({ text: `${fieldName(f.name)}:`, shown: f.name, note: number(f.count), from: at.from, goOn: true }));
    for (const w of words) if (at.prefix !== "" && w.startsWith(at.prefix)) list.push({ text: `${w} `, shown: w, from: at.from });
    return list;
  }
  const { start, end } = view.peek();
  const answer = await getJSON("values", { field: at.field, prefix: at.prefix, start: forAPI(start), end: forAPI(end), limit: most }, signal);
  const list = answer.values.filter((v) => v.value !== "" && v.value.length < 300 && v.value.startsWith(at.prefix)).slice(0, most)
    .map((v) => ({ text: `${clause(at.field, v.value)} `, shown: v.value, note: number(v.count), from: at.from }));
  if (at.bare && at.prefix === "") {
    for (const [text, explain] of operators) list.push({ text: `${fieldName(at.field)}:${text}`, shown: text, explain, from: at.from, goOn: text.endsWith('="') });
  }
  return list;
}
