// What pages besides the search have in common: data that is fetched, and fetched again, and words for what goes wrong.
import { Failure, getJSON } from "./api.js";
import { failureText } from "./failure.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { t } from "./i18n.js";

const asFailure = (e) => (e instanceof Failure ? e : new Failure(0, "internal", e.message, 0));

/**
 * useData fetches a path, and again every so many milliseconds (0: never). It returns {data, failure, again}: data stays while
 * newer is fetched, and is null before the first.
 */
export function useData(path, params = {}, every = 0) {
  const [state, setState] = useState({ data: null, failure: null });
  const now = useRef(() => {});
  useEffect(() => {
    const abort = new AbortController();
    let timer;
    const load = async () => {
      clearTimeout(timer);
      try {
        const data = await getJSON(path, params, abort.signal);
        setState({ data, failure: null });
      } catch (e) {
        if (e.name === "AbortError") return;
        setState((old) => ({ ...old, failure: asFailure(e) }));
      }
      if (every && !abort.signal.aborted) timer = setTimeout(load, every);
    };
    now.current = load;
    load();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [path, JSON.stringify(params)]);
  return { ...state, again: () => now.current() };
}

/** useAct returns [act, failure, busy]: act(f) runs f and remembers how it failed. */
export function useAct() {
  const [failure, setFailure] = useState(null);
  const [busy, setBusy] = useState(false);
  const act = async (f) => {
    setBusy(true);
    try {
      await f();
      setFailure(null);
    } catch (e) {
      setFailure(asFailure(e));
    }
    setBusy(false);
  };
  return [act, failure, busy];
}

/** State shows that data is on its way, or why it is not. */
export function State({ of }) {
  if (of.failure) return html`<p class="alert" role="alert">${failureText(of.failure)}</p>`;
  return of.data === null && html`<p class="foot" role="status">${t("loading")}</p>`;
}

export const Problem = ({ failure }) => failure && html`<p class="alert" role="alert">${failureText(failure)}</p>`;

// Missing names the servers that an answer is without.
export const Missing = ({ servers }) => servers.length > 0 && html`<p class="warning" role="status">${t("withoutServers", { names: servers.join(", ") })}</p>`;

/** Sure is a button that asks once more before it does what cannot be undone. */
export function Sure({ label, name, act }) {
  const [asked, setAsked] = useState(false);
  useEffect(() => {
    if (!asked) return;
    const timer = setTimeout(() => setAsked(false), 4000);
    return () => clearTimeout(timer);
  }, [asked]);
  return html`<button type="button" class=${asked ? "danger" : ""} aria-label=${asked ? t("reallyNamed", { what: label, name }) : t("actNamed", { what: label, name })}
    onClick=${() => (asked ? (setAsked(false), act()) : setAsked(true))}>${asked ? t("really", { what: label }) : label}</button>`;
}

/** bytes writes a size with a unit. */
export function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) [n, i] = [n / 1024, i + 1];
  return `${n < 10 && i > 0 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}
