// Keys that work everywhere on the search page.
import { useEffect } from "../html.js";
import { current, lines, move, open } from "./store.js";
import { surrounding } from "./context.js";
import { shift, widen } from "./range.js";
import { toggle } from "./tail.js";

/** focusLine puts the focus on the line under the cursor, once it is drawn. */
export function focusLine() {
  requestAnimationFrame(() => requestAnimationFrame(() => document.querySelector(".rows li.current")?.focus({ preventScroll: true })));
}

/** closeDetails closes them and gives the focus back to the line they belong to. */
export function closeDetails() {
  current.value = open.peek();
  open.value = null;
  focusLine();
}

export function useKeys() {
  useEffect(() => {
    const onKey = (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || document.querySelector("dialog[open]")) return;
      const target = event.target;
      const writing = target.matches("input, select, textarea");
      if (event.key === "Escape") {
        if (open.peek()) closeDetails();
        else if (writing) target.blur();
        else return;
      } else if (writing) {
        return;
      } else if (!act(event, target)) {
        return;
      }
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}

/** act does what a key stands for and returns whether it stands for anything here. */
function act(event, target) {
  const free = target === document.body || target.closest(".rows, .details") !== null;
  const inDetails = target.closest(".details") !== null;
  const go = (n) => {
    move(n);
    if (!inDetails) focusLine();
    return true;
  };
  switch (event.key) {
    case "/":
      document.getElementById("search").select();
      document.getElementById("search").focus();
      return true;
    case "c":
      surrounding.value = open.peek() ?? current.peek();
      if (surrounding.peek()) open.value = surrounding.peek();
      return surrounding.peek() !== null;
    case "[":
    case "]":
      shift(event.key === "[" ? -1 : 1);
      return true;
    case "-":
      widen(3);
      return true;
    case "j":
      return go(1);
    case "k":
      return go(-1);
    case "ArrowDown":
    case "ArrowUp":
      // Inside the details the arrows scroll.
      return free && !inDetails && go(event.key === "ArrowDown" ? 1 : -1);
    case "t":
      toggle();
      return true;
    case "Enter": {
      if (!free || target.closest("button, a")) return false;
      const line = current.peek() ?? lines.peek().list[0];
      if (!line) return false;
      current.value = line;
      open.value = line;
      document.querySelector(".details")?.focus();
      return true;
    }
  }
  return false;
}
