// The audit log, newest first.
import { getJSON } from "../api.js";
import { Missing, Problem, useAct } from "../data.js";
import { html, useEffect, useState } from "../html.js";
import { t } from "../i18n.js";
import { full } from "../time.js";
import { Table } from "./storage.js";

const page = 100;

export function Audit() {
  const [entries, setEntries] = useState([]);
  const [next, setNext] = useState(undefined);
  const [away, setAway] = useState([]);
  const [act, failure, busy] = useAct();
  const more = () => act(async () => {
    const { audit, cursor, missing } = await getJSON("audit", { limit: page, before: next });
    setEntries([...entries, ...audit]);
    setNext(cursor);
    setAway(missing ?? []);
  });
  useEffect(() => void more(), []);
  return html`<${Problem} failure=${failure} />
    <${Missing} servers=${away} />
    <${Table} heads=${["when", "who", "from", "action", "detail"]} rows=${entries.map((e) => [full(Date.parse(e.time)), html`${e.principal}${e.server && html` <small>${e.server}</small>`}`, e.remote, html`<code>${e.action}</code>`, html`<code>${e.detail}</code>`])} />
    ${next && html`<p class="foot"><button type="button" disabled=${busy} onClick=${more}>${t("loadMore")}</button></p>`}`;
}
