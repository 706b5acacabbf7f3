// Texts of the page in the chosen language. Components that call t() are drawn again when the language changes.
import { effect } from "./html.js";
import { language } from "./prefs.js";
import { texts } from "./texts.js";

/** t returns the text of a key; {name} in it is replaced by vars.name. */
export function t(key, vars) {
  const text = texts[language.value][key];
  if (text === undefined) throw new Error(`no text for ${key}`);
  return vars ? text.replace(/\{(\w+)\}/g, (_, name) => String(vars[name])) : text;
}

/** named is the text of one of the server's own words, such as a state; one that this page does not know stays as it is. */
export const named = (kind, word) => texts[language.value][`${kind}_${word}`] ?? word;

/** number writes a count with the separators of the language. */
export function number(n) {
  return n.toLocaleString(language.value);
}

/** lines writes a number of lines in the grammar of the language. */
export function lines(n) {
  return t(n === 1 ? "oneLine" : "manyLines", { n: number(n) });
}

effect(() => {
  document.documentElement.lang = language.value === "zh" ? "zh-CN" : "en";
});
