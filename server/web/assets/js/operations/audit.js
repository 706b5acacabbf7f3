// The audit log, newest first.
import { getJSON } from "../api.js";
import { Problem, useAct } from "../data.js";
import { html, useEffect, useState } from "../html.js";
import { t } from "../i18n.js";
import { full } from "../time.js";
import { Table } from "./storage.js";

const page = 100;

export function Audit() {
  const [entries, setEntries] = useState([]);
  const [end, setEnd] = useState(false);
  const [act, failure, busy] = useAct();
  const more = () => act(async () => {
    const { audit } = await getJSON("audit", { limit: page, before: entries.at(-1)?.id });
    setEntries([...entries, ...audit]);
    setEnd(audit.length < page);
  });
  useEffect(() => void more(), []);
  return html`<${Problem} failure=${failure} />
    <${Table} heads=${["when", "who", "from", "action", "detail"]} rows=${entries.map((e) => [full(Date.parse(e.time)), e.principal, e.remote, html`<code>${e.action}</code>`, html`<code>${e.detail}</code>`])} />
    ${!end && html`<p class="foot"><button type="button" disabled=${busy} onClick=${more}>${t("loadMore")}</button></p>`}`;
}
