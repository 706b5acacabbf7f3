// "Where is my line?": one sentence about one line of one source.
import { Failure, getJSON } from "../api.js";
import { failureText } from "../failure.js";
import { html, useEffect, useState } from "../html.js";
import { named, t } from "../i18n.js";
import { local, longest } from "../time.js";
import { refine, route, show } from "../view.js";
import { clause } from "../clauses.js";

// So many names are offered to complete from.
const most = 200;

export function Explain({ sources, known }) {
  const { params } = route.value;
  const [name, setName] = useState("");
  const [position, setPosition] = useState(params.position ?? "");
  const [time, setTime] = useState("");
  const [answer, setAnswer] = useState(null);
  const [failure, setFailure] = useState(null);
  const [open, setOpen] = useState(false);
  const ask = async (query) => {
    try {
      setAnswer(await getJSON("explain", query));
      setFailure(null);
    } catch (e) {
      setAnswer(null);
      setFailure(e instanceof Failure ? e : new Failure(0, "", e.message, 0));
    }
  };
  // A gap of a source asks for itself.
  useEffect(() => {
    const source = known.find((s) => s.id === params.explain);
    if (!source || !params.position) return;
    setOpen(true);
    setName(source.name);
    setPosition(params.position);
    ask({ id: source.id, position: params.position });
  }, [params.explain, params.position, known.length > 0]);
  const submit = (event) => {
    event.preventDefault();
    refine({ explain: "", position: "" });
    ask({ name: name.trim(), ...(position !== "" ? { position } : { time: time ? new Date(time).toISOString() : "" }) });
  };
  return html`<details class="explain" open=${open} onToggle=${(e) => setOpen(e.currentTarget.open)}>
    <summary>${t("whereIsMyLine")}</summary>
    <form onSubmit=${submit}>
      <label>${t("by_source")} <input list="names" required value=${name} onInput=${(e) => setName(e.target.value)} placeholder="/var/log/app.log" /></label>
      <datalist id="names">${[...new Set(sources.map((s) => s.name))].slice(0, most).map((n) => html`<option value=${n} />`)}</datalist>
      <label>${t("positionInIt")} <input inputmode="numeric" pattern="[0-9]*" value=${position} onInput=${(e) => setPosition(e.target.value)} /></label>
      <label>${t("orTime")} <input type="datetime-local" step="1" max=${local(Date.now() + 864e5)} disabled=${position !== ""} required=${position === ""} value=${time} onInput=${(e) => setTime(e.target.value)} /></label>
      <button type="submit" class="primary">${t("explain")}</button>
    </form>
    ${failure && html`<p class="alert" role="alert">${failureText(failure)}</p>`}
    ${answer && html`<p class=${`answer st-${["stored", "duplicate", "skipped"].includes(answer.state) ? "whole" : answer.state === "in_flight" ? "flight" : "gap"}`} role="status">
      <b class="badge">${named("fate", answer.state)}</b> <span>${answer.sentence}</span>
      ${answer.id && html`<button type="button" class="quiet" onClick=${() => show({ q: clause("_id", answer.id), start: longest, end: "" })}>${t("showLine")}</button>`}</p>`}
  </details>`;
}
