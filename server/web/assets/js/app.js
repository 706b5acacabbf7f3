// The frame: login, or the header with the page below it.
import { logout, session } from "./api.js";
import { Choices, Mark } from "./brand.js";
import { effect, html } from "./html.js";
import { t } from "./i18n.js";
import { Login } from "./login.js";
import { SearchPage } from "./search/page.js";
import { Toast } from "./toast.js";
import { view } from "./view.js";

effect(() => {
  const { q } = view.value;
  document.title = session.value.state === "in" && q ? `${q} · tally` : "tally";
});

export function App() {
  const { state } = session.value;
  if (state === "unknown") return html`<div class="blank" aria-busy="true"></div>`;
  return state === "in" ? html`<${Shell} />` : html`<${Login} />`;
}

function Shell() {
  return html`<div class="shell">
    <header class="top">
      <h1 class="brand"><${Mark} />tally</h1>
      <span class="gap"></span>
      <${Choices} />
      <span class="who" title=${session.value.role ?? ""}>${session.value.user}</span>
      <button type="button" class="quiet" onClick=${logout}>${t("logOut")}</button>
    </header>
    <${SearchPage} />
    <${Toast} />
  </div>`;
}
