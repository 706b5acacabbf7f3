// Pipelines: those in force with what each step has done, and a place to try a configuration on lines, step by step.
import { sendJSON } from "../api.js";
import { Problem, State, useAct, useData } from "../data.js";
import { html, useState } from "../html.js";
import { number, t } from "../i18n.js";
import { say } from "../toast.js";

const example = `pipelines:
- name: example
  processors:
  - grok:
      field: message
      patterns: ['%{IPORHOST:source.ip} %{WORD:http.request.method} %{NUMBER:http.response.status_code:int}']
  - add_tags: {tags: [tried]}
`;
const line = "10.0.0.7 GET 200\nno match here";

export function Pipelines() {
  const all = useData("pipelines", {}, 15e3);
  const [act, failure, busy] = useAct();
  const reload = () => act(async () => {
    const done = await sendJSON("POST", "pipelines/reload");
    say(t("reloaded", { n: done.pipelines }));
    all.again();
  });
  return html`<${State} of=${all} /><${Problem} failure=${failure} />
    ${all.data && html`<section class="card-wide" aria-label=${t("inForce")}>
      <header><h2>${t("inForce")}</h2><span class="gap"></span><button type="button" disabled=${busy} onClick=${reload}>${t("reload")}</button></header>
      ${all.data.pipelines.length === 0 && html`<p class="hint">${t("noPipelines")}</p>`}
      ${all.data.pipelines.map((p) => html`<details class="pipeline" key=${p.name}><summary><b>${p.name}</b> <small>${t("pipelineDid", { events: number(p.events), dropped: number(p.dropped), joined: number(p.joined) })}</small></summary>
        ${p.when && html`<p><code>${p.when}</code></p>`}<${Steps} list=${p.steps} /></details>`)}
      <p class="hint">${t("readyOnes")} ${all.data.ready.map((r) => html`<code>${r}</code> `)}</p>
    </section>`}
    <${Try} />`;
}

function Steps({ list }) {
  return html`<ol class="steps">${list.map((s) => html`<li><code>${s.processor}</code> <span class="desc">${s.description}</span>
    <small>${number(s.events)}${s.dropped > 0 ? ` · ${t("droppedN", { n: number(s.dropped) })}` : ""}${s.failures + s.panics > 0 ? ` · ${t("failedN", { n: number(s.failures + s.panics) })}` : ""}</small>
    ${s.then && html`<${Steps} list=${s.then} />`}${s.else && html`<${Steps} list=${s.else} />`}</li>`)}</ol>`;
}

/** Try runs a configuration that is not in force; nothing is stored. */
function Try() {
  const [config, setConfig] = useState(example);
  const [lines, setLines] = useState(line);
  const [results, setResults] = useState(null);
  const [act, failure, busy] = useAct();
  const run = (event) => {
    event.preventDefault();
    act(async () => setResults(await sendJSON("POST", "pipelines/test", { config, lines: lines.split("\n").filter((l) => l !== "") })));
  };
  return html`<section class="card-wide" aria-label=${t("tryIt")}><h2>${t("tryIt")}</h2>
    <form class="try" onSubmit=${run}>
      <label>${t("configuration")}<textarea rows="12" spellcheck=${false} value=${config} onInput=${(e) => setConfig(e.target.value)}></textarea></label>
      <label>${t("linesToTry")}<textarea rows="12" spellcheck=${false} value=${lines} onInput=${(e) => setLines(e.target.value)}></textarea></label>
      <button type="submit" class="primary" disabled=${busy}>${t("tryIt")}</button>
    </form>
    <${Problem} failure=${failure} />
    ${results && !failure && html`<div role="status">
      ${results.tests.ran > 0 && html`<p class=${results.tests.failed.length ? "warning" : "hint"}>${t("testsRan", { ran: results.tests.ran, failed: results.tests.failed.length })}</p>`}
      ${results.tests.failed.map((f) => html`<pre class="json" tabindex="0">${`${f.pipeline}, ${f.case}: ${f.difference}`}</pre>`)}
      ${results.results.map((r, i) => html`<${Result} key=${i} of=${r} n=${i + 1} />`)}
    </div>`}
  </section>`;
}

function Result({ of, n }) {
  const end = of.dropped ? t("wasDropped") : of.joined ? t("wasJoined") : of.rejected ? t("wasRejected") : "";
  return html`<section class="result" aria-label=${t("lineNo", { n })}><h3>${t("lineNo", { n })} ${end && html`<span class="badge st-conflict">${end}</span>`}</h3>
    <ol class="steps">${of.steps.map((s) => html`<li><code>${s.processor}</code> <small>${s.pipeline}:${s.line}</small>
      ${s.error && html`<span class="badge st-gap">${s.error}</span>`}
      ${s.dropped && html`<span class="badge st-conflict">${t("wasDropped")}</span>`}
      ${Object.keys(s.set).length > 0 && html`<pre class="added">${JSON.stringify(s.set, null, 1)}</pre>`}
      ${s.removed && html`<p class="removed">− ${s.removed.join(", ")}</p>`}</li>`)}</ol>
    ${[of.event, ...(of.more ?? [])].filter(Boolean).map((e) => html`<pre class="json" tabindex="0">${JSON.stringify(e, null, 2)}</pre>`)}
  </section>`;
}
