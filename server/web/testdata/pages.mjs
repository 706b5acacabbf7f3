// The pages beside the search, on a real server: browse, the account of sources, clusters, operations; both languages, both
// themes, a phone, and what a reader does not see. Environment as for page.mjs.
import { accessible, api, ask, base, becomes, browse, check, equal, eventually, logIn, password, push, pushSource, rows, shot, step, stored } from "./lib.mjs";
import { seed } from "./seed.mjs";

const now = Date.now();
await push(seed(1500).map((e, i) => ({ ...e, "orchestrator.cluster.name": i % 3 ? "prod-eu" : "edge <b>", "kubernetes.deployment.name": e["kubernetes.container.name"] === "ledger" ? undefined : e["kubernetes.container.name"] })));
const line = (i) => ({ "@timestamp": new Date(now - 6e5 + i * 1000).toISOString(), message: `order ${i}`, "host.name": "node-1", "orchestrator.cluster.name": "prod-eu", "kubernetes.namespace": "shop", "kubernetes.pod.name": "cart-1" });
await pushSource("whole.log", Array.from({ length: 50 }, (_, i) => line(i)));
await pushSource("holed.log", Array.from({ length: 20 }, (_, i) => line(i)));
await pushSource("holed.log", Array.from({ length: 20 }, (_, i) => line(i + 30)), 30);
await pushSource("edge.log", [{ ...line(0), "orchestrator.cluster.name": "edge <b>", "host.name": "edge-1" }]);
await stored("tally.source:*", 91);
await api("POST", "users", { name: "rita", password, role: "reader" });

const pages = { browse: "Browse", sources: "Sources", clusters: "Clusters", operations: "Operations" };
const tabs = ["servers", "storage", "letters", "pipelines", "plugins", "access", "audit"];

