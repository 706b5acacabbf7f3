// The columns that the user chose: their heads above the list, and what keeps them.
import { html } from "../html.js";
import { t } from "../i18n.js";
import { Icon } from "../icons.js";
import { keptColumns } from "../prefs.js";
import { reshape, shape } from "../view.js";
import { text } from "./row.js";

const widest = 32;

/** columnWidths is what the columns need as tracks of a grid, judged by the first lines. */
export function columnWidths(list, columns) {
  const sample = list.slice(0, 200);
  return columns.map((c) => {
    const need = sample.reduce((most, { event }) => Math.max(most, text(event[c]).length), c.length + 5);
    return `minmax(6ch, ${Math.min(need, widest)}ch)`;
  }).join(" ");
}

function set(columns) {
  reshape({ columns });
  keptColumns.value = columns;
}

/** toggleColumn adds a field as the last column, or takes it away. */
export function toggleColumn(field) {
  const { columns } = shape.peek();
  set(columns.includes(field) ? columns.filter((c) => c !== field) : [...columns, field]);
}

/** ColumnHeads names the columns; each can be moved and taken away. */
export function ColumnHeads({ columns }) {
  const left = (i) => set(columns.map((c, j) => (j === i - 1 ? columns[i] : j === i ? columns[i - 1] : c)));
  return html`<div class="heads" role="toolbar" aria-label=${t("columns")}>
    <span></span><span></span>
    ${columns.map((c, i) => html`<span key=${c} class="head"><span class="text" title=${c}>${c}</span>
      ${i > 0 && html`<button type="button" class="quiet icon tiny" aria-label=${t("moveLeft", { name: c })} title=${t("moveLeft", { name: c })} onClick=${() => left(i)}><${Icon} name="left" /></button>`}
      <button type="button" class="quiet icon tiny" aria-label=${t("removeColumn", { name: c })} title=${t("removeColumn", { name: c })} onClick=${() => toggleColumn(c)}><${Icon} name="close" /></button>
    </span>`)}
    <span class="head"><span class="text">message</span></span>
  </div>`;
}
