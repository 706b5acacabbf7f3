// The main flows of the page in a real browser. Environment: TALLY_URL, TALLY_USER, TALLY_PASSWORD, CHROMIUM; optional SCREENSHOTS
// (a folder), PROFILE (a folder for browser profiles), TALLY_FAKE=1 (the server has /fake/…).
// The server must be empty, since totals are compared. Exit status 0: all steps held.
import { accessible, base, becomes, browse, check, equal, eventually, fake, logIn, push, rows, shot, step, stored, user } from "./lib.mjs";
import { seed } from "./seed.mjs";
import { units } from "./units.mjs";
import { texts } from "../assets/js/texts.js";

const run = `run${Date.now()}`;
const xss = `<img src=x onerror="document.title='broken into'"> <script>document.title='broken into'</script> ${run}`;
const big = { id: "12345678901234567890", note: "deep" };

equal(Object.keys(texts.zh).join(), Object.keys(texts.en).join(), "keys of the texts in both languages");
const now = Date.now();
await push([
  ...seed(4000),
  { "@timestamp": new Date(now - 4000).toISOString(), message: xss, "log.level": "error", "host.name": "node-1", "odd name": 'say "hi"', payload: `{"id":${big.id},"list":[1,2,{}],"note":"deep"}` },
  { "@timestamp": new Date(now - 5000).toISOString(), message: `java.lang.IllegalStateException: ${run}\n\tat a.B.c(B.java:12)\n\tat a.B.d(B.java:99)`, "log.level": "error", "host.name": "node-1" },
]);
await stored("*", 4002);

