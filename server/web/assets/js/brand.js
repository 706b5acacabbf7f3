// What login and header share: the sign of the program, and the switches for language and theme.
import { html } from "./html.js";
import { t } from "./i18n.js";
import { Icon } from "./icons.js";
import { language, theme, themes } from "./prefs.js";

/** Mark is the sign of the program: a tally of five. */
export function Mark() {
  return html`<svg class="mark" viewBox="0 0 26 22" aria-hidden="true">
    <path d="M4 3v16M10 3v16M16 3v16M22 3v16" /><path class="stroke" d="M1 16.5 25 6" />
  </svg>`;
}

/** Choices are the switches for language and theme. */
export function Choices() {
  const next = themes[(themes.indexOf(theme.value) + 1) % themes.length];
  const other = language.value === "zh" ? "en" : "zh";
  return html`<div class="choices">
    <button type="button" class="quiet" lang=${other === "zh" ? "zh-CN" : "en"} onClick=${() => (language.value = other)}>
      ${t("otherLanguage")}
    </button>
    <button type="button" class="quiet icon" title=${t(`theme_${theme.value}`)} aria-label=${t(`theme_${theme.value}`)}
      onClick=${() => (theme.value = next)}>
      <${Icon} name=${theme.value} />
    </button>
  </div>`;
}
