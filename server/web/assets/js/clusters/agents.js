// The agents of a cluster: version, last contact, lag, rate, errors, and whose configuration differs.
import { getJSON } from "../api.js";
import { clause } from "../clauses.js";
import { html, useEffect, useState } from "../html.js";
import { number, t } from "../i18n.js";
import { ago } from "../time.js";

// The rate is the mean of so many seconds.
const over = 300;

/** useRates counts what each host of a cluster has brought, in lines a second. */
function useRates(cluster) {
  const [rates, setRates] = useState({});
  useEffect(() => {
    const abort = new AbortController();
    getJSON("stats", { query: clause("orchestrator.cluster.name", cluster), start: `-${over}s`, fn: "count", by: "host.name", top: 1000 }, abort.signal)
      .then(({ rows }) => setRates(Object.fromEntries(rows.map((r) => [r["host.name"], r.count / over]))))
      .catch(() => {}); // the table stands without rates
    return () => abort.abort();
  }, [cluster]);
  return rates;
}

export function Agents({ of }) {
  const rates = useRates(of.name);
  // The configuration that most agents have is the one that the others differ from.
  const [usual] = Object.entries(of.configurations).sort((a, b) => b[1] - a[1])[0] ?? [""];
  return html`<div class="wide"><table class="list">
    <thead><tr><th>${t("node")}</th><th>${t("version")}</th><th>${t("lastContact")}</th><th class="num">${t("lag")}</th><th class="num">${t("perSecond")}</th><th class="num">${t("openSources")}</th><th class="num">${t("errors")}</th><th>${t("configuration")}</th></tr></thead>
    <tbody>${of.agents.map((a) => html`<${Agent} key=${a.id} of=${a} rate=${rates[a.node]} usual=${usual} />`)}</tbody>
  </table></div>`;
}

function Agent({ of, rate, usual }) {
  const [open, setOpen] = useState(false);
  return html`<tr>
      <th scope="row"><button type="button" class="name" aria-expanded=${open} onClick=${() => setOpen(!open)}>${of.node || of.id}</button></th>
      <td>${of.version}</td>
      <td>${of.silent ? html`<span class="badge st-gap">${ago(of.updated)}</span>` : ago(of.updated)}</td>
      <td class="num">${number(of.lag)}</td>
      <td class="num">${rate === undefined ? "" : rate < 10 ? rate.toFixed(2) : number(Math.round(rate))}</td>
      <td class="num">${number(of.open)}</td>
      <td class="num">${of.errors > 0 ? html`<span class="badge st-gap">${number(of.errors)}</span>` : "0"}</td>
      <td><code>${of.config.slice(0, 8)}</code> ${of.config !== "" && of.config !== usual && html`<span class="badge st-conflict">${t("differs")}</span>`}</td>
    </tr>
    ${open && html`<tr><td colspan="8"><pre class="json" tabindex="0">${JSON.stringify(of.status, null, 2)}</pre></td></tr>`}`;
}