await browse({}, async (page, { provoke, context }) => {
  const search = page.getByRole("searchbox", { name: "Search" });
  const details = page.getByRole("dialog", { name: "Details" });
  const ask = async (query) => {
    await search.fill(query);
    await search.press("Enter");
  };

  await step("login: a wrong password is told and the form stays", async () => {
    await page.goto(base);
    await becomes("title", () => page.title(), "tally");
    check((await page.locator('link[rel="icon"]').count()) === 1, "there is no favicon");
    await page.getByLabel("User", { exact: true }).fill(user);
    await page.getByLabel("Password", { exact: true }).fill("wrong");
    await provoke("401", async () => {
      await page.getByRole("button", { name: "Log in" }).click();
      await page.getByRole("alert").waitFor();
    });
    await becomes("user name after a wrong password", () => page.getByLabel("User", { exact: true }).inputValue(), user);
    await accessible(page, "login");
    await shot(page, "login-light");
  });

  await step("login: the right one opens the search, a reload keeps the session", async () => {
    await logIn(page);
    await rows(page, run).first().waitFor();
    await page.reload();
    await rows(page, run).first().waitFor();
    check(await page.getByRole("button", { name: "Log out" }).isVisible(), "Log out is not in sight");
    await page.getByText("4,002 lines").waitFor();
    await accessible(page, "search");
    await shot(page, "search-light");
  });

  await step("modules: clauses, marks, times, JSON", async () => {
    const main = await page.locator('script[type="module"]').getAttribute("src");
    await units(page, new URL("..", new URL(main, base)).href);
  });

  await step("histogram: drawn, and a drag narrows the range", async () => {
    const canvas = page.locator("canvas").first();
    const box = await canvas.boundingBox();
    check(box.width >= 200 && box.height >= 30, `the canvas is ${box.width}×${box.height}`);
    const painted = await canvas.evaluate((c) => {
      const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
      const seen = new Set();
      for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 250) seen.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
      return seen.size;
    });
    check(painted >= 3, `the histogram has ${painted} colours`);
    await page.mouse.move(box.x + box.width * 0.5, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.7, box.y + 40, { steps: 5 });
    await page.mouse.up();
    await page.waitForURL(/start=20.*end=20/);
    await eventually("a smaller count", async () => {
      const n = Number((await page.locator(".count b").textContent()).replace(/\D/g, ""));
      return n > 0 && n < 4002;
    });
    await page.goBack();
    await page.getByText("4,002 lines").waitFor();
  });

  await step("time: a custom range, and a link that fixes a relative one", async () => {
    await page.getByLabel("Time range").selectOption("custom");
    await page.getByLabel("From", { exact: true }).fill("2020-01-02T03:04:05");
    await page.getByLabel("To", { exact: true }).fill("2020-01-01T00:00:00");
    await page.getByRole("button", { name: "Apply" }).click();
    await page.getByRole("alert").waitFor();
    await page.getByLabel("To", { exact: true }).fill("2020-01-02T03:04:06");
    await page.getByRole("button", { name: "Apply" }).click();
    await page.getByText("No line matches").waitFor();
    // Who finds nothing is offered the longest range.
    await page.getByRole("button", { name: "Last 365 days" }).click();
    await page.getByText("4,002 lines").waitFor();
    await becomes("range", () => page.getByLabel("Time range").inputValue(), "-365d");
    await page.getByLabel("Time range").selectOption("-7d");
    await page.getByText("4,002 lines").waitFor();
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.getByRole("button", { name: "Link to this view" }).click();
    await page.getByText("Copied").waitFor();
    const link = await page.evaluate(() => navigator.clipboard.readText());
    check(/\?q=&start=20.*&end=20/.test(link), `the link is ${link}`);
    await page.goto(link);
    await page.getByText("4,002 lines").waitFor();
    await page.goto(base);
    await page.getByText("4,002 lines").waitFor();
  });

  await step("rows: drawn where they are seen, and further pages come by scrolling, none twice", async () => {
    await page.locator(".rows").evaluate((el) => (el.scrollTop = el.scrollHeight));
    await eventually("all pages", async () => {
      await page.locator(".rows").evaluate((el) => (el.scrollTop = el.scrollHeight));
      return (await page.locator(".rows").textContent()).includes("No more lines");
    });
    const last = page.locator(".rows li").last();
    await eventually("the last line", async () => {
      await page.locator(".rows").evaluate((el) => (el.scrollTop = el.scrollHeight)); // the last page has made it longer
      return (await last.getAttribute("aria-posinset")) === "4002" && (await last.getAttribute("aria-setsize")) === "4002";
    });
    check((await page.locator(".rows li").count()) <= 400, "all rows are in the document");
    const ids = await page.locator(".rows li").evaluateAll((list) => list.map((li) => li.dataset.id));
    equal(new Set(ids).size, ids.length, "different ids");
  });

  await step("search: Enter runs it, the text is shown literally", async () => {
    await ask(run);
    await eventually("two rows", async () => (await page.locator(".rows li").count()) === 2);
    check((await rows(page, run).first().textContent()).includes(xss), "the text is not shown as it is");
    await becomes("marked text", () => rows(page, xss).locator("mark").textContent(), run);
    await becomes("elements made from text", () => page.locator(".rows img, .rows script, .details img").count(), 0);
    check(page.url().includes(`q=${run}`), "the query is not in the address");
  });

  await step("details: names and values, JSON in lines, Escape gives the focus back", async () => {
    await rows(page, xss).click();
    await details.waitFor();
    for (const name of ["@timestamp", "_id", "log.level", "host.name", "odd name"]) await details.getByText(name, { exact: true }).waitFor();
    const payload = await details.locator(".field", { hasText: "payload" }).locator(".value").textContent();
    equal(payload, `{\n  "id": ${big.id},\n  "list": [\n    1,\n    2,\n    {}\n  ],\n  "note": "deep"\n}`, "pretty JSON");
    await accessible(page, "details");
    await shot(page, "details-light");
    await page.keyboard.press("j");
    await details.getByText("IllegalStateException").waitFor();
    await page.keyboard.press("Escape");
    await details.waitFor({ state: "detached" });
    await eventually("focus on the row", () => page.evaluate(() => document.activeElement.matches("li.current")));
    await page.keyboard.press("k");
    await page.keyboard.press("Enter");
    await details.getByRole("button", { name: "Filter for odd name" }).click();
    await becomes("query after a filter", () => search.inputValue(), `${run} "odd name":="say \\"hi\\""`);
    await eventually("one row", async () => (await page.locator(".rows li").count()) === 1);
    await details.getByRole("button", { name: "Filter out odd name" }).click();
    await becomes("query after the opposite filter", () => search.inputValue(), `${run} NOT "odd name":="say \\"hi\\""`);
    await rows(page, "IllegalStateException").waitFor();
    await page.keyboard.press("Escape");
  });

  await step("errors stand at their column", async () => {
    await provoke("400", async () => {
      await ask("status | count");
      await page.getByRole("alert").waitFor();
    });
    await becomes("marked column", () => page.locator(".problem mark").textContent(), "|");
    await accessible(page, "error of a query");
    await shot(page, "error-light");
  });

  await step("fields: a value narrows the search", async () => {
    await ask("");
    await page.getByRole("navigation", { name: "Fields" }).getByRole("button", { name: /^log\.level/ }).click();
    await page.getByRole("button", { name: "Filter for log.level: error" }).click();
    await becomes("query", () => search.inputValue(), 'log.level:="error"');
    await eventually("errors only", async () => {
      const classes = await page.locator(".rows li").evaluateAll((list) => list.map((li) => li.className));
      return classes.length > 0 && classes.every((c) => c.includes("lv-error"));
    });
    await shot(page, "fields-light");
  });

  await step("keys: / ? and the help", async () => {
    await page.locator(".rows").focus();
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Help" }).waitFor();
    await accessible(page, "help");
    await shot(page, "help-light");
    await page.keyboard.press("Escape");
    await page.keyboard.press("/");
    await becomes("focus after /", () => page.evaluate(() => document.activeElement.id), "search");
  });

  const tail = page.getByRole("button", { name: "Live tail" });
  const mark = `tail-${run}`;
  await step("live tail: keeps the query, shows each new line once, pauses", async () => {
    await ask(mark);
    await push([{ message: `${mark} before`, "log.level": "info" }]);
    await stored(mark, 1);
    await tail.click();
    await becomes("aria-pressed", () => tail.getAttribute("aria-pressed"), "true");
    await becomes("query in the tail", () => search.inputValue(), mark);
    await page.getByText("Live", { exact: true }).waitFor();
    for (let i = 0; i < 25; i++) await push([{ message: `${mark} no ${i}.`, "log.level": "warn", "host.name": "node-2" }, { message: `another ${i}` }]);
    await rows(page, `${mark} no 24.`).waitFor();
    await becomes("lines of the tail and before", () => rows(page, mark).count(), 26);
    await eventually("the newest on top", async () => (await page.locator(".rows li").first().textContent()).includes("no 24."));
    await page.getByRole("button", { name: "Pause" }).click();
    await push([{ message: `${mark} held` }]);
    await page.getByText("1 line waiting").waitFor();
    await becomes("lines in a paused tail", () => rows(page, `${mark} held`).count(), 0);
    await shot(page, "tail-light");
    await page.getByRole("button", { name: "Resume" }).click();
    await rows(page, `${mark} held`).waitFor();
    await accessible(page, "live tail");
    // Someone who reads further down is not disturbed.
    const list = page.locator(".rows");
    await page.setViewportSize({ width: 1440, height: 480 });
    await list.evaluate((el) => (el.scrollTop = 200));
    await push([{ message: `${mark} while reading` }]);
    await page.getByRole("button", { name: "1 line waiting" }).click();
    await rows(page, `${mark} while reading`).waitFor();
    await becomes("place after a click on what waits", () => list.evaluate((el) => el.scrollTop), 0);
    await page.setViewportSize({ width: 1440, height: 900 });
  });

  if (fake) {
    await step("live tail: says what it skipped, and comes back after a break without loss", async () => {
      await fetch(`${base}/fake/skip`, { method: "POST" });
      await page.getByText("7 lines skipped").waitFor();
      await fetch(`${base}/fake/break`, { method: "POST" });
      await page.getByText("The live tail was interrupted").waitFor();
      await push([{ message: `${mark} in the break` }]);
      await rows(page, `${mark} in the break`).waitFor();
      await becomes("lines after a break", () => rows(page, mark).count(), 29);
    });
  }

  await step("logout: clears the lines and ends the session", async () => {
    await tail.click();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("Password", { exact: true }).waitFor();
    const left = await page.evaluate(() => document.documentElement.outerHTML);
    check(!left.includes(run), "lines or queries are left in the document");
    await page.goto(`${base}/?q=${run}&start=-1h&end=`);
    await page.getByLabel("Password", { exact: true }).waitFor();
    await logIn(page);
    await eventually("the linked view", async () => (await rows(page, run).count()) >= 2);
  });

  if (fake) {
    await step("a session that the server ended leads to the login", async () => {
      // The fields are what a search asks for last: with nothing on its way, the next search is the one that fails.
      await page.getByRole("navigation", { name: "Fields" }).getByRole("button", { name: /^log\.level/ }).waitFor();
      await fetch(`${base}/fake/expire`, { method: "POST" });
      await provoke("401", async () => {
        await ask("anything");
        await page.getByText("Your session has ended").waitFor();
      });
      await page.getByLabel("User", { exact: true }).fill("guesser");
      await provoke("Failed to load resource", async () => {
        for (let i = 0; i < 9; i++) {
          await page.getByLabel("Password", { exact: true }).fill(`guess ${i}`);
          await page.getByRole("button", { name: "Log in" }).click();
          await eventually("an emptied password", async () => (await page.getByLabel("Password", { exact: true }).inputValue()) === "");
        }
        await page.getByText("Please wait 17 s").waitFor();
      });
    });
  }
});

