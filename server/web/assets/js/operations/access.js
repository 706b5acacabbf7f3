// Who may do what: users, tokens, tenants.
import { sendJSON, session } from "../api.js";
import { Problem, State, Sure, useAct, useData } from "../data.js";
import { html, useState } from "../html.js";
import { named, t } from "../i18n.js";
import { Icon } from "../icons.js";
import { ago } from "../time.js";
import { copy } from "../toast.js";
import { Table } from "./storage.js";

const roles = ["reader", "operator", "admin", "push"];
const list = (text) => text.split(/[\s,]+/).filter(Boolean);
const scope = (e) => [e.namespaces?.length ? `${t("by_namespace")}: ${e.namespaces.join(", ")}` : "", e.clusters?.length ? `${t("by_cluster")}: ${e.clusters.join(", ")}` : ""].filter(Boolean).join("; ") || t("wholeTenant");

export function Access() {
  return html`<${Users} /><${Tokens} /><${Tenants} />`;
}

/** Form makes a user or a token: name, role and scope, and either a password or an end; send gets the texts of its inputs. */
function Form({ label, extra, send }) {
  const empty = { name: "", password: "", role: "reader", namespaces: "", clusters: "", tenant: "", expires: "" };
  const [v, setV] = useState(empty);
  const [act, failure, busy] = useAct();
  const on = (key) => ({ value: v[key], onInput: (e) => setV({ ...v, [key]: e.target.value }) });
  const submit = (event) => {
    event.preventDefault();
    act(async () => {
      await send(v);
      setV(empty);
    });
  };
  return html`<form class="line" aria-label=${label} onSubmit=${submit}>
    <label>${t("col_name")} <input required maxlength="128" autocomplete="off" ...${on("name")} /></label>
    ${extra === "password" && html`<label>${t("password")} <input type="password" required minlength="8" autocomplete="new-password" ...${on("password")} /></label>`}
    <label>${t("col_role")} <select ...${on("role")}>${roles.map((r) => html`<option value=${r} selected=${r === v.role}>${named("role", r)}</option>`)}</select></label>
    <label>${t("col_tenant")} <input placeholder=${session.value.tenant} ...${on("tenant")} /></label>
    <label>${t("plural_namespace")} <input placeholder="shop, team-*" ...${on("namespaces")} /></label>
    <label>${t("plural_cluster")} <input placeholder="prod-*" ...${on("clusters")} /></label>
    ${extra === "expires" && html`<label>${t("col_expires")} <input type="date" ...${on("expires")} /></label>`}
    <button type="submit" class="primary" disabled=${busy}>${label}</button>
    <${Problem} failure=${failure} />
  </form>`;
}

const scoped = ({ namespaces, clusters, tenant }) => ({ namespaces: list(namespaces), clusters: list(clusters), ...(tenant ? { tenant: tenant.trim() } : {}) });

function Users() {
  const all = useData("users");
  const [act, failure] = useAct();
  const change = (method, u, body) => act(async () => (await sendJSON(method, `users/${encodeURIComponent(u.name)}`, body), all.again()));
  const send = async ({ name, password, role, ...rest }) => {
    await sendJSON("POST", "users", { name, password, role, ...scoped(rest) });
    all.again();
  };
  return html`<section class="card-wide" aria-label=${t("users")}><h2>${t("users")}</h2>
    <${Form} label=${t("addUser")} extra="password" send=${send} /><${Problem} failure=${failure} /><${State} of=${all} />
    ${all.data && html`<${Table} heads=${["name", "role", "tenant", "scope", "state", ""]} rows=${all.data.users.map((u) => [u.name, named("role", u.role), u.tenant, scope(u),
      u.disabled ? html`<span class="badge st-gap">${t("disabled")}</span>` : t("enabled"),
      u.name === session.value.user ? "" : html`<span class="actions"><button type="button" aria-label=${t("actNamed", { what: t(u.disabled ? "enable" : "disable"), name: u.name })} onClick=${() => change("PATCH", u, { disabled: !u.disabled })}>${t(u.disabled ? "enable" : "disable")}</button>
        <${Sure} label=${t("remove")} name=${u.name} act=${() => change("DELETE", u)} /></span>`])} />`}
  </section>`;
}

function Tokens() {
  const all = useData("tokens");
  const [secret, setSecret] = useState(null);
  const [act, failure] = useAct();
  const send = async ({ name, role, expires, ...rest }) => {
    setSecret((await sendJSON("POST", "tokens", { name, role, ...scoped(rest), ...(expires ? { expires: new Date(`${expires}T23:59:59`).toISOString() } : {}) })).token);
    all.again();
  };
  const revoke = (e) => act(async () => (await sendJSON("DELETE", `tokens/${e.id}`), all.again()));
  return html`<section class="card-wide" aria-label=${t("tokens")}><h2>${t("tokens")}</h2>
    <${Form} label=${t("addToken")} extra="expires" send=${send} />
    ${secret && html`<div class="invitation" role="status"><p>${t("secretOnce")}</p><div class="command"><code>${secret}</code><button type="button" onClick=${() => copy(secret)}><${Icon} name="copy" />${t("copy")}</button></div>
      <button type="button" class="quiet" onClick=${() => setSecret(null)}>${t("dismiss")}</button></div>`}
    <${Problem} failure=${failure} /><${State} of=${all} />
    ${all.data && html`<${Table} heads=${["name", "role", "tenant", "scope", "expires", "lastUsed", ""]} rows=${all.data.tokens.map((e) => [e.name, named("role", e.role), e.tenant, scope(e), e.expires?.slice(0, 10) ?? t("never"), e.last_used ? ago(e.last_used) : t("never"),
      html`<span class="actions"><${Sure} label=${t("revoke")} name=${e.name} act=${() => revoke(e)} /></span>`])} />`}
  </section>`;
}

function Tenants() {
  const all = useData("tenants");
  const [name, setName] = useState("");
  const [act, failure, busy] = useAct();
  const submit = (event) => {
    event.preventDefault();
    act(async () => {
      await sendJSON("POST", "tenants", { name });
      setName("");
      all.again();
    });
  };
  return html`<section class="card-wide" aria-label=${t("tenants")}><h2>${t("tenants")}</h2>
    <form class="line" onSubmit=${submit}><label>${t("col_name")} <input required pattern="[a-z0-9][a-z0-9_\\-]*" maxlength="63" value=${name} onInput=${(e) => setName(e.target.value)} /></label>
      <button type="submit" class="primary" disabled=${busy}>${t("addTenant")}</button><${Problem} failure=${failure} /></form>
    <${State} of=${all} />
    ${all.data && html`<${Table} heads=${["name", "number#", "created"]} rows=${all.data.tenants.map((e) => [e.name, e.number, e.created?.slice(0, 10) ?? ""])} />`}
  </section>`;
}
