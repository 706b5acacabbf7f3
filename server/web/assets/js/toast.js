// A short word about something just done, such as "Copied". Screen readers hear it.
import { html, signal } from "./html.js";
import { t } from "./i18n.js";

const message = signal("");
let timer = 0;

export function say(text) {
  clearTimeout(timer);
  message.value = text;
  timer = setTimeout(() => (message.value = ""), 2000);
}

/** copy puts text on the clipboard and says how it went. */
export async function copy(text) {
  say(t((await toClipboard(text)) ? "copied" : "copyFailed"));
}

async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Over plain HTTP browsers hide the clipboard from pages; the old command still works there.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "offscreen";
    const focused = document.activeElement;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focused?.focus();
    return done;
  }
}

export function Toast() {
  return html`<div class="toast" role="status" data-shown=${message.value !== ""}>${message.value}</div>`;
}
