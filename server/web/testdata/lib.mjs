// Tools of the browser test: the browser, pushing lines, axe, screenshots, and one line of output a step.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const need = (name) => process.env[name] ?? fatal(`the environment variable ${name} is missing`);
function fatal(message) {
  console.error(message);
  process.exit(1);
}

export const base = need("TALLY_URL");
export const user = need("TALLY_USER");
export const password = need("TALLY_PASSWORD");
/** fake is true where the server has the addresses under /fake/. */
export const fake = process.env.TALLY_FAKE === "1";
const screenshots = process.env.SCREENSHOTS;
const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

export function check(condition, message) {
  if (!condition) throw new Error(message);
}

export const equal = (got, want, what) => check(got === want, `${what}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);

/** eventually polls until f returns something true; its last value or error is in the message when it never does. */
export async function eventually(what, f, ms = 40000) {
  const until = Date.now() + ms;
  let last;
  while (Date.now() < until) {
    last = await f();
    if (last) return last;
    await new Promise((r) => setTimeout(r, 50));
  }
  throw new Error(`${what} did not happen within ${ms} ms (last: ${JSON.stringify(last)})`);
}

/** becomes polls until f returns what is wanted: the page shows what came of a click a moment later. */
export async function becomes(what, f, want) {
  let got;
  await eventually(what, async () => (got = await f()) === want).catch(() => equal(got, want, what));
}

const Authorization = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

/** stored waits until a query finds n events: a server may answer a push before a search sees it. */
export const stored = (query, n) =>
  eventually(`${n} events of ${query}`, async () => {
    const response = await fetch(`${base}/api/v1/query?${new URLSearchParams({ query, limit: 10 * n })}`, { headers: { Authorization } });
    const text = await response.text();
    check(response.ok, `query: ${response.status} ${text}`);
    return text.split("\n").filter(Boolean).length === n;
  });

/** push sends events through the API with Basic credentials. */
export async function push(events, headers = {}) {
  const response = await fetch(`${base}/api/v1/push`, {
    method: "POST",
    headers: { Authorization, "Content-Type": "application/x-ndjson", ...headers },
    body: events.map((e) => JSON.stringify(e)).join("\n") + "\n",
  });
  const text = await response.text();
  check(response.ok, `push: ${response.status} ${text}`);
  const answer = JSON.parse(text);
  equal(answer.accepted, events.length, "accepted events");
}

/** pushSource sends events of a named source, from the position `from` on. */
export const pushSource = (name, events, from = 0) => push(events, { "Tally-Source": name, "Tally-From": String(from) });

/** api asks the server as the admin; it returns the answer's JSON. */
export async function api(method, path, body, wanted = 200) {
  const response = await fetch(`${base}/api/v1/${path}`, { method, headers: { Authorization, "Content-Type": "application/json" }, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await response.text();
  equal(response.status, wanted, `${method} ${path} (${text})`);
  return text === "" ? null : JSON.parse(text);
}

/**
 * browse opens a browser with a profile of its own and calls f(page). Errors on the console and requests to other
 * hosts are failures; expected(text) tells which messages of the console a step provoked on purpose.
 */
export async function browse(options, f) {
  const profile = mkdtempSync(join(process.env.PROFILE ?? tmpdir(), "page-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: need("CHROMIUM"),
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    viewport: { width: 1440, height: 900 },
    locale: "en-US",
    ...options,
  });
  process.once("SIGINT", () => context.close().finally(() => process.exit(1)));
  const bad = [];
  let expected = () => false;
  const watch = (page) => {
    page.on("console", (m) => (m.type() === "error" || m.type() === "warning") && !expected(m.text()) && bad.push(`console: ${m.text()}`));
    page.on("pageerror", (e) => bad.push(`exception: ${e.stack}`));
    page.on("request", (r) => !r.url().startsWith(base) && !r.url().startsWith("data:") && bad.push(`foreign request: ${r.url()}`));
  };
  context.on("page", watch);
  const page = context.pages()[0];
  watch(page);
  page.setDefaultTimeout(Number(process.env.PAGE_TIMEOUT ?? 40000));
  try {
    await f(page, {
      /** provoke runs a step in which console errors with such a text are right. */
      async provoke(text, step) {
        expected = (m) => m.includes(text);
        await step();
        expected = () => false;
      },
      context,
    });
    check(bad.length === 0, bad.join("\n"));
  } catch (e) {
    await shot(page, "failed").catch(() => {});
    throw bad.length ? new Error(`${e.message}\nalso: ${bad.join("\n")}`, { cause: e }) : e;
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

export async function step(name, f) {
  const began = Date.now();
  try {
    await f();
  } catch (e) {
    e.message = `${name}: ${e.message}`;
    throw e;
  }
  console.log(`ok ${name} (${Date.now() - began} ms)`);
}

export async function shot(page, name) {
  if (screenshots) await page.screenshot({ path: join(screenshots, `${name}.png`) });
}

/** accessible runs axe and fails on what it calls serious or critical. */
export async function accessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const grave = violations.filter((v) => v.impact === "serious" || v.impact === "critical");
  check(grave.length === 0, `${what}: ${grave.map((v) => `${v.id}: ${v.help}\n${v.nodes.slice(0, 3).map((n) => `  ${n.html}\n  ${n.failureSummary}`).join("\n")}`).join("\n")}`);
}

export async function logIn(page, names = { user: "User", password: "Password", logIn: "Log in" }) {
  await page.getByLabel(names.user, { exact: true }).fill(user);
  await page.getByLabel(names.password, { exact: true }).fill(password);
  await page.getByRole("button", { name: names.logIn }).click();
}

/** ask runs a search. */
export async function ask(page, query) {
  const search = page.getByRole("searchbox");
  await search.fill(query);
  await search.press("Enter");
}

/** rows finds results by a text in them. */
export const rows = (page, text) => page.locator(".rows li").filter({ hasText: text });
