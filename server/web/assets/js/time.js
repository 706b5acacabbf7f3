// Times: what the URL and the API say ("-1h", RFC 3339, epoch milliseconds), and how people read them.
import { t } from "./i18n.js";

const units = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };

/** presets are the ranges that are offered, as the start of a range that ends now. */
export const presets = ["-5m", "-15m", "-30m", "-1h", "-3h", "-6h", "-12h", "-24h", "-2d", "-7d", "-30d", "-90d", "-365d"];

/** longest is the longest of them. */
export const longest = presets.at(-1);

/** relative returns the milliseconds of "-1h30m", or null where the text is none. */
export function relative(text) {
  if (!/^-(\d+(\.\d+)?(ms|[smhdw]))+$/.test(text)) return null;
  let sum = 0;
  for (const [, n, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g)) sum += Number(n) * units[unit];
  return sum;
}

/** resolve returns epoch milliseconds; an empty or unreadable text gives fallback. */
export function resolve(text, now, fallback) {
  const ago = relative(text);
  if (ago !== null) return now - ago;
  const at = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  return Number.isFinite(at) ? at : fallback;
}

/** forAPI writes days and weeks in hours, which every reader of durations knows. */
export function forAPI(text) {
  const ago = relative(text);
  return ago !== null && /[dw]/.test(text) ? `-${ago / 36e5}h` : text;
}

/** presetName is "Last 15 minutes" for "-15m". */
export function presetName(text) {
  const ms = relative(text);
  let n;
  if (ms === 36e5) n = t("oneHour");
  else if (ms % 36e5 !== 0) n = t("minutes", { n: Math.round(ms / 6e4) });
  else if (ms <= 48 * 36e5) n = t("hours", { n: ms / 36e5 });
  else n = t("days", { n: Math.round((ms / 864e5) * 10) / 10 });
  return t("last", { n });
}

const p2 = (n) => String(n).padStart(2, "0");
const date = (d) => `${d.getFullYear()}-${p2(d.getMonth() + 1)}-${p2(d.getDate())}`;
const clock = (d) => `${p2(d.getHours())}:${p2(d.getMinutes())}:${p2(d.getSeconds())}`;

/** full is a time in the browser's zone to the second; local is the form that datetime-local inputs take. */
export const full = (ms) => `${date(new Date(ms))} ${clock(new Date(ms))}`;
export const local = (ms) => `${date(new Date(ms))}T${clock(new Date(ms))}`;

/** rowTime is the time of a line: milliseconds always, the date only where the range is longer than a day. */
export function rowTime(text, withDate) {
  const d = new Date(text);
  if (Number.isNaN(d.getTime())) return text;
  const time = `${clock(d)}.${String(d.getMilliseconds()).padStart(3, "0")}`;
  return withDate ? `${date(d).slice(5)} ${time}` : time;
}

/** zone is the browser's distance from UTC at a time, as "+08:00". */
export function zone(ms) {
  const m = -new Date(ms).getTimezoneOffset();
  return `${m < 0 ? "-" : "+"}${p2(Math.floor(Math.abs(m) / 60))}:${p2(Math.abs(m) % 60)}`;
}

/** key turns an RFC 3339 time into UTC with nine digits, so that comparing texts compares times. */
export function key(text) {
  const m = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (!m) return text;
  const base = m[3] === "Z" ? m[1] : new Date(m[1] + m[3]).toISOString().slice(0, 19);
  return `${base}.${(m[2] ?? "").padEnd(9, "0").slice(0, 9)}Z`;
}

/**
 * behind returns the exclusive end of a range that still holds all lines that may show the same time as text: one unit of
 * its last digits later, since an answer may be cut to milli- or microseconds.
 */
export function behind(text) {
  const k = key(text);
  const digits = /\.(\d+)/.exec(text)?.[1].length ?? 0;
  const nanos = Number(k.slice(20, 29)) + (digits <= 3 ? 1e6 : digits <= 6 ? 1e3 : 1);
  const second = Date.parse(`${k.slice(0, 19)}Z`) + (nanos >= 1e9 ? 1000 : 0);
  return `${new Date(second).toISOString().slice(0, 19)}.${String(nanos % 1e9).padStart(9, "0")}Z`;
}

/** ago says how long something is past, as "3 min ago"; longer than two days it is the time itself. */
export function ago(text) {
  const at = Date.parse(text);
  if (!Number.isFinite(at)) return "";
  const seconds = Math.max(0, Math.round((Date.now() - at) / 1000));
  if (seconds < 60) return t("secondsAgo", { n: seconds });
  if (seconds < 3600) return t("minutesAgo", { n: Math.floor(seconds / 60) });
  if (seconds < 172800) return t("hoursAgo", { n: Math.floor(seconds / 3600) });
  return full(at);
}

const steps = ["10ms", "50ms", "100ms", "500ms", "1s", "2s", "5s", "10s", "15s", "30s", "1m", "2m", "5m", "10m", "15m", "30m", "1h", "2h", "3h", "6h", "12h", "24h"];

/** stepFor returns the finest step that cuts a range into at most bars pieces, as {text, ms}. */
export function stepFor(range, bars) {
  for (const text of steps) {
    const ms = relative(`-${text}`);
    if (range / ms <= bars) return { text, ms };
  }
  const days = Math.ceil(range / bars / 864e5);
  return { text: `${days * 24}h`, ms: days * 864e5 };
}
