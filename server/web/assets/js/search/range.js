// When to search: presets, two times, and steps to earlier, later, and more.
import { html, useEffect, useRef, useState } from "../html.js";
import { t } from "../i18n.js";
import { Icon } from "../icons.js";
import { full, local, presetName, presets, relative, resolve } from "../time.js";
import { show, view } from "../view.js";

/** shift moves the range by its own length times n; widen makes it so many times as long around its middle. */
export function shift(n) {
  const { from, to } = bounds();
  move(from + n * (to - from), to + n * (to - from));
}

export function widen(n) {
  const { from, to } = bounds();
  const more = ((n - 1) * (to - from)) / 2;
  move(from - more, to + more);
}

function bounds() {
  const now = Date.now();
  const { start, end } = view.peek();
  return { from: resolve(start, now, now - 36e5), to: resolve(end, now, now) };
}

function move(from, to) {
  const now = Date.now();
  // Nothing lies in the future; a range that would reach into it ends now.
  if (to >= now) [from, to] = [from - Math.max(0, to - now) / 2, now];
  show({ start: new Date(from).toISOString(), end: to >= now ? "" : new Date(to).toISOString() });
}

/** Range offers the presets. A range from the URL or the histogram that is none of them is one more entry. */
export function Range({ custom, setCustom }) {
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
  const step = (icon, key, act) => html`<button type="button" class="quiet icon" aria-label=${t(key)} title=${t(key)} onClick=${act}><${Icon} name=${icon} /></button>`;
  return html`<div class="when">
    ${step("left", "earlier", () => shift(-1))}
    <select class="range" aria-label=${t("timeRange")} value=${chosen} onChange=${change}>
      ${!isPreset && html`<option value="present" selected=${chosen === "present"}>${name()}</option>`}
      ${presets.map((p) => html`<option value=${p} selected=${chosen === p}>${presetName(p)}</option>`)}
      <option value="custom" selected=${chosen === "custom"}>${t("custom")}</option>
    </select>
    ${step("right", "later", () => shift(1))}
    ${step("zoomout", "zoomOut", () => widen(3))}
  </div>`;
}

/** Custom takes a start and an end in the browser's time zone. */
export function Custom({ close }) {
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
