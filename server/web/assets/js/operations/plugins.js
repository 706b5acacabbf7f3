// The plugins of the pipelines in force.
import { bytes, State, useData } from "../data.js";
import { html } from "../html.js";
import { number, named, t } from "../i18n.js";
import { ago } from "../time.js";
import { Table } from "./storage.js";

const good = new Set(["running", "starting"]);

export function Plugins() {
  const all = useData("plugins", {}, 10e3);
  const ends = (p) => Object.entries(p.ends ?? {}).map(([why, n]) => `${why} × ${n}`).join(", ");
  return html`<${State} of=${all} />
    ${all.data?.plugins.length === 0 && html`<div class="empty"><p>${t("noPlugins")}</p></div>`}
    ${all.data?.plugins.length > 0 && html`<${Table} heads=${["name", "version", "state", "since", "events#", "failed#", "memory#", "restarts#", "ends", "lastError"]} rows=${all.data.plugins.map((p) => [
      p.name, p.version ?? "", html`<span class=${`badge ${good.has(p.state) ? "st-whole" : "st-gap"}`}>${named("plugin", p.state)}</span>`, ago(p.since), number(p.events), number(p.failed), bytes(p.memory_bytes ?? 0), number(p.restarts), ends(p), p.last_error ?? ""])} />`}`;
}
