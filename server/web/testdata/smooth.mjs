// Frames of the page while it scrolls through a long list and while somebody types.
import { push, stored } from "./lib.mjs";

// With more lines than this the range is a day.
const manyLines = 1e6;

/** long stores n lines with the word long over an hour, or a day where they are many, and returns their number. */
export async function long(n) {
  const spread = n > manyLines ? 864e5 : 36e5;
  const from = Date.now() - spread;
  const batch = 10_000;
  for (let i = 0; i < n; i += batch) {
    await push(Array.from({ length: batch }, (_, j) => ({
      "@timestamp": new Date(from + ((i + j) * spread) / n).toISOString(), message: `long line ${i + j}: GET /api/cart/${(i + j) * 7919 % 90000} 200 ${(i + j) % 900}ms`, "log.level": j % 50 ? "info" : "error",
      "kubernetes.namespace": `ns-${j % 7}`, "kubernetes.pod.name": `web-${j % 40}`, "kubernetes.container.name": "web", "host.name": `node-${j % 5}`,
    })));
  }
  await stored(`"long line ${n - 1}"`, 1);
  return n;
}

/** firstRows runs searches and returns how long each took from the key to the first drawn row of its own, in milliseconds. */
export async function firstRows(page, search, queries) {
  const took = {};
  for (const query of queries) {
    await search.fill(query);
    took[query] = await page.evaluate(
      (form) =>
        new Promise((resolve, reject) => {
          const began = performance.now();
          document.querySelector(form).requestSubmit();
          const look = () => {
            const rows = document.querySelector(".rows");
            if (rows.dataset.stale !== "true" && rows.querySelector("li")) resolve(Math.round(performance.now() - began));
            else if (performance.now() - began > 60e3) reject(new Error("no row within a minute"));
            else requestAnimationFrame(look);
          };
          requestAnimationFrame(look);
        }),
      "form.query",
    );
  }
  return took;
}

// What a page does in its animation frames: the time between them, in milliseconds.
const watch = () => {
  globalThis.gaps = [];
  let last = performance.now();
  const frame = (at) => {
    gaps.push(at - last);
    last = at;
    globalThis.watching = requestAnimationFrame(frame);
  };
  globalThis.watching = requestAnimationFrame(frame);
};
const stop = () => {
  cancelAnimationFrame(globalThis.watching);
  const sorted = globalThis.gaps.slice(2).sort((a, b) => a - b);
  const at = (p) => Math.round(sorted[Math.floor(p * (sorted.length - 1))] * 10) / 10;
  return { frames: sorted.length, median: at(0.5), p95: at(0.95), longest: at(1) };
};

/** frames loads further pages by scrolling, then measures the frames of scrolling and of typing. */
export async function frames(page, search) {
  const list = page.locator(".rows");
  const size = () => list.evaluate((el) => Number(el.querySelector("li:last-child")?.getAttribute("aria-setsize") ?? 0));
  let loaded = await size();
  const until = Date.now() + 180e3;
  while (loaded < 60_000 && Date.now() < until) {
    await list.evaluate((el) => (el.scrollTop = el.scrollHeight));
    await page.waitForTimeout(100);
    loaded = await size();
  }
  await list.evaluate((el) => (el.scrollTop = 0));
  await page.waitForTimeout(200);
  await page.evaluate(watch);
  const box = await list.boundingBox();
  await page.mouse.move(box.x + 300, box.y + 200);
  for (let i = 0; i < 60; i++) {
    await page.mouse.wheel(0, 400);
    await page.waitForTimeout(16);
  }
  const scroll = await page.evaluate(stop);
  await search.focus();
  await page.evaluate(watch);
  await search.pressSequentially(" kubernetes", { delay: 40 });
  const typing = await page.evaluate(stop);
  return { scroll, typing, loaded };
}