await browse({ locale: "zh-CN", colorScheme: "dark" }, async (page) => {
  await step("Chinese, dark", async () => {
    await page.goto(base);
    await accessible(page, "login, dark");
    await shot(page, "login-dark-zh");
    await logIn(page, { user: "用户", password: "密码", logIn: "登录" });
    await page.getByRole("searchbox", { name: "搜索" }).waitFor();
    for (const name of ["实时", "退出"]) await page.getByRole("button", { name }).waitFor();
    const dark = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    check(Math.max(...dark.match(/\d+/g).map(Number)) < 60, `the background is ${dark}`);
    await rows(page, run).first().waitFor();
    await accessible(page, "search, dark");
    await page.getByRole("button", { name: "English" }).click();
    await page.getByRole("searchbox", { name: "Search" }).waitFor();
    await shot(page, "search-dark");
    await page.locator(".rows li").nth(4).click();
    await page.getByRole("dialog", { name: "Details" }).waitFor();
    await accessible(page, "details, dark");
    await shot(page, "details-dark");
    await page.getByRole("button", { name: /^Theme/ }).click();
    await page.getByRole("button", { name: "Theme: light" }).waitFor();
    await page.reload();
    await becomes("theme after a reload", () => page.locator("html").getAttribute("data-theme"), "light");
  });
});

await browse({ viewport: { width: 390, height: 844 }, hasTouch: true, deviceScaleFactor: 2 }, async (page) => {
  await step("phone", async () => {
    await page.goto(base);
    await logIn(page);
    await rows(page, run).first().waitFor();
    check(await page.getByRole("button", { name: "Log out" }).isVisible(), "Log out is not in sight");
    const wider = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    check(!wider, "the page is wider than the phone");
    await accessible(page, "phone");
    await shot(page, "phone");
    await rows(page, xss).click();
    await page.getByRole("dialog", { name: "Details" }).waitFor();
    await accessible(page, "details on a phone");
    await shot(page, "phone-details");
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByRole("button", { name: "Fields" }).click();
    await shot(page, "phone-fields");
  });
});