await browse({}, async (page, { provoke }) => {
  const open = (name) => page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name }).click();
  await page.goto(base);
  await logIn(page);
  await rows(page, "order").first().waitFor();

  await step("browse: from cluster to container, then its lines", async () => {
    await open("Browse");
    await page.getByRole("link", { name: "edge <b>" }).waitFor();
    await becomes("title", () => page.title(), "Browse · tally");
    await page.getByRole("row", { name: /^prod-eu/ }).locator(".last span").waitFor();
    await accessible(page, "browse");
    await shot(page, "browse-light");
    for (const name of ["prod-eu", "shop", "checkout"]) await page.getByRole("link", { name, exact: true }).click();
    await page.getByRole("link", { name: /^checkout-5f8d7c9b8-mm4tp/ }).click();
    await page.getByRole("navigation", { name: "Path" }).getByRole("link", { name: "shop" }).waitFor();
    await page.getByRole("table").getByRole("link", { name: "checkout", exact: true }).click();
    await rows(page, /./).first().waitFor();
    const query = await page.getByRole("searchbox", { name: "Search" }).inputValue();
    check(query.includes('kubernetes.deployment.name:="checkout"') && query.includes('kubernetes.container.name:="checkout"'), `query ${query}`);
    await page.goBack();
    await page.getByRole("navigation", { name: "Path" }).getByText("mm4tp").waitFor();
  });

  await step("sources: what is missing stands first, with its reason, and is explained", async () => {
    await open("Sources");
    const table = page.getByRole("table");
    await table.getByRole("row").nth(1).getByRole("button", { name: "holed.log" }).waitFor();
    await table.getByRole("row", { name: /^whole\.log/ }).getByText("all there").waitFor();
    const share = await table.getByRole("row", { name: /^holed\.log/ }).getByText("%").textContent();
    equal(share, "80.00 %", "completeness");
    await table.getByRole("button", { name: "holed.log" }).click();
    const side = page.getByRole("region", { name: "Details" }).first();
    await side.getByText("20 – 30").waitFor();
    await accessible(page, "sources");
    await shot(page, "sources-light");
    await side.getByRole("button", { name: "Explain" }).click();
    await page.getByRole("status").getByText("Line 20 of holed.log").waitFor();
    await shot(page, "explain-light");
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByLabel("Show by").selectOption("cluster");
    await table.getByRole("button", { name: "prod-eu" }).waitFor();
    await page.getByLabel("Show by").selectOption("source");
    await page.getByRole("searchbox", { name: "Filter sources" }).fill("whole");
    await eventually("one source", async () => (await table.getByRole("row").count()) === 2);
    await page.getByLabel("Source", { exact: true }).fill("whole.log");
    await page.getByLabel("Byte, entry or line number").fill("7");
    await page.getByRole("button", { name: "Explain" }).click();
    await page.getByText("Line 7 of whole.log is stored").waitFor();
    await page.getByRole("button", { name: "Show it" }).click();
    await rows(page, "order 7").first().waitFor();
  });

  await step("clusters: a name becomes one line to install agents; nodes without an agent are told", async () => {
    await open("Clusters");
    await page.getByText("edge <b>").waitFor();
    await page.getByLabel("Name of a Kubernetes cluster").fill("prod-eu");
    await page.getByRole("button", { name: "Register" }).click();
    const command = await page.locator(".command code").textContent();
    check(/^kubectl apply -f http:\/\/127\.0\.0\.1:\d+\/install\/[A-Z2-7]{26}$/.test(command), command);
    const manifest = await (await fetch(command.split(" ").at(-1))).text();
    const token = /\n {2}token: "(.*)"/.exec(manifest)[1];
    // What an agent of a cluster of two nodes would say.
    const status = { version: "7.17.29", node: "node-1", config: "abcdef0123456789", lag: 12, open: 3, errors: 0, nodes: { names: ["node-1", "node-2"] } };
    const told = await fetch(`${base}/api/v1/push`, { method: "POST", headers: { Authorization: `Bearer ${token}`, "Tally-Positions": "event" }, body: `${JSON.stringify({ "@metadata": { tally: { control: "status", source: "agent:1", status } } })}\n` });
    equal(told.status, 200, "push of a status");
    await open("Search");
    await open("Clusters");
    const cluster = page.getByRole("region", { name: "prod-eu" });
    await cluster.getByText("1 without an agent").waitFor();
    await cluster.getByText("node-2 no agent").waitFor();
    await cluster.getByRole("row", { name: /^node-1 7\.17\.29/ }).waitFor();
    await accessible(page, "clusters");
    await shot(page, "clusters-light");
    await cluster.getByRole("button", { name: /^Revoke/ }).click();
    await cluster.getByRole("button", { name: /^Revoke: sure/ }).click();
    await eventually("no code", async () => (await cluster.locator(".codes").count()) === 0);
    equal((await fetch(command.split(" ").at(-1))).status, 404, "a revoked code");
    await cluster.getByRole("button", { name: "New install code prod-eu" }).click();
    await cluster.getByRole("button", { name: /^New install code: sure/ }).click();
    await page.getByText("Install the agents in prod-eu").waitFor();
  });

  await step("operations: every tab", async () => {
    await open("Operations");
    for (const tab of tabs) {
      await page.goto(`${base}/?page=operations&tab=${tab}`);
      await eventually(`the data of ${tab}`, async () => (await page.getByText("Loading…").count()) === 0 && (await page.locator(".pad").textContent()).length > 20);
      await accessible(page, `operations, ${tab}`);
      await shot(page, `operations-${tab}-light`);
    }
  });

  await step("operations: a pipeline is tried, step by step", async () => {
    await page.goto(`${base}/?page=operations&tab=pipelines`);
    const place = page.getByRole("region", { name: "Try it here" });
    await place.getByLabel("Lines").fill("10.0.0.7 GET 200\n<i>nothing</i>");
    await place.getByRole("button", { name: "Try it here" }).click();
    await place.getByRole("region", { name: "Line 1" }).getByText('"http.request.method": "GET"').first().waitFor();
    await place.getByRole("region", { name: "Line 2" }).getByText("<i>nothing</i>").first().waitFor();
    await accessible(page, "a tried pipeline");
    await shot(page, "pipelines-tried-light");
    await place.getByLabel("Configuration").fill("pipelines:\n- name: x\n  processors:\n  - nonsense: {}\n");
    await provoke("400", async () => {
      await place.getByRole("button", { name: "Try it here" }).click();
      await place.getByRole("alert").getByText("nonsense").waitFor();
    });
  });

  await step("operations: pipelines in force, and what they reject: seen, replayed, dropped", async () => {
    await api("POST", "push", ["3 apples", "no <b>fruit</b>", "none either"].map((message) => ({ message, kind: "strict" })));
    await page.goto(`${base}/?page=operations&tab=pipelines`);
    await page.getByRole("region", { name: "In force" }).getByText("strict", { exact: true }).click();
    await page.getByRole("region", { name: "In force" }).getByText("2 failed").first().waitFor();
    await page.goto(`${base}/?page=operations&tab=letters`);
    await page.getByRole("button", { name: "no <b>fruit</b>" }).click();
    await page.locator("pre.json").getByText('"kind": "strict"').waitFor();
    await accessible(page, "dead letters");
    await shot(page, "letters-light");
    const row = page.getByRole("row").filter({ hasText: "no <b>fruit</b>" });
    await row.getByRole("button", { name: /^Replay/ }).click();
    await page.getByText("0 stored, 1 rejected again").waitFor();
    await page.getByLabel("replay past the pipelines").check();
    await row.getByRole("button", { name: /^Replay/ }).click();
    await page.getByText("1 stored, 0 rejected again").waitFor();
    await eventually("one letter", async () => (await page.locator("tbody tr").count()) === 1);
    await page.getByRole("button", { name: "Drop these" }).click();
    await page.getByRole("button", { name: "Drop these: sure?" }).click();
    await page.getByText("No dead letters.").waitFor();
    await stored("kind:strict", 2);
  });

  await step("operations: a token is made, shown once, revoked; a user is disabled; the audit log tells", async () => {
    await page.goto(`${base}/?page=operations&tab=access`);
    const tokens = page.getByRole("region", { name: "Tokens" });
    await tokens.getByLabel("Name", { exact: true }).fill("ci");
    await tokens.getByLabel("Namespaces").fill("shop team-*");
    await tokens.getByRole("button", { name: "Create token" }).click();
    const secret = await tokens.locator(".command code").textContent();
    const used = () => fetch(`${base}/api/v1/count?query=*`, { headers: { Authorization: `Bearer ${secret}` } });
    equal((await used()).status, 200, "the token");
    await tokens.getByText("Namespace: shop, team-*").waitFor();
    await tokens.getByRole("button", { name: "Revoke ci" }).click();
    await tokens.getByRole("button", { name: "Revoke: sure? ci" }).click();
    await eventually("a revoked token", async () => (await used()).status === 401);
    const users = page.getByRole("region", { name: "Users" });
    await users.getByLabel("Name", { exact: true }).fill("otto");
    await users.getByLabel("Password").fill("long enough it is");
    await users.getByLabel("Role").selectOption("operator");
    await users.getByRole("button", { name: "Add user" }).click();
    await users.getByRole("button", { name: "Disable otto" }).click();
    await users.getByRole("row", { name: /^otto/ }).getByText("disabled").waitFor();
    await page.goto(`${base}/?page=operations&tab=audit`);
    await page.getByRole("row", { name: /token\.revoke/ }).first().waitFor();
  });
});

