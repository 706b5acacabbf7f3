// Operations: how the servers are, what is stored, what was rejected, how lines are cleaned, and who may do what.
import { session } from "../api.js";
import { html } from "../html.js";
import { t } from "../i18n.js";
import { follow, hrefOf, route } from "../view.js";
import { Access } from "./access.js";
import { Audit } from "./audit.js";
import { Letters } from "./letters.js";
import { Pipelines } from "./pipelines.js";
import { Plugins } from "./plugins.js";
import { Servers } from "./servers.js";
import { Storage } from "./storage.js";

const tabs = { servers: Servers, storage: Storage, letters: Letters, pipelines: Pipelines, plugins: Plugins, access: Access, audit: Audit };
const forAdmins = new Set(["access", "audit"]);

export function OperationsPage() {
  const names = Object.keys(tabs).filter((name) => !forAdmins.has(name) || session.value.role === "admin");
  const tab = names.includes(route.value.params.tab) ? route.value.params.tab : names[0];
  return html`<main class="plain">
    <nav class="crumbs tabs" aria-label=${t("page_operations")}>
      ${names.map((name) => html`<a key=${name} href=${hrefOf("operations", { tab: name })} aria-current=${name === tab ? "page" : undefined} onClick=${follow("operations", { tab: name })}>${t(`tab_${name}`)}</a>`)}
    </nav>
    <div class="scroll pad" tabindex="0" role="region" aria-label=${t(`tab_${tab}`)}><${tabs[tab]} key=${tab} /></div>
  </main>`;
}
