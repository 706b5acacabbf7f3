// Dead letters: events that could not be stored. See why, mend the pipeline, replay; or drop.
import { getJSON, sendJSON } from "../api.js";
import { bytes, Missing, Problem, State, Sure, useAct, useData } from "../data.js";
import { html, useState } from "../html.js";
import { number, named, t } from "../i18n.js";
import { ago } from "../time.js";
import { say } from "../toast.js";

export function Letters() {
  const [filter, setFilter] = useState({ reason: "", stage: "" });
  const [shown, setShown] = useState(null);
  const [past, setPast] = useState(false);
  const [act, failure, busy] = useAct();
  const params = { limit: 100, ...Object.fromEntries(Object.entries(filter).filter(([, v]) => v)) };
  const all = useData("deadletters", params, 15e3);
  const chosen = new URLSearchParams(Object.entries(filter).filter(([, v]) => v));
  if ([...chosen].length === 0) chosen.set("all", "true");
  const replay = (path) => act(async () => {
    const done = await sendJSON("POST", past ? `${path}${path.includes("?") ? "&" : "?"}pipelines=false` : path);
    say(t("replayed", { stored: number(done.stored), rejected: number(done.rejected) }));
    all.again();
  });
  const drop = (path) => act(async () => {
    await sendJSON("DELETE", path);
    setShown(null);
    all.again();
  });
  const show = (l) => act(async () => setShown(shown?.id === l.id ? null : await getJSON(`deadletters/${l.id}`, {})));
  const totals = all.data?.totals;
  return html`
    <div class="line">
      <label>${t("col_why")} <input type="search" value=${filter.reason} onInput=${(e) => setFilter({ ...filter, reason: e.target.value })} /></label>
      <label>${t("col_stage")} <select value=${filter.stage} onChange=${(e) => setFilter({ ...filter, stage: e.target.value })}><option value="">${t("any")}</option>
        ${["pipeline", "store"].map((s) => html`<option value=${s}>${named("stage", s)}</option>`)}</select></label>
      <span class="gap"></span>
      <label class="check"><input type="checkbox" checked=${past} onChange=${(e) => setPast(e.target.checked)} /> ${t("pastPipelines")}</label>
      <button type="button" disabled=${busy || !all.data?.letters.length} onClick=${() => replay(`deadletters/replay?${chosen}`)}>${t("replayThese")}</button>
      <${Sure} label=${t("dropThese")} name="" act=${() => drop(`deadletters?${chosen}`)} />
    </div>
    <${Problem} failure=${failure} />
    <${State} of=${all} />
    <${Missing} servers=${all.data?.missing ?? []} />
    ${totals && html`<p class="hint">${t("letterTotals", { letters: number(totals.letters), bytes: bytes(totals.bytes), most: bytes(totals.max_bytes), replayed: number(totals.replayed), dropped: number(totals.dropped), evicted: number(totals.evicted) })}</p>`}
    ${all.data?.letters.length === 0 && html`<div class="empty"><p>${t("noLetters")}</p></div>`}
    ${all.data?.letters.length > 0 && html`<div class="wide"><table class="list">
      <thead><tr><th>${t("col_when")}</th><th>${t("col_stage")}</th><th>${t("col_why")}</th><th>${t("col_line")}</th><th class="num">${t("col_times")}</th><th><span class="unseen">${t("actions")}</span></th></tr></thead>
      <tbody>${all.data.letters.map((l) => html`<tr key=${l.id}><th scope="row">${ago(l.time)}</th><td>${named("stage", l.stage)} <small>${l.by} ${l.server}</small></td><td>${l.reason}</td>
        <td><button type="button" class="name" aria-expanded=${shown?.id === l.id} onClick=${() => show(l)}>${l.message.slice(0, 200) || l.id}</button></td><td class="num">${number(l.times)}</td>
        <td class="actions"><button type="button" disabled=${busy} aria-label=${t("actNamed", { what: t("replay"), name: l.id })} onClick=${() => replay(`deadletters/${l.id}/replay`)}>${t("replay")}</button>
          <${Sure} label=${t("drop")} name=${l.id} act=${() => drop(`deadletters/${l.id}`)} /></td></tr>
        ${shown?.id === l.id && html`<tr key=${`${l.id} event`}><td colspan="6"><pre class="json" tabindex="0">${JSON.stringify(shown.event, null, 2)}</pre></td></tr>`}`)}</tbody>
    </table></div>`}`;
}
