// The search box: typing completes, Enter runs, and an error is marked where it is.
import { html, useEffect, useRef, useState } from "../html.js";
import { t } from "../i18n.js";
import { Icon } from "../icons.js";
import { show, view } from "../view.js";
import { options, place } from "./complete.js";
import { failure } from "./store.js";

// How long the keys must rest before the server is asked, in milliseconds.
const rest = 120;

/** columnOf is where in the query the server saw a mistake, from 0; -1 where it did not say. */
export function columnOf(problem) {
  const column = /column (\d+)/.exec(problem?.message ?? "")?.[1];
  return column === undefined ? -1 : Number(column) - 1;
}

export function Box() {
  const [text, setText] = useState(view.value.q);
  const [offer, setOffer] = useState({ list: [], at: -1 });
  const input = useRef(null);
  const asking = useRef(null);
  // A click on a value, Back, or a link changes the query from outside.
  useEffect(() => setText(view.value.q), [view.value]);
  useEffect(() => () => hide(), []);
  // The caret goes to the mistake, if the user is still there.
  useEffect(() => {
    const at = columnOf(failure.value);
    if (at < 0 || document.activeElement !== input.current) return;
    const before = Array.from(input.current.value).slice(0, at).join("").length;
    input.current.setSelectionRange(before, before + 1);
  }, [failure.value]);

  function hide() {
    clearTimeout(asking.current?.timer);
    asking.current?.abort.abort();
    asking.current = null;
    setOffer({ list: [], at: -1 });
  }
  const ask = () => {
    clearTimeout(asking.current?.timer);
    asking.current?.abort.abort();
    const at = place(input.current.value, input.current.selectionStart);
    if (!at) {
      hide();
      return;
    }
    const abort = new AbortController();
    const mine = { abort, timer: setTimeout(async () => {
      const list = await options(at, abort.signal).catch(() => []);
      if (asking.current === mine) setOffer({ list, at: -1 });
    }, rest) };
    asking.current = mine;
  };
  const take = (option) => {
    const el = input.current;
    const next = el.value.slice(0, option.from) + option.text + el.value.slice(el.selectionStart).trimStart();
    const caret = option.from + option.text.length;
    setText(next);
    hide();
    el.focus();
    requestAnimationFrame(() => {
      el.setSelectionRange(caret, caret);
      if (option.goOn) ask();
    });
  };
  const submit = (event) => {
    event.preventDefault();
    hide();
    show({ q: text.trim() });
  };
  const onKey = (event) => {
    const { list, at } = offer;
    if (event.isComposing) return;
    if (event.key === "ArrowDown" && list.length === 0) ask();
    else if (list.length === 0) return;
    else if (event.key === "ArrowDown") setOffer({ list, at: at + 1 >= list.length ? -1 : at + 1 });
    else if (event.key === "ArrowUp") setOffer({ list, at: at < 0 ? list.length - 1 : at - 1 });
    else if (event.key === "Escape") hide();
    // Enter runs the search unless something was chosen; Tab leaves the box unless something was.
    else if ((event.key === "Enter" || event.key === "Tab") && at >= 0) take(list[at]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`<form class="query" onSubmit=${submit}>
    <span class="lens"><${Icon} name="search" /></span>
    <input type="search" id="search" ref=${input} aria-label=${t("search")} placeholder=${t("searchHint")} value=${text}
      onInput=${(e) => (setText(e.target.value), ask())} onKeyDown=${onKey} onBlur=${hide}
      spellcheck=${false} autocomplete="off" autocapitalize="none" enterkeyhint="search"
      aria-autocomplete="list" aria-controls=${offer.list.length ? "completions" : undefined}
      aria-activedescendant=${offer.at >= 0 ? `completion-${offer.at}` : undefined}
      aria-invalid=${failure.value?.status === 400} aria-describedby=${failure.value ? "failure" : undefined} />
    ${offer.list.length > 0 && html`<ul class="completions" id="completions" role="listbox" aria-label=${t("completions")} onPointerDown=${(e) => e.preventDefault()}>
      ${offer.list.map((o, i) => html`<li key=${o.text} id=${`completion-${i}`} role="option" aria-selected=${i === offer.at} onClick=${() => take(o)}>
        <span class="text">${o.shown}</span><small>${o.explain ? t(o.explain) : o.note}</small></li>`)}
    </ul>`}
    <button type="submit" class="primary">${t("run")}</button>
  </form>`;
}
