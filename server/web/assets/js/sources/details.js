// One source: a picture of its ranges, its gaps with their reasons, and the way to its lines.
import { clause } from "../clauses.js";
import { html } from "../html.js";
import { number, named, t } from "../i18n.js";
import { Icon } from "../icons.js";
import { ago } from "../time.js";
import { refine, show } from "../view.js";
import { summary } from "./account.js";

// So many gaps are listed.
const most = 200;

export function SourceDetails({ source, close }) {
  const sum = summary(source);
  const unit = named("unit", source.kind);
  const rest = [["name", source.name], ["source", source.source], ["kind", named("kind", source.kind)], ["client", source.client], ["cluster", source.cluster], ["host", source.host],
    ["namespace", source.namespace], ["pod", source.pod], ["pod_uid", source.pod_uid], ["lastBatch", source.updated && `${source.updated} (${ago(source.updated)})`],
    ["contiguous", `${number(source.contiguous_up_to)} ${unit}`], ["events", number(source.events)], ["duplicates", number(source.duplicates)], ["conflicts", number(source.conflicts)], ["complete", t(source.complete ? "yes" : "stillGrowing")]];
  return html`<section class="side" aria-label=${t("details")}>
    <header><h2>${source.name}</h2><button type="button" class="quiet icon" aria-label=${t("close")} onClick=${close}><${Icon} name="close" /></button></header>
    <div class="scroll" tabindex="0" role="region" aria-label=${t("details")}>
      <${Picture} source=${source} />
      ${source.gaps.length > 0 && html`<h3>${t("gaps")}</h3><ul class="gaps">${source.gaps.slice(0, most).map((g) => html`<li key=${g.from}>
        <b>${number(g.from)} – ${g.to === null ? "?" : number(g.to)}</b> ${g.to === null ? "" : html`<small>${number(g.to - g.from)} ${unit}</small>`}
        <span class="badge st-gap">${named("reason", g.reason)}</span>
        <p>${named("why", g.reason)}${g.detail ? html` <code>${g.detail}</code>` : ""}</p>
        <button type="button" class="quiet" onClick=${() => refine({ position: String(g.from), explain: source.id })}>${t("explain")}</button></li>`)}
        ${source.gaps.length > most && html`<li>${t("moreRows", { n: number(source.gaps.length - most) })}</li>`}</ul>`}
      ${source.in_flight.length > 0 && html`<h3>${t("inFlight")}</h3><ul class="gaps">${source.in_flight.map((g) => html`<li key=${g.from}><b>${number(g.from)} – ${g.to === null ? "?" : number(g.to)}</b></li>`)}</ul>`}
      <dl class="pairs">${rest.filter(([, v]) => v).map(([k, v]) => html`<dt>${t(`of_${k}`)}</dt><dd>${v}</dd>`)}<dt>${t("of_known")}</dt><dd>${number(sum.known)} ${unit}</dd></dl>
      <p><button type="button" onClick=${() => show({ q: linesOf(source), start: "-7d", end: "" })}>${t("linesOf")}</button></p>
    </div>
  </section>`;
}

/** linesOf is the search for what a source has brought. */
const linesOf = (source) => (source.kind === "file" && source.name.startsWith("/") ? clause("log.file.path", source.name) : clause("tally.source", source.source));

/** Picture draws the ranges of a source along one line: accounted for, and missing. */
function Picture({ source }) {
  const end = Math.max(1, source.ranges.at(-1)?.[1] ?? 0, ...source.gaps.map((g) => g.to ?? g.from + 1), ...source.in_flight.map((g) => g.to ?? g.from));
  const width = 1000;
  const x = (n) => (n / end) * width;
  const bar = (from, to, name) => html`<rect class=${name} x=${x(from)} y="0" width=${Math.max(2, x(to) - x(from))} height="14" />`;
  const label = t("pictureOf", { n: number(source.ranges.length), m: number(source.gaps.length) });
  return html`<svg class="picture" viewBox=${`0 0 ${width} 14`} preserveAspectRatio="none" role="img" aria-label=${label}>
    ${source.ranges.slice(0, 2000).map(([from, to]) => bar(from, to, "there"))}
    ${source.gaps.slice(0, 2000).map((g) => bar(g.from, g.to ?? end, "gone"))}
    ${source.in_flight.map((g) => bar(g.from, g.to ?? end, "coming"))}
  </svg>`;
}
