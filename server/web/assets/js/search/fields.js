// The fields of the lines found, and the most frequent values of each: a way to narrow a search without its language.
import { getJSON } from "../api.js";
import { html, signal, useEffect } from "../html.js";
import { number, t } from "../i18n.js";
import { Icon } from "../icons.js";
import { reshape, shape, view } from "../view.js";
import { toggleColumn } from "./columns.js";
import { hits } from "./hits.js";
import { filter, range } from "./store.js";

const shown = signal([]);
const opened = signal("");
const values = signal(null);
const everything = signal(false);
// How many fields, and values of one field, are shown at first.
const few = 40;
const fewValues = 12;

// These are different in every line, or the search itself.
const useless = new Set(["_id", "@timestamp", "message"]);
// What people ask for first comes first.
const usual = ["log.level", "level", "severity", "kubernetes.namespace", "kubernetes.container.name", "kubernetes.pod.name", "host.name", "log.file.path"];
const rank = (name) => (usual.includes(name) ? usual.indexOf(name) : usual.length);

/**
 * useLoaded fetches whenever the histogram was counted, so that it follows searches and live tails alike. A failure leaves
 * the list empty; the search itself says why.
 */
function useLoaded(path, more, pick, into) {
  useEffect(() => {
    const abort = new AbortController();
    if (!hits.value) {
      into.value = [];
    } else if (more) {
      const params = { ...range(view.peek()), ...more };
      getJSON(path, params, abort.signal)
        .then((answer) => (into.value = pick(answer)))
        .catch((e) => e.name !== "AbortError" && (into.value = []));
    }
    return () => abort.abort();
  }, [hits.value, more?.field]);
}

export function Fields() {
  const field = opened.value;
  useLoaded("fields", {}, (a) => a.fields.filter((f) => !useless.has(f.name)), shown);
  useLoaded("values", field ? { field } : null, (a) => a.values.slice(0, fewValues), values);
  useEffect(() => () => {
    shown.value = [];
    values.value = null;
    opened.value = "";
    everything.value = false;
  }, []);
  const toggle = (name) => {
    values.value = null;
    opened.value = opened.value === name ? "" : name;
  };
  const sorted = [...shown.value].sort((a, b) => rank(a.name) - rank(b.name) || (a.name < b.name ? -1 : 1));
  const part = everything.value ? sorted : sorted.slice(0, few);
  return html`<nav class="fields" aria-label=${t("fields")}>
    ${sorted.length === 0 && html`<p class="none">${t("noFields")}</p>`}
    ${part.map((f) => html`<div key=${f.name} class="entry">
      <button type="button" class="name" aria-expanded=${f.name === field} onClick=${() => toggle(f.name)}>
        <${Icon} name="right" /><span>${f.name}</span><small>${number(f.count)}</small>
      </button>
      ${f.name === field && html`<${Uses} field=${field} /><${Values} field=${field} />`}
    </div>`)}
    ${part.length < sorted.length && html`<button type="button" class="name" onClick=${() => (everything.value = true)}>${t("more", { n: sorted.length - part.length })}</button>`}
  </nav>`;
}

/** Uses are what a field is good for beside its values: a column, and the grouping of the histogram. */
function Uses({ field }) {
  const { columns, by } = shape.value;
  return html`<p class="uses">
    <button type="button" class="quiet" aria-pressed=${columns.includes(field)} onClick=${() => toggleColumn(field)}><${Icon} name="column" />${t("column")}</button>
    <button type="button" class="quiet" aria-pressed=${by === field} onClick=${() => reshape({ by: by === field ? "" : field })}><${Icon} name="group" />${t("group")}</button>
  </p>`;
}

function Values({ field }) {
  if (values.value === null) return null;
  if (values.value.length === 0) return html`<p class="none">${t("noValues")}</p>`;
  const most = Math.max(...values.value.map((v) => v.count));
  return html`<div class="values">
    ${values.value.map(({ value, count }) => html`<div key=${value} class="value">
      <button type="button" class="take" onClick=${() => filter(field, value, false)}>
        <span class="share" style=${{ width: `${(100 * count) / most}%` }}></span>
        <span class="unseen">${t("filterForValue", { name: field })} </span>
        <span class="text">${value === "" ? t("emptyValue") : value}</span><small>${number(count)}</small>
      </button>
      <button type="button" class="quiet icon" aria-label=${t("filterOutValue", { name: field, value })} title=${t("filterOutValue", { name: field, value })}
        onClick=${() => filter(field, value, true)}><${Icon} name="minus" /></button>
    </div>`)}
  </div>`;
}
