// What the keys do, and how to search.
import { html, useEffect, useRef } from "./html.js";
import { t } from "./i18n.js";
import { Icon } from "./icons.js";

const keys = [
  ["j k ↓ ↑", "keyMove"],
  ["Enter", "keyOpen"],
  ["Escape", "keyClose"],
  ["/", "keySearch"],
  ["t", "keyTail"],
  ["c", "keyContext"],
  ["[ ]", "keyShift"],
  ["-", "keyZoomOut"],
  ["1 … 5", "keyPages"],
  ["?", "keyHelp"],
];

const examples = [
  ["timeout cart", "helpWords"],
  ['"status=404"', "helpPhrase"],
  ["connect*", "helpPrefix"],
  ["log.level:error", "helpField"],
  ['host.name:="node-1"', "helpExact"],
  ["http.status:>=500", "helpRange"],
  ["(refused OR reset) NOT probe", "helpNot"],
  ["i(error)", "helpCase"],
];

export function Help({ close }) {
  const dialog = useRef(null);
  // A modal dialog gives the focus back by itself when it closes.
  useEffect(() => dialog.current.showModal(), []);
  const list = (rows) => html`<dl>${rows.map(([what, key]) => html`<dt><kbd>${what}</kbd></dt><dd>${t(key)}</dd>`)}</dl>`;
  return html`<dialog class="help" ref=${dialog} aria-label=${t("help")} onClose=${close}
    onClick=${(e) => e.target === dialog.current && dialog.current.close()}>
    <div class="inside">
      <button type="button" class="quiet icon corner" aria-label=${t("close")} onClick=${() => dialog.current.close()}><${Icon} name="close" /></button>
      <h2>${t("helpKeys")}</h2>${list(keys)}
      <h2>${t("helpQuery")}</h2>${list(examples)}
    </div>
  </dialog>`;
}
