// A button that opens a small panel below it: of actions (role menu), or of anything else (role dialog).
import { html, useEffect, useRef, useState } from "./html.js";
import { Icon } from "./icons.js";

/** Menu calls its child with close() for the content. The arrows move between menu items, Escape closes. */
export function Menu({ label, icon, kind = "menu", children }) {
  const [open, setOpen] = useState(false);
  const frame = useRef(null);
  const close = () => setOpen(false);
  useEffect(() => {
    if (!open) return;
    frame.current.querySelector(".panel a, .panel input, .panel button")?.focus();
    const outside = (event) => !frame.current.contains(event.target) && close();
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);
  const onKey = (event) => {
    if (!open) return;
    if (event.key === "Escape") {
      close();
      frame.current.querySelector("button").focus();
    } else if (kind === "menu" && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      const items = [...frame.current.querySelectorAll('[role="menuitem"]')];
      const at = items.indexOf(document.activeElement);
      items.at((at + (event.key === "ArrowDown" ? 1 : -1)) % items.length)?.focus();
    } else if (event.key !== "Tab" && !event.target.matches("input")) return;
    else {
      event.stopPropagation();
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  const content = typeof children === "function" ? children : children?.[0];
  return html`<div class="menu" ref=${frame} onKeyDown=${onKey}>
    <button type="button" class="quiet" aria-haspopup=${kind} aria-expanded=${open} aria-label=${label} title=${label} onClick=${() => setOpen(!open)}><${Icon} name=${icon} /><span class="word">${label}</span></button>
    ${open && html`<div class="panel" role=${kind} aria-label=${label}>${content(close)}</div>`}
  </div>`;
}
