// What this browser remembers: theme, language, sidebar, names of columns. No value of the logs and nothing secret is ever kept here.
import { effect, signal } from "./html.js";

function read(key) {
  try {
    return localStorage.getItem(`tally.${key}`);
  } catch {
    return null;
  }
}

function write(key, value) {
  try {
    if (value === null) localStorage.removeItem(`tally.${key}`);
    else localStorage.setItem(`tally.${key}`, value);
  } catch {
    // Storage can be forbidden or full; the choice then lasts as long as the page.
  }
}

/** remembered returns a signal that starts at the stored value, if it is one of the allowed, and is stored at each change. */
function remembered(key, allowed, initial) {
  const stored = read(key);
  const s = signal(allowed.includes(stored) ? stored : initial);
  let first = true;
  effect(() => {
    const value = s.value;
    if (!first) write(key, value);
    first = false;
  });
  return s;
}

export const themes = ["auto", "light", "dark"];
export const theme = remembered("theme", themes, "auto");
effect(() => {
  if (theme.value === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
});

const preferred = (navigator.languages ?? [navigator.language]).find((l) => /^(en|zh)\b/i.test(l)) ?? "en";
export const language = remembered("language", ["en", "zh"], preferred.toLowerCase().startsWith("zh") ? "zh" : "en");

export const sidebar = remembered("sidebar", ["open", "closed"], matchMedia("(min-width: 1000px)").matches ? "open" : "closed");

/** keptColumns are the columns chosen last; a view without any in its address begins with them. */
export const keptColumns = signal((read("columns") ?? "").split(",").filter(Boolean));
effect(() => write("columns", keptColumns.value.join(",") || null));

/** help is true while the overlay with keys and query language is shown. */
export const help = signal(false);

/** narrow is true on phones, where rows take two lines and the details cover the page. */
const phone = matchMedia("(max-width: 720px)");
export const narrow = signal(phone.matches);
phone.addEventListener("change", () => (narrow.value = phone.matches));
