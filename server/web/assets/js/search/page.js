// The search page: bar, histogram, fields, lines, details.
import { session } from "../api.js";
import { effect, html, useEffect } from "../html.js";
import { sidebar } from "../prefs.js";
import { view } from "../view.js";
import { Bar } from "./bar.js";
import { Details } from "./details.js";
import { Fields } from "./fields.js";
import { Histogram } from "./histogram.js";
import { useKeys } from "./keys.js";
import { Rows } from "./rows.js";
import { open, search } from "./store.js";
import { Status } from "./status.js";
import { end } from "./tail.js";

export function SearchPage() {
  useEffect(
    () =>
      effect(() => {
        view.value;
        // At the end of a session the view is emptied; that is not a search.
        if (session.peek().state === "in") search();
      }),
    [],
  );
  // Nobody watches a tail on another page.
  useEffect(() => end, []);
  useKeys();
  return html`<main class="page">
    <${Bar} />
    <${Histogram} />
    <${Status} />
    <div class="work">
      ${sidebar.value === "open" && html`<${Fields} />`}
      <${Rows} />
      ${open.value && html`<${Details} />`}
    </div>
  </main>`;
}
