// How each server is: whether it takes lines, its queue, its store, its disk.
import { bytes, State, useData } from "../data.js";
import { html } from "../html.js";
import { number, t } from "../i18n.js";
import { ago } from "../time.js";

export function Servers() {
  const all = useData("nodes", {}, 5000);
  return html`<${State} of=${all} />${all.data?.nodes.map((n) => html`<${Server} key=${n.name} of=${n} />`)}`;
}

function Server({ of }) {
  const figure = (key, value, note, state = "") => html`<div class=${state}><dt>${t(key)}</dt><dd>${value} ${note && html`<small>${note}</small>`}</dd></div>`;
  const used = of.disk.bytes - of.disk.free;
  const bad = (condition) => (condition ? "st-gap" : "");
  const { buffer, store, disk, intake, searches } = of;
  const dropped = Object.entries(store.dropped);
  return html`<section class="card-wide" aria-label=${of.name}>
    <header><h2>${of.name}</h2><span class=${`badge ${of.ready && of.waiting.length === 0 ? "st-whole" : "st-gap"}`}>${t(of.waiting.length ? "intakeWaits" : of.ready ? "ready" : "notReady")}</span>
      <span class="gap"></span><small>${t("versionSince", { version: of.version || "–", ago: ago(of.started) })}</small></header>
    ${(of.warnings ?? []).map((what) => html`<p class="warning" role="status">${what}</p>`)}
    ${of.waiting.map((why) => html`<p class="warning" role="status">${why}</p>`)}
    <dl class="figures">
      ${figure("perSecond", intake.events_per_second.toFixed(intake.events_per_second < 10 ? 1 : 0), t("sinceStart", { n: number(intake.events) }))}
      ${figure("bufferSize", bytes(buffer.bytes), t("ofMost", { n: bytes(buffer.max_bytes) }), bad(buffer.bytes > 0.8 * buffer.max_bytes))}
      ${figure("bufferLag", number(buffer.lag_records), t("records"), bad(buffer.error))}
      ${figure("stored", number(store.rows), bytes(store.bytes))}
      ${figure("diskFree", bytes(disk.free), t("usedOf", { used: bytes(used), all: bytes(disk.bytes) }), bad(disk.free < 2 * disk.reserve))}
      ${figure("waitingBatches", number(intake.waiting_batches), "", bad(intake.waiting_batches > 0))}
      ${figure("failedBatches", number(intake.failed), "", bad(intake.failed > 0))}
      ${figure("duplicates", number(intake.duplicates))}
      ${figure("conflicts", number(intake.conflicts), "", intake.conflicts > 0 ? "st-conflict" : "")}
      ${figure("connections", number(intake.connections))}
      ${figure("searches", number(searches.running), t("waitingTails", { waiting: number(searches.waiting), tails: number(searches.tails) }))}
      ${figure("memory", bytes(of.memory))}
      ${buffer.lost_records > 0 && figure("lostRecords", number(buffer.lost_records), "", "st-gap")}
      ${dropped.length > 0 && figure("droppedRows", number(dropped.reduce((n, [, m]) => n + m, 0)), dropped.map(([why]) => why).join(", "), "st-gap")}
    </dl>
  </section>`;
}
