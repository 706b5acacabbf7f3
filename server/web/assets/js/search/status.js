// The line between histogram and list: how many lines, what the live tail does, and small tools.
import { html } from "../html.js";
import { lines as linesText, number, t } from "../i18n.js";
import { Icon } from "../icons.js";
import { help, sidebar } from "../prefs.js";
import { copy } from "../toast.js";
import { link } from "../view.js";
import { Download } from "./download.js";
import { hits } from "./hits.js";
import { complete, lines, phase } from "./store.js";
import { held, missing, paused, retry, skipped, tail } from "./tail.js";

export function Status() {
  const toggleFields = () => (sidebar.value = sidebar.value === "open" ? "closed" : "open");
  return html`<div class="status">
    <button type="button" class="quiet" aria-expanded=${sidebar.value === "open"} onClick=${toggleFields}>
      <${Icon} name="fields" />${t("fields")}
    </button>
    <${Count} />
    <span class="gap"></span>
    <${TailState} />
    <${Download} />
    <button type="button" class="quiet link" onClick=${() => copy(link())}><${Icon} name="link" /><span>${t("link")}</span></button>
    <button type="button" class="quiet icon" aria-label=${t("help")} title=${t("help")} onClick=${() => (help.value = true)}>?</button>
    ${missing.value.length > 0 && html`<p class="notice" role="status">${t("tailMissing", { names: missing.value.join(", ") })}</p>`}
    ${skipped.value > 0 &&
    html`<p class="notice" role="status">
      ${t("tailSkipped", { lines: linesText(skipped.value) })}
      <button type="button" class="quiet" onClick=${() => (skipped.value = 0)}>${t("dismiss")}</button>
    </p>`}
  </div>`;
}

function Count() {
  const loaded = lines.value.list.length;
  // While lines stream in, or if the histogram failed, the list itself may know more.
  const total = Math.max(hits.value?.total ?? 0, loaded);
  let text;
  if (phase.value === "searching") text = t("searching");
  else if (phase.value === "failed") text = "";
  else text = linesText(total);
  const part = loaded < total && !complete.value && phase.value !== "searching" ? t("shown", { n: number(loaded) }) : "";
  return html`<span class="count"><b aria-live=${tail.value.state === "off" ? "polite" : "off"}>${text}</b>${part && html`<small>${part}</small>`}</span>`;
}

function TailState() {
  const { state, seconds } = tail.value;
  if (state === "off") return null;
  const pause = html`<button type="button" class="quiet" onClick=${() => (paused.value = !paused.value)}>
    ${paused.value ? t("resume") : t("pause")}
  </button>`;
  if (state === "waiting") {
    return html`<span class="tailstate broken"><span role="status">${t("tailWaiting", { n: seconds })}</span>
      <button type="button" class="quiet" onClick=${retry}>${t("tailRetry")}</button></span>`;
  }
  let text = t(state === "connecting" ? "tailConnecting" : "tailLive");
  if (paused.value) text = t("tailPaused");
  if (paused.value && held.value > 0) text += ` · ${t("newLines", { lines: linesText(held.value) })}`;
  return html`<span class=${`tailstate ${paused.value ? "held" : state}`}><span role="status">${text}</span>${pause}</span>`;
}
