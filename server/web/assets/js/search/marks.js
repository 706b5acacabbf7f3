// Marks what was searched for in the text of a line. It only helps the eye: what matches is decided by the server.
import { html } from "../html.js";

let last = { query: "", pattern: null };

/** pattern returns an expression for the words and phrases of a query that look in the message, or null without any. */
export function pattern(query) {
  if (query === last.query) return last.pattern;
  const words = [];
  let not = false;
  // A field with its value; a phrase; a word. Only the latter two, not behind NOT or -, are sought in the message.
  const tokens = /(?:"(?:\\.|[^"\\])*"|[^\s:"()]+):(?:[=~<>]*"(?:\\.|[^"\\])*"|\S*)|(-?"(?:\\.|[^"\\])*")|i(?=\()|([^\s()"]+)/g;
  for (const [token, phrase, word] of query.matchAll(tokens)) {
    const plain = phrase ?? word;
    if (plain && plain !== '""' && !["NOT", "AND", "OR", "*"].includes(plain) && !plain.startsWith("-") && !not) {
      words.push(phrase ? bounded(unquote(phrase), false) : bounded(plain.replace(/\*$/, ""), plain.endsWith("*")));
    }
    not = token === "NOT";
  }
  last = { query, pattern: words.length ? new RegExp(words.sort((a, b) => b.length - a.length).join("|"), "g") : null };
  return last.pattern;
}

/** bounded is the expression for a text that stands between word boundaries, as the search wants it. */
function bounded(text, prefix) {
  const before = /^[A-Za-z0-9_]/.test(text) ? "(?<![A-Za-z0-9_])" : "";
  const after = !prefix && /[A-Za-z0-9_]$/.test(text) ? "(?![A-Za-z0-9_])" : "";
  return before + text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&") + after;
}

function unquote(phrase) {
  try {
    return JSON.parse(phrase);
  } catch {
    return phrase.slice(1, -1);
  }
}

/** marked returns text with the matches in <mark> elements. */
export function marked(text, wanted) {
  if (!wanted) return text;
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(wanted)) {
    parts.push(text.slice(from, match.index), html`<mark>${match[0]}</mark>`);
    from = match.index + match[0].length;
  }
  parts.push(text.slice(from));
  return parts;
}
