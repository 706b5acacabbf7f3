// Taking what was found away: as NDJSON with all fields, or as CSV with the columns on the screen.
import { exportURL } from "../api.js";
import { html } from "../html.js";
import { t } from "../i18n.js";
import { Icon } from "../icons.js";
import { Menu } from "../menu.js";
import { fixed, shape, view } from "../view.js";
import { range } from "./store.js";

const usual = ["log.level", "host.name", "kubernetes.namespace", "kubernetes.pod.name", "kubernetes.container.name"];

export function Download() {
  const { columns } = shape.value;
  const names = ["@timestamp", ...(columns.length ? columns : usual), "message"];
  // The range is fixed when the menu opens: what comes down is what the eyes saw.
  const params = () => range(fixed(view.value));
  return html`<${Menu} label=${t("download")} icon="download">
    ${(close) => html`<a class="item" role="menuitem" tabindex="-1" download href=${exportURL({ ...params(), format: "ndjson" })} onClick=${close}>NDJSON <small>${t("allFields")}</small></a>
      <a class="item" role="menuitem" tabindex="-1" download href=${exportURL({ ...params(), format: "csv", fields: names.join(",") })} onClick=${close}>CSV <small>${names.join(", ")}</small></a>`}
  </${Menu}>`;
}
