// What is stored, how long it is kept, who uses how much, and what goes next.
import { bytes, State, useData } from "../data.js";
import { html } from "../html.js";
import { number, named, t } from "../i18n.js";

// So many days and users of space are shown.
const most = 60;

export function Storage() {
  const all = useData("storage", {}, 30e3);
  const plan = useData("storage/plan", { until: "7d" });
  const s = all.data;
  if (!s) return html`<${State} of=${all} />`;
  const largest = Math.max(1, ...s.usage.map((u) => u.bytes));
  return html`
    ${s.read_only && html`<p class="warning" role="status">${s.read_only_why}</p>`}
    <section class="card-wide" aria-label=${t("retention")}><h2>${t("retention")}</h2>
      <${Table} heads=${["class", "age", "size", "events#", "bytes#", "oldest", "newest"]} rows=${s.classes.map((c) => [c.name, c.age_days ? t("days", { n: c.age_days }) : t("unbounded"), c.max_bytes ? bytes(c.max_bytes) : t("unbounded"), number(c.rows), bytes(c.bytes), c.oldest_day ?? "", c.newest_day ?? ""])} />
      <h3>${t("goesNext")}</h3>
      ${plan.data?.removals.length ? html`<${Table} heads=${["what", "why", "when", "events#", "bytes#"]} rows=${plan.data.removals.slice(0, most).map((p) => [p.name, p.reason ? named("for", p.reason) : "", p.at?.slice(0, 16).replace("T", " ") ?? "", number(p.rows), bytes(p.bytes)])} />` : html`<p class="hint">${plan.failure ? plan.failure.message : t("nothingGoes")}</p>`}
    </section>
    <section class="card-wide" aria-label=${t("usage")}><h2>${t("usage")}</h2>
      <${Table} heads=${["tenant", "by_namespace", "events#", "bytes#", "share"]} rows=${[...s.usage].sort((a, b) => b.bytes - a.bytes).slice(0, most).map((u) => [u.tenant, u.namespace || t("without_namespace"), number(u.rows), bytes(u.bytes),
        html`<span class="bar-of" style=${{ "--share": `${(100 * u.bytes) / largest}%` }}></span>`])} />
    </section>
    <section class="card-wide" aria-label=${t("partitions")}><h2>${t("partitions")}</h2>
      <${Table} heads=${["what", "events#", "bytes#"]} rows=${[...s.partitions].reverse().slice(0, most).map((p) => [p.name, number(p.rows), bytes(p.bytes)])} />
    </section>`;
}

/** Table takes the keys of its heads, with # behind those of numbers, and rows of cells. */
export function Table({ heads, rows }) {
  const numeric = heads.map((h) => h.endsWith("#"));
  return html`<div class="wide"><table class="list">
    <thead><tr>${heads.map((h, i) => html`<th class=${numeric[i] ? "num" : ""}>${h === "" ? html`<span class="unseen">${t("actions")}</span>` : t(h.replace("#", "").includes("_") ? h.replace("#", "") : `col_${h.replace("#", "")}`)}</th>`)}</tr></thead>
    <tbody>${rows.map((r) => html`<tr>${r.map((cell, i) => (i === 0 ? html`<th scope="row">${cell}</th>` : html`<td class=${numeric[i] ? "num" : ""}>${cell}</td>`))}</tr>`)}</tbody>
  </table></div>`;
}
