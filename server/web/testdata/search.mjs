// What the search offers beyond its main flow, on a real server: completion, columns, groups, surrounding lines, downloads, saved
// searches, links to a line, colours; and that a long list scrolls and typing stays quick. Environment as for page.mjs.
import { readFileSync } from "node:fs";
import { accessible, ask, base, becomes, browse, check, equal, eventually, logIn, push, pushSource, rows, shot, step, stored } from "./lib.mjs";
import { seed } from "./seed.mjs";
import { firstRows, frames, long } from "./smooth.mjs";

const run = `run${Date.now()}`;
const now = Date.now();
const lines = Number(process.env.LONG_LIST ?? 200_000);
await push([
  ...seed(2000),
  { "@timestamp": new Date(now - 3000).toISOString(), message: `\u001b[1;31mFAIL\u001b[0m ${run} <b>\u001b[32mok\u001b[0m`, "log.level": "warn", "host.name": "node-1", nested: '{"a":{"b":[1,2]},"<i>":"x"}' },
]);
await stored("*", 2001);
// Neighbours in one source: the fifth of nine.
await pushSource(`${run}.log`, Array.from({ length: 90 }, (_, i) => ({ "@timestamp": new Date(now - 9e5 + i * 10).toISOString(), message: `step ${i} of ${run}`, "log.level": i === 45 ? "error" : "info" })));
await stored(`step ${run}`, 90);

