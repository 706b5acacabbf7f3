// Colours that programs write for terminals (ECMA-48, SGR). The text stays in the document as it was written: escape sequences
// are there too, and not shown.
import { html } from "../html.js";
import { marked } from "./marks.js";

// CSI … final byte; OSC … (titles, links) up to BEL or ST.
const escape = /\x1b(?:\[([0-?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\))/g;
const names = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/** sgr returns the style after the parameters of one "select graphic rendition". */
export function sgr(style, parameters) {
  let next = { ...style };
  const list = parameters === "" ? [0] : parameters.split(/[;:]/).map(Number);
  for (let i = 0; i < list.length; i++) {
    const n = list[i];
    if (n === 0) next = {};
    else if (n === 1) next.bold = true;
    else if (n === 2) next.dim = true;
    else if (n === 3) next.italic = true;
    else if (n === 4) next.underline = true;
    else if (n === 22) delete next.bold, delete next.dim;
    else if (n === 23) delete next.italic;
    else if (n === 24) delete next.underline;
    else if ((n >= 30 && n <= 37) || (n >= 90 && n <= 97)) next.colour = names[n % 10];
    else if (n === 39) delete next.colour;
    else if (n === 38 || n === 48) {
      // 256 colours and true colour: the first sixteen have names; the others are left to the theme.
      if (list[i + 1] === 5) {
        if (n === 38) next.colour = names[list[i + 2] & 7] && list[i + 2] < 16 ? names[list[i + 2] & 7] : undefined;
        i += 2;
      } else if (list[i + 1] === 2) i += 4;
    }
  }
  return next;
}

const classes = (style) =>
  Object.entries(style).filter(([, v]) => v).map(([k, v]) => (k === "colour" ? `ansi-${v}` : `ansi-${k}`)).join(" ");

/** coloured returns text as nodes: marks for what was searched, spans for colours. */
export function coloured(text, wanted) {
  if (!text.includes("\x1b")) return marked(text, wanted);
  const parts = [];
  let style = {};
  let from = 0;
  const plain = (to) => {
    if (to <= from) return;
    const piece = marked(text.slice(from, to), wanted);
    const name = classes(style);
    parts.push(name ? html`<span class=${name}>${piece}</span>` : piece);
  };
  for (const match of text.matchAll(escape)) {
    plain(match.index);
    parts.push(html`<span class="escape">${match[0]}</span>`);
    if (match[2] === "m") style = sgr(style, match[1]);
    from = match.index + match[0].length;
  }
  plain(text.length);
  return parts;
}
