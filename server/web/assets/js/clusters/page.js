// Clusters: registering one, installing its agents, and how they are.
import { sendJSON, session } from "../api.js";
import { clause } from "../clauses.js";
import { Problem, State, Sure, useAct, useData } from "../data.js";
import { html, useState } from "../html.js";
import { number, t } from "../i18n.js";
import { Icon } from "../icons.js";
import { ago } from "../time.js";
import { copy } from "../toast.js";
import { follow, hrefOf, show } from "../view.js";
import { Agents } from "./agents.js";

const every = 15e3;

export function ClustersPage() {
  const all = useData("clusters", {}, every);
  const [invitation, setInvitation] = useState(null);
  const mayManage = session.value.role === "admin";
  return html`<main class="plain"><div class="scroll pad" tabindex="0" role="region" aria-label=${t("page_clusters")}>
    ${mayManage && html`<${Register} done=${(inv) => (setInvitation(inv), all.again())} />`}
    ${invitation && html`<${Invitation} of=${invitation} close=${() => setInvitation(null)} />`}
    <${State} of=${all} />
    ${all.data?.clusters.length === 0 && html`<div class="empty"><p>${t("noClusters")}</p></div>`}
    ${all.data?.clusters.map((c) => html`<${Cluster} key=${c.id ?? `?${c.name}`} of=${c} mayManage=${mayManage} invite=${setInvitation} again=${all.again} />`)}
  </div></main>`;
}

function Register({ done }) {
  const [name, setName] = useState("");
  const [act, failure, busy] = useAct();
  const submit = (event) => {
    event.preventDefault();
    act(async () => {
      done(await sendJSON("POST", "clusters", { name: name.trim() }));
      setName("");
    });
  };
  return html`<form class="line" onSubmit=${submit}>
    <label>${t("clusterName")} <input value=${name} required maxlength="253" pattern="[A-Za-z0-9_.:\\/@\\-]+" placeholder="prod-eu" onInput=${(e) => setName(e.target.value)} /></label>
    <button type="submit" class="primary" disabled=${busy}>${t("register")}</button>
    <${Problem} failure=${failure} />
  </form>`;
}

/** Invitation shows the one line that installs the agents; it is told once. */
function Invitation({ of, close }) {
  return html`<section class="card-wide invitation" aria-label=${t("install")}>
    <h2>${t("installInto", { name: of.name })}</h2>
    <p>${t("installHint", { until: new Date(of.expires).toLocaleTimeString() })}</p>
    <div class="command"><code>${of.command}</code><button type="button" onClick=${() => copy(of.command)}><${Icon} name="copy" />${t("copy")}</button></div>
    <button type="button" class="quiet" onClick=${close}>${t("dismiss")}</button>
  </section>`;
}

function Cluster({ of, mayManage, invite, again }) {
  const [act, failure] = useAct();
  const live = of.agents.filter((a) => !a.silent).length;
  const differ = Object.keys(of.configurations).length > 1;
  return html`<section class="card-wide" aria-label=${of.name}>
    <header><h2><a href=${hrefOf("browse", { cluster: `orchestrator.cluster.name=${of.name}` })} onClick=${follow("browse", { cluster: `orchestrator.cluster.name=${of.name}` })}>${of.name}</a></h2>
      ${!of.registered && html`<span class="badge">${t("notRegistered")}</span>`}
      ${of.missing.length > 0 ? html`<span class="badge st-gap">${t("nodesWithout", { n: number(of.missing.length) })}</span>` : live > 0 && html`<span class="badge st-whole">${t("allNodesHave")}</span>`}
      ${of.gaps > 0 && html`<a class="badge st-gap" href=${hrefOf("sources", { filter: of.name, missing: "1" })} onClick=${follow("sources", { filter: of.name, missing: "1" })}>${t("nGaps", { n: number(of.gaps) })}</a>`}
      <span class="gap"></span>
      ${mayManage && of.registered && html`
        <${Sure} label=${t("newCode")} name=${of.name} act=${() => act(async () => (invite(await sendJSON("POST", `clusters/${of.id}/codes`)), again()))} />
        <${Sure} label=${t("remove")} name=${of.name} act=${() => act(async () => (await sendJSON("DELETE", `clusters/${of.id}`), again()))} />`}
    </header>
    <${Problem} failure=${failure} />
    ${of.missing.length > 0 && html`<p class="warning" role="status">${t("missingNodes")} ${of.nodes.filter((n) => n.state !== "agent").map((n) => html`<span class="node" key=${n.name}>${n.name} <small>${n.state === "silent" ? t("silentSince", { ago: ago(n.updated) }) : t("noAgent")}</small></span>`)}</p>`}
    ${differ && html`<p class="warning" role="status">${t("configurationsDiffer", { n: Object.keys(of.configurations).length })}</p>`}
    ${of.agents.length > 0 ? html`<${Agents} of=${of} />` : html`<p class="hint">${of.registered ? t("noAgents") : t("agentsUnknown")}</p>`}
    ${of.codes.length > 0 && html`<ul class="codes">${of.codes.map((c) => html`<li key=${c.id}>${t("codeUntil", { id: c.id, until: new Date(c.expires).toLocaleTimeString(), n: c.used })}
      ${mayManage && html` <${Sure} label=${t("revoke")} name=${c.id} act=${() => act(async () => (await sendJSON("DELETE", `clusters/${of.id}/codes/${c.id}`), again()))} />`}</li>`)}</ul>`}
    <p><button type="button" class="quiet" onClick=${() => show({ q: clause("orchestrator.cluster.name", of.name), start: "-1h", end: "" })}>${t("linesOf")}</button>
      ${of.registered && html`<small>${t("registeredBy", { by: of.created_by, ago: ago(of.created) })}</small>`}</p>
  </section>`;
}