await browse({ acceptDownloads: true }, async (page, { provoke, context }) => {
  const search = page.getByRole("searchbox", { name: "Search" });
  const details = page.getByRole("dialog", { name: "Details" });
  const completions = page.getByRole("listbox", { name: "Completions" });
  await page.goto(base);
  await logIn(page);
  await rows(page, run).first().waitFor();

  await step("completion: fields, then operators and values; Enter runs unless one is chosen", async () => {
    await search.click();
    await search.pressSequentially("names");
    await completions.getByRole("option", { name: /^kubernetes\.namespace/ }).waitFor();
    await accessible(page, "completion");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await becomes("the field", () => search.inputValue(), "kubernetes.namespace:");
    await completions.getByRole("option", { name: /^shop/ }).waitFor();
    await completions.getByRole("option", { name: /regular expression/ }).waitFor();
    await shot(page, "completion-light");
    await search.pressSequentially("pay");
    await completions.getByRole("option", { name: /^payments/ }).click();
    await becomes("the value", () => search.inputValue(), 'kubernetes.namespace:="payments" ');
    await search.pressSequentially("acc");
    await page.keyboard.press("Enter");
    await page.waitForURL(/q=kubernetes\.namespace%3A%3D%22payments%22\+acc/);
    await eventually("no completions", async () => (await completions.count()) === 0);
    await search.fill("error");
    await search.press("Escape");
    await search.press("Enter");
    await page.waitForURL(/q=error&/);
  });

  await step("errors: the caret goes to the column", async () => {
    await provoke("400", async () => {
      await ask(page, "payment (refused");
      await page.getByRole("alert").waitFor();
    });
    await becomes("marked column", () => page.locator(".problem mark").textContent(), "(");
    await becomes("caret", () => search.evaluate((el) => el.selectionStart), 8);
  });

  await step("columns: from the details, kept, in the address, moved, taken away", async () => {
    await ask(page, "");
    await rows(page, "order").first().click();
    await details.getByRole("button", { name: "kubernetes.node.name as a column" }).click();
    await details.getByRole("button", { name: "event.duration as a column" }).click();
    await page.keyboard.press("Escape");
    const heads = page.getByRole("toolbar", { name: "Columns" });
    await becomes("heads", async () => (await heads.locator(".text").allTextContents()).join(), "kubernetes.node.name,event.duration,message");
    await eventually("values in the columns", async () => /^node-\d$/.test(await rows(page, "order").first().locator(".cell").first().textContent()));
    await heads.getByRole("button", { name: "Move event.duration to the left" }).click();
    await page.waitForURL(/columns=event\.duration%2Ckubernetes\.node\.name/);
    await accessible(page, "columns");
    await shot(page, "columns-light");
    await page.goto(base);
    await page.getByRole("toolbar", { name: "Columns" }).waitFor();
    await page.getByRole("button", { name: "Remove the column event.duration" }).click();
    await page.getByRole("button", { name: "Remove the column kubernetes.node.name" }).click();
    await eventually("no heads", async () => (await heads.count()) === 0);
  });

  await step("group: the histogram by a field, whose values narrow the search", async () => {
    const fields = page.getByRole("navigation", { name: "Fields" });
    await fields.getByRole("button", { name: /^kubernetes\.namespace/ }).click();
    await fields.getByRole("button", { name: "Group", exact: true }).click();
    await page.locator(".legend").getByText("by kubernetes.namespace").waitFor();
    await page.waitForURL(/by=kubernetes\.namespace/);
    await page.locator(".legend").getByRole("button", { name: /^payments/ }).waitFor();
    await accessible(page, "grouped");
    await shot(page, "grouped-light");
    await page.locator(".legend").getByRole("button", { name: /^payments/ }).click();
    await becomes("query", () => search.inputValue(), 'kubernetes.namespace:="payments"');
    await page.getByRole("button", { name: "By level again" }).click();
    await page.locator(".legend").getByText("error").waitFor();
  });

  await step("time: earlier, later, zoom out, and their keys", async () => {
    await ask(page, "");
    await page.getByRole("button", { name: "Earlier" }).click();
    await page.waitForURL(/start=20.*&end=20/);
    await page.locator(".rows").focus();
    const before = page.url();
    await page.keyboard.press("-");
    await eventually("a longer range", async () => page.url() !== before);
    await page.getByLabel("Time range").selectOption("-1h");
    await rows(page, run).first().waitFor();
  });

  await step("colours: escape sequences colour the text and stay literal", async () => {
    await ask(page, `${run} log.level:warn`);
    const message = rows(page, run).first().locator(".message");
    await message.locator(".ansi-red.ansi-bold", { hasText: "FAIL" }).waitFor();
    await message.locator(".ansi-green", { hasText: "ok" }).waitFor();
    check((await message.textContent()).includes("\u001b[1;31mFAIL\u001b[0m"), "the text is not what was written");
    await becomes("elements made from text", () => page.locator(".rows b").count(), 0);
    await rows(page, run).first().click();
    await becomes("JSON in lines", () => details.locator(".field", { hasText: "nested" }).locator(".value").textContent(), '{\n  "a": {\n    "b": [\n      1,\n      2\n    ]\n  },\n  "<i>": "x"\n}');
    await page.keyboard.press("Escape");
  });

  await step("surrounding lines, and a link to one line", async () => {
    await ask(page, `"step 45 of"`);
    await rows(page, "step 45").click();
    await details.getByText("tally.from", { exact: true }).waitFor();
    await details.getByRole("button", { name: "Surrounding lines" }).click();
    const around = page.getByRole("dialog", { name: "Surrounding lines" });
    await around.locator("li.own", { hasText: "step 45" }).waitFor();
    await becomes("lines around", () => around.locator("li").count(), 51);
    await accessible(page, "surrounding lines");
    await shot(page, "context-light");
    await around.getByRole("button", { name: "More before" }).click();
    await around.getByText("step 0 of").waitFor();
    await around.getByRole("button", { name: /step 44 of/ }).click();
    await details.getByText("step 44 of").first().waitFor();
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await details.getByRole("button", { name: "Link to this line" }).click();
    const link = await page.evaluate(() => navigator.clipboard.readText());
    check(/&line=\w/.test(link), `the link is ${link}`);
    await page.goto(link);
    // The query does not find it; the link does.
    await details.getByText("step 44 of").first().waitFor();
    await page.keyboard.press("Escape");
    await details.waitFor({ state: "detached" });
    check(!page.url().includes("line="), "the address keeps a closed line");
  });

  await step("download: NDJSON and CSV of what is shown", async () => {
    const take = async (name) => {
      await page.getByRole("button", { name: "Download" }).click();
      const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("menuitem", { name }).click()]);
      return readFileSync(await file.path(), "utf8").trim().split("\n");
    };
    await ask(page, `step ${run}`);
    await page.getByText("90 lines").waitFor();
    const lines = await take(/NDJSON/);
    equal(lines.length, 90, "lines of NDJSON");
    check(JSON.parse(lines[0]).message.startsWith("step 89"), "the newest is not first");
    const csv = await take(/CSV/);
    equal(csv.length, 91, "lines of CSV");
    equal(csv[0].split(",").at(0), "@timestamp", "first column");
    check(csv[1].includes("step 89"), "CSV lacks the message");
  });

  await step("saved searches: kept on the server, found again, deleted", async () => {
    const menu = page.getByRole("button", { name: "Saved searches" });
    await menu.click();
    const dialog = page.getByRole("dialog", { name: "Saved searches" });
    await dialog.getByText("None yet.").waitFor();
    await dialog.getByLabel("Keep this search as").fill("Steps / 步骤");
    await dialog.getByLabel("Share with my tenant").check();
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.getByRole("button", { name: /^Steps/ }).waitFor();
    await accessible(page, "saved searches");
    await shot(page, "saved-light");
    await page.keyboard.press("Escape");
    await ask(page, "something else");
    await page.reload();
    await menu.click();
    await dialog.getByRole("button", { name: /^Steps/ }).click();
    await becomes("query of the saved search", () => search.inputValue(), `step ${run}`);
    await page.getByText("90 lines").waitFor();
    await menu.click();
    await dialog.getByRole("button", { name: "Delete Steps / 步骤" }).click();
    await dialog.getByText("None yet.").waitFor();
    await page.keyboard.press("Escape");
  });

  await step("pages: links and keys", async () => {
    await page.locator(".rows").focus();
    await page.keyboard.press("3");
    await page.waitForURL(/page=sources/);
    await page.getByRole("button", { name: `${run}.log` }).waitFor();
    await page.goBack();
    await rows(page, run).first().waitFor();
    await becomes("query after Back", () => search.inputValue(), `step ${run}`);
  });

  await step("a long list: scrolling and typing keep their frames", async () => {
    // Many lines take minutes to store; LOADED says that the server has them from before.
    const total = process.env.LOADED ? lines : await long(lines);
    await page.goto(`${base}/?q=long&start=-2d&end=`);
    await page.getByText(`${total.toLocaleString("en")} lines`).waitFor();
    const took = await firstRows(page, search, ["long GET", "log.level:error long", `"long line ${Math.round(total / 3)}"`, "long"]);
    console.log(`  search to first rows, in ms: ${JSON.stringify(took)}`);
    // Times are held to bounds in the long form alone, on a machine that is known; elsewhere they are only told.
    const bound = Number(process.env.FIRST_ROWS ?? Infinity);
    const slowest = Math.max(...Object.values(took));
    check(slowest < bound, `first rows after ${slowest} ms`);
    const { scroll, typing, loaded } = await frames(page, search);
    console.log(`  frames: scrolling ${JSON.stringify(scroll)}, typing ${JSON.stringify(typing)}, ${loaded} rows loaded`);
    check(loaded >= 50_000, `only ${loaded} rows were loaded`);
    // On a busy machine a browser without a graphics card drops frames; a list that draws all its rows drops nearly all.
    check(bound === Infinity || (scroll.median <= 34 && typing.median <= 34), "the page does not keep up");
    check((await page.locator(".rows li").count()) <= 400, "all rows are in the document");
  });
});
