// A small picture of counts over time. It repeats what the numbers beside it say, so screen readers pass over it.
import { html } from "../html.js";

export function Spark({ counts, most }) {
  const width = 2;
  const tall = 18;
  const bar = (n) => (n === 0 ? 0 : Math.max(1, (tall * n) / most));
  const d = counts.map((n, i) => (n === 0 ? "" : `M${i * width} ${tall}v${-bar(n)}h${width - 0.4}V${tall}Z`)).join("");
  return html`<svg class="spark" viewBox=${`0 0 ${counts.length * width} ${tall}`} preserveAspectRatio="none" aria-hidden="true"><path d=${d} /></svg>`;
}
