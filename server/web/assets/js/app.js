// The frame: login, or the header with the page below it.
import { logout, session } from "./api.js";
import { Choices, Mark } from "./brand.js";
import { BrowsePage } from "./browse/page.js";
import { ClustersPage } from "./clusters/page.js";
import { Help } from "./help.js";
import { effect, html, useEffect } from "./html.js";
import { t } from "./i18n.js";
import { onKey } from "./keys.js";
import { SearchPage } from "./search/page.js";
import { Login } from "./login.js";
import { OperationsPage } from "./operations/page.js";
import { help } from "./prefs.js";
import { SourcesPage } from "./sources/page.js";
import { Toast } from "./toast.js";
import { follow, hrefOf, route, view } from "./view.js";

effect(() => {
  const { q } = view.value;
  const { page } = route.value;
  const name = page === "search" ? q : t(`page_${page}`);
  document.title = session.value.state === "in" && name ? `${name} · tally` : "tally";
});

export function App() {
  const { state } = session.value;
  if (state === "unknown") return html`<div class="blank" aria-busy="true"></div>`;
  return state === "in" ? html`<${Shell} />` : html`<${Login} />`;
}

const components = { search: SearchPage, browse: BrowsePage, sources: SourcesPage, clusters: ClustersPage, operations: OperationsPage };
// Who only reads has no use for what the others steer.
const forOperators = new Set(["clusters", "operations"]);
/** allowed are the pages that the session's role may open. */
const allowed = () => Object.keys(components).filter((p) => !forOperators.has(p) || ["operator", "admin"].includes(session.value.role));

function Shell() {
  const names = allowed();
  useEffect(() => {
    const listener = onKey(allowed);
    document.addEventListener("keydown", listener);
    return () => document.removeEventListener("keydown", listener);
  }, []);
  const page = names.includes(route.value.page) ? route.value.page : "search";
  return html`<div class="shell">
    <header class="top">
      <h1 class="brand"><${Mark} /><span>tally</span></h1>
      <nav class="pages" aria-label=${t("pages")}>
        ${names.map((name) => html`<a key=${name} href=${hrefOf(name)} aria-current=${name === page ? "page" : undefined} onClick=${follow(name)}>${t(`page_${name}`)}</a>`)}
      </nav>
      <span class="gap"></span>
      <${Choices} />
      <span class="who" title=${session.value.role ?? ""}>${session.value.user}</span>
      <button type="button" class="quiet" onClick=${logout}>${t("logOut")}</button>
    </header>
    <${components[page]} />
    ${help.value && html`<${Help} close=${() => (help.value = false)} />`}
    <${Toast} />
  </div>`;
}
