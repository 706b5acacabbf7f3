// The bar on top: what to search, when, and the live tail.
import { failureText } from "../failure.js";
import { html, useState } from "../html.js";
import { t } from "../i18n.js";
import { view } from "../view.js";
import { Box, columnOf } from "./box.js";
import { Custom, Range } from "./range.js";
import { Saved } from "./saved.js";
import { failure } from "./store.js";
import { tail, toggle } from "./tail.js";

export function Bar() {
  const [custom, setCustom] = useState(false);
  const on = tail.value.state !== "off";
  return html`<div class="bar">
    <${Box} />
    <${Saved} />
    <${Range} custom=${custom} setCustom=${setCustom} />
    <button type="button" class="tail" aria-pressed=${on} onClick=${toggle}><span class="dot"></span>${t("liveTail")}</button>
    ${custom && html`<${Custom} close=${() => setCustom(false)} />`}
    <${Problem} />
  </div>`;
}

/** Problem shows why a search failed, at the column of the query where the server saw it. */
function Problem() {
  if (!failure.value) return null;
  const chars = Array.from(view.value.q.trim());
  const at = Math.min(columnOf(failure.value), chars.length);
  const marked =
    at >= 0 && html`<code class="where">${chars.slice(0, at).join("")}<mark>${chars[at] ?? " "}</mark>${chars.slice(at + 1).join("")}</code>`;
  return html`<div class="alert problem" role="alert" id="failure">${marked}<span>${failureText(failure.value)}</span></div>`;
}
