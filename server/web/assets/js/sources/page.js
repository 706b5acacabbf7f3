// The ledger: what has arrived of each source, what is missing, and why.
import { Failure, getJSON, session } from "../api.js";
import { failureText } from "../failure.js";
import { html, useEffect, useState } from "../html.js";
import { number, named, t } from "../i18n.js";
import { ago } from "../time.js";
import { refine, route } from "../view.js";
import { byGravity, grouped, groupings, percent, state } from "./account.js";
import { Explain } from "./explain.js";
import { SourceDetails } from "./details.js";

const every = 15e3;
// So many rows are shown; the filter finds the others.
const most = 300;
const kinds = ["file", "journal", "push"];

export function SourcesPage() {
  const { params } = route.value;
  const [sources, setSources] = useState(null);
  const [failure, setFailure] = useState(null);
  useEffect(() => {
    const abort = new AbortController();
    let timer;
    const again = async () => {
      try {
        setSources((await getJSON("sources", {}, abort.signal)).sources);
        setFailure(null);
      } catch (e) {
        if (e.name === "AbortError") return;
        setFailure(e instanceof Failure ? e : new Failure(0, "", e.message, 0));
        if (e.status === 403) return;
      }
      timer = setTimeout(again, every);
    };
    again();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, []);
  if (session.value.scoped) return html`<main class="plain"><div class="empty"><p>${t("scopedSources")}</p></div></main>`;
  const by = groupings.includes(params.by) ? params.by : "source";
  const wanted = (params.filter ?? "").toLowerCase();
  const chosen = (sources ?? []).filter((s) =>
    (!params.kind || s.kind === params.kind) && (params.missing !== "1" || s.gaps.length > 0) &&
    (wanted === "" || [s.name, s.host, s.cluster, s.namespace, s.pod, s.client, s.source].some((v) => v?.toLowerCase().includes(wanted))));
  const rows = grouped(chosen, by).sort(byGravity);
  const open = sources?.find((s) => s.id === params.source);
  return html`<main class="plain">
    <${Totals} sources=${sources} />
    <${Explain} sources=${chosen} known=${sources ?? []} />
    <div class="toolbar" role="search" aria-label=${t("filterSources")}>
      <input type="search" aria-label=${t("filterSources")} placeholder=${t("filterSourcesHint")} value=${params.filter ?? ""} onInput=${(e) => refine({ filter: e.target.value })} />
      <label>${t("groupSources")} <select value=${by} onChange=${(e) => refine({ by: e.target.value })}>${groupings.map((g) => html`<option value=${g} selected=${g === by}>${t(`by_${g}`)}</option>`)}</select></label>
      <label>${t("kind")} <select value=${params.kind ?? ""} onChange=${(e) => refine({ kind: e.target.value })}><option value="">${t("any")}</option>${kinds.map((k) => html`<option value=${k} selected=${params.kind === k}>${named("kind", k)}</option>`)}</select></label>
      <label class="check"><input type="checkbox" checked=${params.missing === "1"} onChange=${(e) => refine({ missing: e.target.checked ? "1" : "" })} /> ${t("onlyGaps")}</label>
    </div>
    ${failure && html`<p class="alert" role="alert">${failureText(failure)}</p>`}
    ${sources === null && !failure && html`<p class="foot" role="status">${t("loading")}</p>`}
    ${sources !== null && rows.length === 0 && html`<div class="empty"><p>${t(sources.length ? "noSourceMatches" : "noSources")}</p></div>`}
    <div class="split">
      ${rows.length > 0 && html`<div class="scroll" tabindex="0" role="region" aria-label=${t("page_sources")}><${Table} rows=${rows.slice(0, most)} by=${by} open=${params.source} />
        ${rows.length > most && html`<p class="foot">${t("moreRows", { n: number(rows.length - most) })}</p>`}</div>`}
      ${open && html`<${SourceDetails} key=${open.id} source=${open} close=${() => refine({ source: "" })} />`}
    </div>
  </main>`;
}

function Totals({ sources }) {
  if (!sources) return null;
  const [all] = grouped(sources.map((s) => ({ ...s, cluster: "" })), "cluster");
  if (!all) return null;
  const withGaps = sources.filter((s) => s.gaps.length > 0).length;
  return html`<dl class="figures">
    <div class=${`st-${state(all)}`}><dt>${t("completeness")}</dt><dd>${percent(all)} %</dd></div>
    <div><dt>${t("page_sources")}</dt><dd>${number(sources.length)}</dd></div>
    <div class=${withGaps ? "st-gap" : ""}><dt>${t("withGaps")}</dt><dd>${number(withGaps)}</dd></div>
    <div><dt>${t("inFlight")}</dt><dd>${number(all.inFlight)}</dd></div>
    <div><dt>${t("duplicates")}</dt><dd>${number(all.duplicates)}</dd></div>
    <div class=${all.conflicts ? "st-conflict" : ""}><dt>${t("conflicts")}</dt><dd>${number(all.conflicts)}</dd></div>
  </dl>`;
}

function Table({ rows, by, open }) {
  return html`<table class="list sources">
    <thead><tr><th>${t(`by_${by}`)}</th><th>${t("state")}</th><th class="num">${t("completeness")}</th><th class="num">${t("events")}</th><th>${t("gaps")}</th><th class="num">${t("duplicates")}</th><th>${t("lastBatch")}</th></tr></thead>
    <tbody>${rows.map((row) => html`<${Entry} key=${row.key} row=${row} by=${by} open=${open === row.key} />`)}</tbody>
  </table>`;
}

const words = (parts) => parts.filter(Boolean).join(" / ") || t("unnamed");

function Entry({ row, by, open }) {
  const [s] = row.sources;
  const what = state(row);
  const choose = () => refine(by === "source" ? { source: open ? "" : s.id } : { by: "source", filter: row.parts.at(-1) });
  return html`<tr class=${open ? "open" : ""}>
    <th scope="row"><button type="button" class="name" aria-expanded=${by === "source" ? open : undefined} onClick=${choose}>
      ${by === "source" ? s.name : words(row.parts)}</button>
      <small>${by === "source" ? [s.cluster, s.host, s.namespace, s.pod].filter(Boolean).join(" · ") : t("nSources", { n: number(row.sources.length) })}</small></th>
    <td><span class=${`badge st-${what}`}>${t(`state_${what}`)}</span></td>
    <td class="num">${percent(row)} %</td>
    <td class="num">${number(row.events)}</td>
    <td>${row.gaps > 0 ? html`${number(row.gaps)} <small>${[...row.reasons].map((r) => named("reason", r)).join(", ")}</small>` : ""}</td>
    <td class="num">${row.duplicates ? number(row.duplicates) : ""}</td>
    <td>${ago(row.updated)}</td>
  </tr>`;
}