await browse({ locale: "zh-CN", colorScheme: "dark" }, async (page) => {
  await step("Chinese, dark: every page", async () => {
    await page.goto(base);
    await logIn(page, { user: "用户", password: "密码", logIn: "登录" });
    await page.getByRole("searchbox", { name: "搜索" }).waitFor();
    const seen = async (name, address) => {
      await page.goto(`${base}/?${address}`);
      await eventually(name, async () => (await page.getByText("正在加载…").count()) === 0 && (await page.locator(".plain").textContent()).length > 20);
      await accessible(page, `${name}, dark`);
      await shot(page, `${name}-dark-zh`);
    };
    for (const name of Object.keys(pages).filter((p) => p !== "operations")) await seen(name, `page=${name}`);
    for (const tab of tabs) await seen(`operations-${tab}`, `page=operations&tab=${tab}`);
  });
});

await browse({ viewport: { width: 390, height: 844 }, hasTouch: true, deviceScaleFactor: 2 }, async (page) => {
  await step("phone: no page is wider than it", async () => {
    await page.goto(base);
    await logIn(page);
    await rows(page, "order").first().waitFor();
    for (const name of [...Object.keys(pages), "operations&tab=access", "operations&tab=pipelines"]) {
      await page.goto(`${base}/?page=${name}`);
      await eventually(name, async () => (await page.getByText("Loading…").count()) === 0 && (await page.locator(".plain").textContent()).length > 20);
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      check(wider <= 0, `${name} is ${wider} px wider than the phone`);
      await accessible(page, `${name} on a phone`);
      await shot(page, `phone-${name.replace("&tab=", "-")}`);
    }
  });
});

await browse({}, async (page, { provoke }) => {
  await step("a reader sees no operations, whatever the address says", async () => {
    await page.goto(`${base}/?page=operations&tab=access`);
    await page.getByLabel("User", { exact: true }).fill("rita");
    await page.getByLabel("Password", { exact: true }).fill(password);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("searchbox", { name: "Search" }).waitFor();
    const links = await page.getByRole("navigation", { name: "Pages" }).getByRole("link").allTextContents();
    equal(links.join(), "Search,Browse,Sources", "pages of a reader");
    await ask(page, "order");
    await rows(page, "order").first().waitFor();
    await page.keyboard.press("5");
    check(!page.url().includes("page=operations"), "a key leads to operations");
  });
});
