// One line of the list.
import { Component, html } from "../html.js";
import { rowTime } from "../time.js";
import { coloured } from "./ansi.js";
import { level, levelClass, origin } from "./lines.js";

const longest = 3000;

// What a row is drawn from; scrolling changes none of it.
const parts = ["line", "at", "of", "current", "open", "withDate", "wanted", "columns"];

/** Row is one line; with columns they stand in the place of its origin. */
export class Row extends Component {
  shouldComponentUpdate(next) {
    return parts.some((name) => next[name] !== this.props[name]);
  }

  render({ line, at, of, withDate, wanted, current, open, columns }) {
    const { event } = line;
    const name = level(event);
    return html`<li data-id=${line.id} class=${`lv-${levelClass(name)}${current ? " current" : ""}${open ? " open" : ""}`}
      tabindex=${current ? 0 : -1} aria-posinset=${at} aria-setsize=${of} aria-current=${open ? "true" : undefined}>
      <time datetime=${event["@timestamp"]}>${rowTime(event["@timestamp"], withDate)}</time>
      <span class="level">${name.slice(0, 5)}</span>
      ${columns.length ? columns.map((c) => html`<span class="cell" title=${text(event[c])}>${text(event[c])}</span>`) : html`<${Origin} event=${event} />`}
      <span class="message">${oneLine(text(event.message), wanted)}</span>
    </li>`;
  }
}

function Origin({ event }) {
  const { where, what } = origin(event);
  return html`<span class="origin" title=${[where, what].filter(Boolean).join(" · ")}><span>${where}</span>${what && html`<small>${what}</small>`}</span>`;
}

/** text is a value as it is shown. */
export const text = (v) => (typeof v === "string" ? v : v === undefined || v === null ? "" : JSON.stringify(v));

/** oneLine shows breaks as a sign; the text in the document stays as it is. */
export function oneLine(message, wanted) {
  const cut = message.length > longest ? `${message.slice(0, longest)}…` : message;
  if (!cut.includes("\n")) return coloured(cut, wanted);
  return cut.split("\n").map((part, i) => (i === 0 ? coloured(part, wanted) : html`<span class="nl">${"\n"}</span>${coloured(part, wanted)}`));
}
