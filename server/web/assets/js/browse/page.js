// Browse: from clusters down to containers, each with its rate and its last line.
import { Failure, getJSON, readEvents } from "../api.js";
import { clause } from "../clauses.js";
import { failureText } from "../failure.js";
import { html, useEffect, useState } from "../html.js";
import { number, t } from "../i18n.js";
import { text } from "../search/row.js";
import { level, levelClass } from "../search/lines.js";
import { ago } from "../time.js";
import { follow, hrefOf, route, show } from "../view.js";
import { combine, levels, paramsOf, pathOf, queryOf } from "./levels.js";
import { Spark } from "./spark.js";

const minutes = 60;
// The rate is that of the last full minutes.
const recent = 5;
// So many rows show their last line at once; the others have it when they are the first ones of a narrower view.
const withLast = 40;
const every = 15e3;

async function load(path, signal) {
  const step = levels[path.length];
  const from = Math.floor(Date.now() / 60e3) * 60e3 - (minutes - 1) * 60e3;
  const range = { start: new Date(from).toISOString() };
  const answers = [];
  const missing = [];
  // Events that have none of the fields before are grouped by the next one.
  for (const field of step.fields) {
    const query = [path.length || !missing.length ? queryOf(path) : "", ...missing].filter(Boolean).join(" ");
    const { hits } = await getJSON("hits", { query, ...range, step: "1m", by: field, limit: 500 }, signal);
    const last = field === step.fields.at(-1);
    answers.push({ field, hits: last ? hits : hits.filter((h) => (h.by?.[field] ?? "") !== "") });
    if (!hits.some((h) => (h.by?.[field] ?? "") === "")) break;
    missing.push(clause(field, ""));
  }
  return combine(answers, from, minutes).map((row) => ({ ...row, path: [...path, [row.field, row.value]] }));
}

async function lastLine(path, signal) {
  let event = null;
  await readEvents("query", { query: queryOf(path), start: "-1h", limit: 1, fields: "log.level,level" }, signal, ([e]) => (event = e));
  return event;
}

export function BrowsePage() {
  const path = pathOf(route.value.params);
  const at = JSON.stringify(path);
  const [rows, setRows] = useState(null);
  const [last, setLast] = useState({});
  const [failure, setFailure] = useState(null);
  useEffect(() => {
    const abort = new AbortController();
    let timer;
    setRows(null);
    setLast({});
    const again = async () => {
      try {
        const found = await load(path, abort.signal);
        setRows(found);
        setFailure(null);
        for (const row of found.slice(0, withLast)) {
          const event = await lastLine(row.path, abort.signal);
          setLast((known) => ({ ...known, [row.field + row.value]: event }));
        }
      } catch (e) {
        if (e.name === "AbortError") return;
        setFailure(e instanceof Failure ? e : new Failure(0, "", e.message, 0));
      }
      if (!abort.signal.aborted) timer = setTimeout(again, every);
    };
    if (path.length < levels.length) again();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [at]);
  const step = levels[Math.min(path.length, levels.length - 1)];
  const most = Math.max(1, ...(rows ?? []).flatMap((r) => r.counts));
  return html`<main class="plain">
    <nav class="crumbs" aria-label=${t("path")}>
      <a href=${hrefOf("browse")} onClick=${follow("browse", {})}>${t("allClusters")}</a>
      ${path.map(([, value], i) => {
        const params = paramsOf(path.slice(0, i + 1));
        return html`<span aria-hidden="true">›</span><a href=${hrefOf("browse", params)} aria-current=${i === path.length - 1 ? "true" : undefined} onClick=${follow("browse", params)}>${name(levels[i], value)}</a>`;
      })}
      <span class="gap"></span>
      <button type="button" onClick=${() => show({ q: path.length ? queryOf(path) : "", start: "-1h", end: "" })}>${t("searchHere")}</button>
    </nav>
    ${failure && html`<p class="alert" role="alert">${failureText(failure)}</p>`}
    ${rows === null && !failure && html`<p class="foot" role="status">${t("loading")}</p>`}
    ${rows?.length === 0 && html`<div class="empty"><p>${t("nothingHere")}</p></div>`}
    ${rows?.length > 0 && html`<div class="scroll" tabindex="0" role="region" aria-label=${t(`plural_${step.name}`)}><table class="list browse">
      <thead><tr><th>${t(`level_of_${step.name}`)}</th><th class="num">${t("perSecond")}</th><th class="num">${t("inLastHour")}</th><th>${t("lastHour")}</th><th>${t("lastLine")}</th></tr></thead>
      <tbody>${rows.map((row) => html`<${Entry} key=${row.field + row.value} row=${row} step=${step} deepest=${path.length === levels.length - 1} most=${most} event=${last[row.field + row.value]} />`)}</tbody>
    </table></div>`}
  </main>`;
}

const name = (step, value) => (value === "" ? t(`without_${step.name}`) : value);

function Entry({ row, step, deepest, most, event }) {
  // The minute that is not over yet would make every rate too small.
  const rate = row.counts.slice(-recent - 1, -1).reduce((a, b) => a + b, 0) / (recent * 60);
  const q = queryOf(row.path);
  const params = paramsOf(row.path);
  return html`<tr>
    <th scope="row">${deepest
      ? html`<a href=${hrefOf("search", { q })} onClick=${(e) => (e.preventDefault(), show({ q, start: "-1h", end: "" }))}>${name(step, row.value)}</a>`
      : html`<a href=${hrefOf("browse", params)} onClick=${follow("browse", params)}>${name(step, row.value)}</a>`}</th>
    <td class="num">${rate < 10 ? rate.toFixed(2) : number(Math.round(rate))}</td>
    <td class="num">${number(row.total)}</td>
    <td><${Spark} counts=${row.counts} most=${most} /></td>
    <td class=${`last lv-${levelClass(event ? level(event) : "")}`}>${event && html`<time>${ago(event["@timestamp"])}</time> <span>${text(event.message).slice(0, 300)}</span>`}
      <button type="button" class="quiet" onClick=${() => show({ q, start: "-1h", end: "" })}>${t("linesOf")}</button></td>
  </tr>`;
}
