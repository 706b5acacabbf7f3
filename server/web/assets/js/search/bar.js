// The bar on top: what to search, when, and the live tail.
import { failureText } from "../failure.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { t } from "../i18n.js";
import { Icon } from "../icons.js";
import { full, local, presetName, presets, relative, resolve } from "../time.js";
import { show, view } from "../view.js";
import { failure } from "./store.js";
import { tail, toggle } from "./tail.js";

export function Bar() {
  const [text, setText] = useState(view.value.q);
  const [custom, setCustom] = useState(false);
  // A click on a value, Back, or a link changes the query from outside.
  useEffect(() => setText(view.value.q), [view.value]);
  const submit = (event) => {
    event.preventDefault();
    show({ q: text.trim() });
  };
  const on = tail.value.state !== "off";
  return html`<div class="bar">
    <form class="query" onSubmit=${submit}>
      <span class="lens"><${Icon} name="search" /></span>
      <input type="search" id="search" aria-label=${t("search")} placeholder=${t("searchHint")} value=${text}
        onInput=${(e) => setText(e.target.value)} spellcheck=${false} autocomplete="off" autocapitalize="none" enterkeyhint="search"
        aria-invalid=${failure.value?.status === 400} aria-describedby=${failure.value ? "failure" : undefined} />
      <button type="submit" class="primary">${t("run")}</button>
    </form>
    <${Range} custom=${custom} setCustom=${setCustom} />
    <button type="button" class="tail" aria-pressed=${on} onClick=${toggle}><span class="dot"></span>${t("liveTail")}</button>
    ${custom && html`<${Custom} close=${() => setCustom(false)} />`}
    <${Problem} />
  </div>`;
}

/** Range offers the presets. A range from the URL or the histogram that is none of them is one more entry. */
function Range({ custom, setCustom }) {
  const { start, end } = view.value;
  const isPreset = end === "" && presets.includes(start);
  const now = Date.now();
  const name = () => {
    if (end === "" && relative(start) !== null) return presetName(start);
    const from = resolve(start, now, NaN);
    const to = end === "" ? now : resolve(end, now, NaN);
    if (Number.isNaN(from) || Number.isNaN(to)) return `${start} – ${end}`;
    const sameDay = new Date(from).toDateString() === new Date(to).toDateString();
    return `${full(from)} – ${end === "" ? t("now") : sameDay ? full(to).slice(11) : full(to)}`;
  };
  const change = (event) => {
    const value = event.target.value;
    setCustom(value === "custom");
    if (value !== "custom" && value !== "present") show({ start: value, end: "" });
  };
  const chosen = custom ? "custom" : isPreset ? start : "present";
  return html`<select class="range" aria-label=${t("timeRange")} value=${chosen} onChange=${change}>
    ${!isPreset && html`<option value="present" selected=${chosen === "present"}>${name()}</option>`}
    ${presets.map((p) => html`<option value=${p} selected=${chosen === p}>${presetName(p)}</option>`)}
    <option value="custom" selected=${chosen === "custom"}>${t("custom")}</option>
  </select>`;
}

/** Custom takes a start and an end in the browser's time zone. */
function Custom({ close }) {
  const now = Date.now();
  const { start, end } = view.peek();
  const [from, setFrom] = useState(local(resolve(start, now, now - 36e5)));
  const [to, setTo] = useState(end === "" ? "" : local(resolve(end, now, now)));
  const [bad, setBad] = useState(false);
  const first = useRef(null);
  useEffect(() => first.current.focus(), []);
  const submit = (event) => {
    event.preventDefault();
    const a = Date.parse(from);
    const b = to === "" ? Date.now() : Date.parse(to);
    if (!(a < b)) {
      setBad(true);
      return;
    }
    show({ start: new Date(a).toISOString(), end: to === "" ? "" : new Date(b).toISOString() });
    close();
  };
  return html`<form class="custom" onSubmit=${submit} onKeyDown=${(e) => e.key === "Escape" && (e.stopPropagation(), close())}>
    <label>${t("from")} <input ref=${first} type="datetime-local" step="1" required value=${from} onInput=${(e) => setFrom(e.target.value)} /></label>
    <label>${t("to")} <input type="datetime-local" step="1" value=${to} onInput=${(e) => setTo(e.target.value)} /></label>
    <button type="submit">${t("apply")}</button>
    ${bad && html`<span class="alert" role="alert">${t("badRange")}</span>`}
  </form>`;
}

/** Problem shows why a search failed, at the column of the query where the server saw it. */
function Problem() {
  if (!failure.value) return null;
  const column = /column (\d+)/.exec(failure.value.message)?.[1];
  const chars = Array.from(view.value.q.trim());
  const at = column === undefined ? -1 : Math.min(Number(column) - 1, chars.length);
  const marked =
    at >= 0 && html`<code class="where">${chars.slice(0, at).join("")}<mark>${chars[at] ?? " "}</mark>${chars.slice(at + 1).join("")}</code>`;
  return html`<div class="alert problem" role="alert" id="failure">${marked}<span>${failureText(failure.value)}</span></div>`;
}
