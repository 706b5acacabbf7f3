// All fields of one line, with a way from each value to a narrower search.
import { html, useEffect, useRef } from "../html.js";
import { t } from "../i18n.js";
import { Icon } from "../icons.js";
import { full, zone } from "../time.js";
import { copy } from "../toast.js";
import { show, view } from "../view.js";
import { narrow } from "../prefs.js";
import { closeDetails } from "./keys.js";
import { level, levelClass } from "./lines.js";
import { marked, pattern } from "./marks.js";
import { filter, move, open } from "./store.js";

const leading = ["@timestamp", "_id", "message"];
// What "around this time" means on both sides, in milliseconds.
const around = 30000;

export function Details() {
  const panel = useRef(null);
  const { event } = open.value;
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
  }, [event]);
  const rest = Object.keys(event).filter((name) => !leading.includes(name)).sort();
  const at = Date.parse(event["@timestamp"]);
  return html`<aside class=${`details lv-${levelClass(level(event))}`} role="dialog" aria-label=${t("details")} tabindex="-1" ref=${panel}>
    <header>
      <h2>${t("details")}</h2>
      <span class="at">${full(at)} <small>${zone(at)}</small></span>
      <span class="gap"></span>
      <${Tool} name="up" label=${t("previous")} act=${() => move(-1)} />
      <${Tool} name="down" label=${t("next")} act=${() => move(1)} />
      <${Tool} name="copy" label=${t("copyJSON")} act=${() => copy(JSON.stringify(event, null, 2))} />
      <${Tool} name="close" label=${t("close")} act=${closeDetails} />
    </header>
    <dl tabindex="0" aria-label=${t("details")}>
      ${[...leading, ...rest].filter((name) => event[name] !== undefined).map((name) => html`<${Field} key=${name} name=${name} value=${event[name]} />`)}
    </dl>
  </aside>`;
}

function Tool({ name, label, act }) {
  return html`<button type="button" class="quiet icon" aria-label=${label} title=${label} onClick=${act}><${Icon} name=${name} /></button>`;
}

function Field({ name, value }) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return html`<div class=${`field ${name === "message" ? "main" : ""}`}>
    <dt>${name}</dt>
    <dd>
      ${text === "" ? html`<em>${t("emptyValue")}</em>` : html`<span class="value">${name === "message" ? marked(pretty(text), pattern(view.value.q)) : pretty(text)}</span>`}
      <span class="tools">
        ${name === "@timestamp"
          ? html`<${Tool} name="around" label=${t("aroundTime")} act=${() => showAround(Date.parse(text))} />`
          : html`<${Tool} name="plus" label=${t("filterFor", { name })} act=${() => filter(name, text, false)} />
              <${Tool} name="minus" label=${t("filterOut", { name })} act=${() => filter(name, text, true)} />`}
        <${Tool} name="copy" label=${t("copyName", { name })} act=${() => copy(text)} />
      </span>
    </dd>
  </div>`;
}

function showAround(at) {
  show({ start: new Date(at - around).toISOString(), end: new Date(at + around).toISOString() });
}

/** pretty breaks JSON into lines. It moves only white space: numbers too long for a double stay as they were written. */
export function pretty(text) {
  if (!/^\s*[[{]/.test(text) || text.length > 1e6) return text;
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  let out = "";
  let depth = 0;
  for (const [token] of text.matchAll(/"(?:\\.|[^"\\])*"|[{}[\],:]|[^\s{}[\],:"]+/g)) {
    if (token === "}" || token === "]") {
      depth--;
      if (/[{[]$/.test(out.trimEnd())) out = out.trimEnd();
      else out += `\n${"  ".repeat(depth)}`;
      out += token;
    } else if (token === "{" || token === "[") {
      out += `${token}\n${"  ".repeat(++depth)}`;
    } else if (token === ",") {
      out += `,\n${"  ".repeat(depth)}`;
    } else {
      out += token === ":" ? ": " : token;
    }
  }
  return out;
}
