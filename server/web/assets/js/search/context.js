// The lines around a line, in the order of their source: what was written just before and after it.
import { Failure, readEvents } from "../api.js";
import { failureText } from "../failure.js";
import { html, signal, useEffect, useLayoutEffect, useRef, useState } from "../html.js";
import { t } from "../i18n.js";
import { Icon } from "../icons.js";
import { full, rowTime } from "../time.js";
import { level, levelClass, origin, shownFields } from "./lines.js";
import { oneLine, text } from "./row.js";
import { current, open } from "./store.js";

const first = 25;
/** surrounding is the line whose neighbours are shown, or null. */
export const surrounding = signal(null);

export function Context({ line, close }) {
  const dialog = useRef(null);
  const own = useRef(null);
  const [span, setSpan] = useState({ before: first, after: first });
  const [events, setEvents] = useState(null);
  const [failure, setFailure] = useState(null);
  // A modal dialog gives the focus back by itself when it closes.
  useEffect(() => dialog.current.showModal(), []);
  useEffect(() => {
    const abort = new AbortController();
    const list = [];
    readEvents("context", { id: line.id, ...span, fields: shownFields([]).join(",") }, abort.signal, (some) => list.push(...some))
      .then(() => setEvents(list))
      .catch((e) => e.name !== "AbortError" && setFailure(e instanceof Failure ? e : new Failure(0, "", e.message, 0)));
    return () => abort.abort();
  }, [line.id, span]);
  // The line itself stays where the eye is while more are put above it.
  useLayoutEffect(() => own.current?.scrollIntoView({ block: "center" }), [events]);
  const { where, what } = origin(line.event);
  const at = events?.findIndex((e) => e._id === line.id) ?? -1;
  const more = (side, there) => there >= span[side] && html`<button type="button" onClick=${() => setSpan({ ...span, [side]: Math.min(span[side] * 4, 10000) })}>${t(side === "before" ? "moreBefore" : "moreAfter")}</button>`;
  const choose = (event) => {
    const found = { id: event._id, event };
    current.value = found;
    open.value = found;
    dialog.current.close();
  };
  return html`<dialog class="context" ref=${dialog} aria-label=${t("surrounding")} onClose=${close} onKeyDown=${(e) => e.stopPropagation()}
    onClick=${(e) => e.target === dialog.current && dialog.current.close()}>
    <header>
      <h2>${t("surrounding")}</h2><small>${[where, what].filter(Boolean).join(" · ")} · ${full(Date.parse(line.event["@timestamp"]))}</small>
      <span class="gap"></span>
      <button type="button" class="quiet icon" aria-label=${t("close")} onClick=${() => dialog.current.close()}><${Icon} name="close" /></button>
    </header>
    ${failure && html`<p class="alert" role="alert">${failureText(failure)}</p>`}
    ${events === null && !failure && html`<p class="foot" role="status">${t("searching")}</p>`}
    ${events && html`<div class="lines" tabindex="0" aria-label=${t("surrounding")} role="region">
      ${more("before", at)}
      <ol role="list">${events.map((e) => html`<li key=${e._id} ref=${e._id === line.id ? own : undefined} class=${`lv-${levelClass(level(e))}${e._id === line.id ? " own" : ""}`}>
        <time>${rowTime(e["@timestamp"], false)}</time><button type="button" class="quiet message" onClick=${() => choose(e)}>${oneLine(text(e.message), null)}</button></li>`)}</ol>
      ${more("after", events.length - 1 - at)}
    </div>`}
  </dialog>`;
}
