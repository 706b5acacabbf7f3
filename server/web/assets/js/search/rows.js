// The lines. Only those near the visible part are in the DOM, so that a million scroll as ten do.
import { Component, html, signal, useEffect, useLayoutEffect, useRef } from "../html.js";
import { lines as linesText, t } from "../i18n.js";
import { language, narrow } from "../prefs.js";
import { relative, resolve, rowTime } from "../time.js";
import { view } from "../view.js";
import { level, levelClass, origin } from "./lines.js";
import { marked, pattern } from "./marks.js";
import { complete, current, failure, lines, more, open, phase } from "./store.js";
import { away, held, paused, tail } from "./tail.js";

// Heights of a row in CSS pixels, as --row in search.css.
const rowHeight = () => (narrow.value ? 46 : 23);
// Up to this many lines all are in the DOM; beyond it those in sight and `margin` more on both sides.
const all = 300;
const margin = 60;
const longest = 3000;

const place = signal({ top: 0, height: 800 });

/** windowOf returns the half-open range of indices to draw, in steps of 20 so that scrolling seldom draws anew. */
function windowOf(n, height) {
  if (n <= all) return [0, n];
  const { top, height: seen } = place.value;
  const first = Math.floor(top / height / 20) * 20;
  return [Math.max(0, Math.min(first - margin, n - all)), Math.min(n, first + Math.ceil(seen / height) + 20 + margin)];
}

export function Rows() {
  const scroller = useRef(null);
  const { list } = lines.value;
  const height = rowHeight();
  const [from, to] = windowOf(list.length, height);

  const onScroll = () => {
    const el = scroller.current;
    // The observer may report once more when the page has gone.
    if (!el) return;
    away.value = el.scrollTop > height;
    const { top, height: seen } = place.peek();
    if (Math.abs(el.scrollTop - top) >= 20 * height || el.scrollTop < 20 * height || el.clientHeight !== seen) place.value = { top: el.scrollTop, height: el.clientHeight };
    if (tail.peek().state === "off" && el.scrollTop + el.clientHeight > el.scrollHeight - 40 * height) more();
  };
  useEffect(() => {
    const watch = new ResizeObserver(onScroll);
    watch.observe(scroller.current);
    return () => watch.disconnect();
  }, [height]);
  // A new search begins at the top.
  useEffect(() => {
    scroller.current.scrollTop = 0;
  }, [view.value]);
  useLayoutEffect(onScroll, [list, height]);
  // The line under the cursor stays in sight.
  const cursor = current.value;
  useLayoutEffect(() => {
    const i = cursor ? list.findIndex((l) => l.id === cursor.id) : -1;
    if (i < 0) return;
    const el = scroller.current;
    if (i * height < el.scrollTop) el.scrollTop = i * height;
    else if ((i + 1) * height > el.scrollTop + el.clientHeight) el.scrollTop = (i + 1) * height - el.clientHeight;
  }, [cursor]);

  const choose = (event) => {
    const row = event.target.closest("li");
    // Someone who marks text wants the text.
    if (!row || !getSelection().isCollapsed) return;
    const line = list.find((l) => l.id === row.dataset.id);
    if (!line) return;
    current.value = line;
    open.value = line;
  };
  const withDate = spansDays(view.value);
  const wanted = pattern(view.value.q);
  const stale = phase.value === "searching";
  return html`<section class=${`rows ${withDate ? "dated" : ""}`} ref=${scroller} onScroll=${onScroll} onClick=${choose} tabindex="0"
    style=${{ "--origin": `${originWidth(list)}ch` }}
    aria-label=${t("results")} aria-busy=${stale} data-stale=${stale}>
    ${tail.value.state !== "off" && away.value && !paused.value && held.value > 0 &&
    html`<div class="pill"><button type="button" onClick=${() => (scroller.current.scrollTop = 0)}>↑ ${t("newLines", { lines: linesText(held.value) })}</button></div>`}
    ${list.length > 0 &&
    html`<ol role="list" style=${{ height: `${list.length * height}px`, paddingTop: `${from * height}px` }}>
      ${list.slice(from, to).map(
        (line, i) => html`<${Row} key=${line.id} line=${line} at=${from + i + 1} of=${list.length} withDate=${withDate} wanted=${wanted}
          current=${cursor?.id === line.id} open=${open.value?.id === line.id} />`,
      )}
    </ol>`}
    <${Foot} n=${list.length} />
  </section>`;
}

/** originWidth is what the column of origins needs, in characters, judged by the first lines. */
function originWidth(list) {
  let most = 0;
  for (const { event } of list.slice(0, 200)) {
    const { where, what } = origin(event);
    most = Math.max(most, where.length + (what ? Math.min(what.length, 14) + 1 : 0));
  }
  return most;
}

function spansDays({ start, end }) {
  const now = Date.now();
  if (end === "" && relative(start) !== null) return relative(start) >= 864e5;
  const from = resolve(start, now, 0);
  const to = resolve(end, now, now);
  return new Date(from).toDateString() !== new Date(to).toDateString() || new Date(to).toDateString() !== new Date(now).toDateString();
}

// What a row is drawn from; scrolling changes none of it.
const parts = ["line", "at", "of", "current", "open", "withDate", "wanted"];

/** Row is one line. */
class Row extends Component {
  shouldComponentUpdate(next) {
    return parts.some((name) => next[name] !== this.props[name]);
  }

  render({ line, at, of, withDate, wanted, current, open }) {
    const { event } = line;
    const name = level(event);
    const { where, what } = origin(event);
    return html`<li data-id=${line.id} class=${`lv-${levelClass(name)}${current ? " current" : ""}${open ? " open" : ""}`}
      tabindex=${current ? 0 : -1} aria-posinset=${at} aria-setsize=${of} aria-current=${open ? "true" : undefined}>
      <time datetime=${event["@timestamp"]}>${rowTime(event["@timestamp"], withDate)}</time>
      <span class="level">${name.slice(0, 5)}</span>
      <span class="origin" title=${[where, what].filter(Boolean).join(" · ")}><span>${where}</span>${what && html`<small>${what}</small>`}</span>
      <span class="message">${oneLine(text(event.message), wanted)}</span>
    </li>`;
  }
}

const text = (v) => (typeof v === "string" ? v : v === undefined ? "" : JSON.stringify(v));

/** oneLine shows breaks as a sign; the text in the document stays as it is. */
function oneLine(message, wanted) {
  const cut = message.length > longest ? `${message.slice(0, longest)}…` : message;
  if (!cut.includes("\n")) return marked(cut, wanted);
  return cut.split("\n").map((part, i) => (i === 0 ? marked(part, wanted) : html`<span class="nl">${"\n"}</span>${marked(part, wanted)}`));
}

/** Foot says what comes below the last line. */
function Foot({ n }) {
  language.value;
  if (phase.value === "more") return html`<p class="foot" role="status">${t("loadingMore")}</p>`;
  if (phase.value !== "done" || failure.value) return null;
  if (n === 0) return html`<div class="empty"><p>${t("nothing")}</p><small>${t("nothingHint")}</small></div>`;
  if (complete.value) return html`<p class="foot">${t("theEnd")}</p>`;
  return tail.value.state === "off" && html`<p class="foot"><button type="button" onClick=${more}>${t("loadMore")}</button></p>`;
}
