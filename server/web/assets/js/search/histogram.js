// The histogram: lines over time, stacked by level. Dragging over it narrows the time range.
import uPlot from "../../vendor/uplot/uplot.js";
import { html, signal, useEffect, useRef } from "../html.js";
import { lines as linesText, number, t } from "../i18n.js";
import { Icon } from "../icons.js";
import { language, theme } from "../prefs.js";
import { full } from "../time.js";
import { reshape, show } from "../view.js";
import { hits } from "./hits.js";
import { filter } from "./store.js";

const height = 92;
const font = "11px system-ui, sans-serif";
const systemDark = signal(false);
const query = matchMedia("(prefers-color-scheme: dark)");
systemDark.value = query.matches;
query.addEventListener("change", () => (systemDark.value = query.matches));

/** hovered is the index of the bar under the pointer, or null. */
const hovered = signal(null);

/** stack turns counts of the series into heights: each is drawn over the next, the first lowest. */
function stack({ times, series }) {
  const sum = new Array(times.length).fill(0);
  const layers = series.map(({ counts }) => counts.map((n, i) => (sum[i] += n)));
  return [times, ...layers.reverse()];
}

/** colours reads the colours of the series off elements: a canvas knows no custom properties. */
function colours(probe, series) {
  const at = (name) => getComputedStyle(probe.querySelector(`.${name}`)).color;
  return { ...Object.fromEntries(series.map(({ colour }) => [colour, at(colour)])), text: at("axis"), grid: at("gridline") };
}

const short = (n) => (n >= 1e6 ? `${+(n / 1e6).toFixed(1)}M` : n >= 1e3 ? `${+(n / 1e3).toFixed(1)}k` : String(n));

function options(width, h, c) {
  const step = h.step.ms / 1000;
  const clock = (s, range) => {
    const text = full(s * 1000);
    const midnight = text.endsWith("00:00:00");
    if (midnight || range > 3 * 86400) return range > 3 * 86400 && !midnight ? text.slice(5, 16) : text.slice(5, 10);
    return step < 60 && range < 600 ? text.slice(11) : text.slice(11, 16);
  };
  return {
    width,
    height,
    padding: [6, 20, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
    scales: { x: { time: true, range: [h.times[0], h.times.at(-1) + step] }, y: { range: (_, __, max) => [0, Math.max(max, 1)] } },
    axes: [
      { stroke: c.text, font, size: 22, gap: 3, ticks: { show: false }, grid: { show: false }, space: 80, values: (u, at) => at.map((s) => clock(s, u.scales.x.max - u.scales.x.min)) },
      { stroke: c.text, font, size: 44, gap: 4, ticks: { show: false }, grid: { stroke: c.grid, width: 1 }, space: 26, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 1e7, 1e8], values: (_, at) => at.map(short) },
    ],
    series: [
      {},
      ...[...h.series].reverse().map(({ colour }) => ({
        fill: c[colour],
        width: 0,
        points: { show: false },
        paths: uPlot.paths.bars({ size: [0.86, 40], align: 1, gap: 0 }),
      })),
    ],
    hooks: {
      setCursor: [
        (u) => {
          const x = u.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : -1;
          const i = Math.floor((x - h.times[0]) / step);
          hovered.value = i >= 0 && i < h.times.length ? i : null;
        },
      ],
      setSelect: [
        (u) => {
          if (u.select.width < 4) return;
          // Whole bars: the picture one drags over and the range one gets are the same.
          const from = Math.floor((u.posToVal(u.select.left, "x") - h.times[0]) / step);
          const to = Math.ceil((u.posToVal(u.select.left + u.select.width, "x") - h.times[0]) / step);
          u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
          const iso = (i) => new Date((h.times[0] + i * step) * 1000).toISOString();
          show({ start: iso(Math.max(from, 0)), end: iso(Math.min(to, h.times.length)) });
        },
      ],
    },
  };
}

export function Histogram() {
  const frame = useRef(null);
  const probe = useRef(null);
  const h = hits.value;
  useEffect(() => {
    if (!h) return;
    let plot;
    const draw = () => {
      plot?.destroy();
      plot = new uPlot(options(frame.current.clientWidth, h, colours(probe.current, h.series)), stack(h), frame.current);
    };
    draw();
    hovered.value = null;
    const watch = new ResizeObserver(([entry]) => plot.setSize({ width: Math.floor(entry.contentRect.width), height }));
    watch.observe(frame.current);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [h, theme.value, systemDark.value]);
  const label = !h || h.total === 0
    ? t("histogramEmpty")
    : t("histogram", { lines: linesText(h.total), from: full(h.from), to: full(h.to), step: h.step.text });
  return html`<section class="histogram">
    <div class="probe" ref=${probe} aria-hidden="true">
      ${h?.series.map(({ colour }) => html`<i class=${colour}></i>`)}<i class="axis"></i><i class="gridline"></i>
    </div>
    <div class="plot" role="img" aria-label=${label} ref=${frame}></div>
    ${h && html`<${Legend} h=${h} />`}
  </section>`;
}

/** Legend names the series with their counts: of the bar under the pointer, or of all. A group is a way to narrow the search. */
function Legend({ h }) {
  language.value;
  const i = hovered.value !== null && hovered.value < h.times.length ? hovered.value : null;
  const count = ({ counts }) => number(i === null ? counts.reduce((a, b) => a + b, 0) : counts[i]);
  const at = i === null ? "" : `${full(h.times[i] * 1000)} + ${h.step.text}`;
  const name = (s) => (h.grouped ? (s.name ?? t("level_other")) : t(`level_${s.name}`));
  const inside = (s) => html`<i class=${`swatch ${s.colour}`}></i><span class="text">${name(s)}</span> <b>${count(s)}</b>`;
  return html`<p class="legend">
    ${h.grouped && html`<span class="key">${t("groupedBy", { name: h.by })}
      <button type="button" class="quiet icon tiny" aria-label=${t("ungroup")} title=${t("ungroup")} onClick=${() => reshape({ by: "" })}><${Icon} name="close" /></button></span>`}
    <span class="at">${at}</span>
    ${h.series.filter((s) => s.counts.some((n) => n > 0)).map((s) =>
      h.grouped && s.name !== null
        ? html`<button key=${s.colour} type="button" class="quiet key" title=${t("filterFor", { name: h.by })} onClick=${() => filter(h.by, s.name, false)}>${inside(s)}</button>`
        : html`<span key=${s.colour} class="key">${inside(s)}</span>`)}
  </p>`;
}
