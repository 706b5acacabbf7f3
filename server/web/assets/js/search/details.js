// All fields of one line, with a way from each value to a narrower search.
import { html, useEffect, useRef, useState } from "../html.js";
import { t } from "../i18n.js";
import { Icon } from "../icons.js";
import { narrow } from "../prefs.js";
import { full, zone } from "../time.js";
import { copy } from "../toast.js";
import { link, reshape, shape, show, view } from "../view.js";
import { coloured } from "./ansi.js";
import { toggleColumn } from "./columns.js";
import { Context, surrounding } from "./context.js";
import { pretty } from "./json.js";
import { closeDetails } from "./keys.js";
import { level, levelClass } from "./lines.js";
import { pattern } from "./marks.js";
import { filter, move, open, whole } from "./store.js";

const leading = ["@timestamp", "_id", "message"];
// What "around this time" means on both sides, in milliseconds.
const around = 30000;

/** useWhole returns all that is known of a line: first what the list has, then the whole event. */
function useWhole(line) {
  const [known, setKnown] = useState(null);
  useEffect(() => {
    const abort = new AbortController();
    whole(line.id, line.event["@timestamp"], abort.signal)
      .then((event) => event && setKnown({ id: line.id, event }))
      .catch(() => {}); // what the list has is shown already
    return () => abort.abort();
  }, [line.id]);
  return known?.id === line.id ? known.event : line.event;
}

export function Details() {
  const panel = useRef(null);
  const event = useWhole(open.value);
  useEffect(() => panel.current.focus({ preventScroll: true }), []);
  // On a phone they cover the page, which must not get the focus then.
  useEffect(() => {
    if (!narrow.value) return;
    const covered = document.querySelectorAll(".bar, .histogram, .status, .fields, .rows");
    for (const part of covered) part.inert = true;
    return () => {
      for (const part of covered) part.inert = false;
    };
  }, [narrow.value]);
  useEffect(() => {
    panel.current.querySelector("dl").scrollTop = 0;
  }, [event._id]);
  useEffect(() => () => (surrounding.value = null), []);
  const rest = Object.keys(event).filter((name) => !leading.includes(name)).sort();
  const at = Date.parse(event["@timestamp"]);
  return html`<aside class=${`details lv-${levelClass(level(event))}`} role="dialog" aria-label=${t("details")} tabindex="-1" ref=${panel}>
    <header>
      <h2>${t("details")}</h2>
      <span class="at">${full(at)} <small>${zone(at)}</small></span>
      <span class="gap"></span>
      <${Tool} name="up" label=${t("previous")} act=${() => move(-1)} />
      <${Tool} name="down" label=${t("next")} act=${() => move(1)} />
      <${Tool} name="context" label=${t("surrounding")} act=${() => (surrounding.value = open.value)} />
      <${Tool} name="link" label=${t("linkLine")} act=${() => copy(link(event._id))} />
      <${Tool} name="copy" label=${t("copyJSON")} act=${() => copy(JSON.stringify(event, null, 2))} />
      <${Tool} name="close" label=${t("close")} act=${closeDetails} />
    </header>
    <dl tabindex="0" aria-label=${t("details")}>
      ${[...leading, ...rest].filter((name) => event[name] !== undefined).map((name) => html`<${Field} key=${name} name=${name} value=${event[name]} />`)}
    </dl>
    ${surrounding.value && html`<${Context} line=${surrounding.value} close=${() => (surrounding.value = null)} />`}
  </aside>`;
}

function Tool({ name, label, act, pressed }) {
  return html`<button type="button" class="quiet icon" aria-label=${label} title=${label} aria-pressed=${pressed} onClick=${act}><${Icon} name=${name} /></button>`;
}

function Field({ name, value }) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const { columns, by } = shape.value;
  const plain = !leading.includes(name);
  return html`<div class=${`field ${name === "message" ? "main" : ""}`}>
    <dt>${name}</dt>
    <dd>
      ${text === "" ? html`<em>${t("emptyValue")}</em>` : html`<span class="value">${coloured(pretty(text), name === "message" ? pattern(view.value.q) : null)}</span>`}
      <span class="tools">
        ${name === "@timestamp"
          ? html`<${Tool} name="around" label=${t("aroundTime")} act=${() => showAround(Date.parse(text))} />`
          : html`<${Tool} name="plus" label=${t("filterFor", { name })} act=${() => filter(name, text, false)} />
              <${Tool} name="minus" label=${t("filterOut", { name })} act=${() => filter(name, text, true)} />`}
        ${plain && html`<${Tool} name="column" label=${t("asColumn", { name })} pressed=${columns.includes(name)} act=${() => toggleColumn(name)} />
          <${Tool} name="group" label=${t("groupBy", { name })} pressed=${by === name} act=${() => reshape({ by: by === name ? "" : name })} />`}
        <${Tool} name="copy" label=${t("copyName", { name })} act=${() => copy(text)} />
      </span>
    </dd>
  </div>`;
}

function showAround(at) {
  show({ start: new Date(at - around).toISOString(), end: new Date(at + around).toISOString() });
}
