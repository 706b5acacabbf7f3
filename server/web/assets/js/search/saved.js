// Searches that were kept: one's own, and those that others of the tenant share. The server keeps them, for every browser.
import { getJSON, onLeave, sendJSON, session } from "../api.js";
import { failureText } from "../failure.js";
import { html, signal, useEffect, useState } from "../html.js";
import { t } from "../i18n.js";
import { Icon } from "../icons.js";
import { Menu } from "../menu.js";
import { say } from "../toast.js";
import { reshape, shape, show, view } from "../view.js";

const saved = signal(null);
onLeave(() => (saved.value = null));

async function load() {
  saved.value = (await getJSON("searches", {})).searches;
}

export function Saved() {
  return html`<${Menu} label=${t("savedSearches")} icon="star" kind="dialog">${(close) => html`<${List} close=${close} />`}</${Menu}>`;
}

function List({ close }) {
  const [name, setName] = useState("");
  const [shared, setShared] = useState(false);
  const [failure, setFailure] = useState(null);
  const attempt = (f) => f().then(() => setFailure(null), setFailure);
  useEffect(() => void attempt(load), []);
  const keep = (event) => {
    event.preventDefault();
    const { q, start, end } = view.peek();
    const { columns, by } = shape.peek();
    attempt(async () => {
      await sendJSON("PUT", `searches/${encodeURIComponent(name.trim())}`, { query: q, start, end, columns, by, shared });
      await load();
      setName("");
      say(t("saved"));
    });
  };
  const use = (s) => {
    reshape({ columns: s.columns, by: s.by });
    show({ q: s.query, start: s.start, end: s.end });
    close();
  };
  const remove = (s) => attempt(async () => {
    await sendJSON("DELETE", `searches/${encodeURIComponent(s.name)}`);
    await load();
  });
  const mine = (s) => s.owner === session.value.user;
  return html`<div class="saved">
    ${failure && html`<p class="alert" role="alert">${failureText(failure)}</p>`}
    ${saved.value?.length === 0 && html`<p class="none">${t("noSaved")}</p>`}
    ${(saved.value ?? []).map((s) => html`<div key=${`${s.owner} ${s.name}`} class="kept">
      <button type="button" class="quiet item" onClick=${() => use(s)}><b>${s.name}</b><code>${s.query || "*"}</code>
        ${s.shared && html`<small>${mine(s) ? t("sharedByYou") : t("sharedBy", { name: s.owner })}</small>`}</button>
      ${mine(s) && html`<button type="button" class="quiet icon" aria-label=${t("deleteNamed", { name: s.name })} title=${t("deleteNamed", { name: s.name })} onClick=${() => remove(s)}><${Icon} name="trash" /></button>`}
    </div>`)}
    <form onSubmit=${keep}>
      <label>${t("saveThis")} <input value=${name} maxlength="100" required placeholder=${t("nameOfSearch")} onInput=${(e) => setName(e.target.value)} /></label>
      <label class="check"><input type="checkbox" checked=${shared} onChange=${(e) => setShared(e.target.checked)} /> ${t("shareIt")}</label>
      <button type="submit" class="primary">${t("save")}</button>
    </form>
  </div>`;
}
