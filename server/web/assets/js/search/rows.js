// The lines. Only those near the visible part are in the DOM, so that a million scroll as ten do.
import { html, signal, useEffect, useLayoutEffect, useRef } from "../html.js";
import { lines as linesText, t } from "../i18n.js";
import { language, narrow } from "../prefs.js";
import { longest, presetName, relative, resolve } from "../time.js";
import { shape, show, view } from "../view.js";
import { ColumnHeads, columnWidths } from "./columns.js";
import { origin } from "./lines.js";
import { pattern } from "./marks.js";
import { Row } from "./row.js";
import { complete, current, failure, lines, more, open, phase } from "./store.js";
import { away, held, paused, tail } from "./tail.js";

// Heights of a row in CSS pixels, as --row in search.css.
const rowHeight = () => (narrow.value ? 46 : 23);
// Up to this many lines all are in the DOM; beyond it those in sight and `margin` more on both sides.
const all = 300;
const margin = 60;
// Browsers bound the height of an element; a longer list scrolls in larger steps.
const tallest = 16e6;

const place = signal({ top: 0, height: 800 });

/** stretch is how many pixels of the list one pixel of the scroll bar stands for. */
function stretch(n, height, seen) {
  const whole = n * height;
  return whole <= tallest ? 1 : (whole - seen) / (tallest - seen);
}

/** windowOf returns the half-open range of indices to draw, in steps of 20 so that scrolling seldom draws anew. */
function windowOf(n, height) {
  if (n <= all) return [0, n];
  const { top, height: seen } = place.value;
  const first = Math.floor((top * stretch(n, height, seen)) / height / 20) * 20;
  return [Math.max(0, Math.min(first - margin, n - all)), Math.min(n, first + Math.ceil(seen / height) + 20 + margin)];
}

/** offset is where the row with the index from begins, in pixels of the scrolled element. */
function offset(from, n, height) {
  const { top, height: seen } = place.value;
  const factor = stretch(n, height, seen);
  return factor === 1 ? from * height : Math.max(0, top - (top * factor - from * height));
}

export function Rows() {
  const scroller = useRef(null);
  const { list } = lines.value;
  const { columns } = shape.value;
  const height = rowHeight();
  const [from, to] = windowOf(list.length, height);

  const onScroll = () => {
    const el = scroller.current;
    // The observer may report once more when the page has gone.
    if (!el) return;
    away.value = el.scrollTop > height;
    const { top, height: seen } = place.peek();
    const scaled = list.length * height > tallest;
    if (scaled || Math.abs(el.scrollTop - top) >= 20 * height || el.scrollTop < 20 * height || el.clientHeight !== seen) place.value = { top: el.scrollTop, height: el.clientHeight };
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
    const factor = stretch(list.length, height, el.clientHeight);
    const head = columns.length && !narrow.value ? height : 0;
    const top = el.scrollTop * factor;
    if (i * height < top) el.scrollTop = (i * height) / factor;
    else if ((i + 1) * height + head > top + el.clientHeight) el.scrollTop = ((i + 1) * height + head - el.clientHeight) / factor;
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
  return html`<section class=${`rows ${withDate ? "dated" : ""} ${columns.length ? "chosen" : ""}`} ref=${scroller} onScroll=${onScroll} onClick=${choose} tabindex="0"
    style=${{ "--origin": `${originWidth(list)}ch`, "--columns": columnWidths(list, columns) }}
    aria-label=${t("results")} aria-busy=${stale} data-stale=${stale}>
    ${tail.value.state !== "off" && away.value && !paused.value && held.value > 0 &&
    html`<div class="pill"><button type="button" onClick=${() => (scroller.current.scrollTop = 0)}>↑ ${t("newLines", { lines: linesText(held.value) })}</button></div>`}
    ${columns.length > 0 && !narrow.value && html`<${ColumnHeads} columns=${columns} />`}
    ${list.length > 0 &&
    html`<ol role="list" style=${{ height: `${Math.min(list.length * height, tallest)}px`, paddingTop: `${offset(from, list.length, height)}px` }}>
      ${list.slice(from, to).map(
        (line, i) => html`<${Row} key=${line.id} line=${line} at=${from + i + 1} of=${list.length} withDate=${withDate} wanted=${wanted} columns=${columns}
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

/** Foot says what comes below the last line. */
function Foot({ n }) {
  language.value;
  if (phase.value === "more") return html`<p class="foot" role="status">${t("loadingMore")}</p>`;
  if (phase.value !== "done" || failure.value) return null;
  if (n === 0) return html`<div class="empty"><p>${t("nothing")}</p><small>${t("nothingHint")}</small>
    ${view.value.start !== longest && html`<p><button type="button" onClick=${() => show({ start: longest, end: "" })}>${presetName(longest)}</button></p>`}</div>`;
  if (complete.value) return html`<p class="foot">${t("theEnd")}</p>`;
  return tail.value.state === "off" && html`<p class="foot"><button type="button" onClick=${more}>${t("loadMore")}</button></p>`;
}
