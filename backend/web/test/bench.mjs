// What the scripts that measure share. They print a line of JSON for each figure.
import { readFile } from "node:fs/promises";
import { settings, tell } from "./browser.mjs";

// Prints milliseconds of a figure. percentile is the one that counts, 0 for the median.
export function report(figure, took, percentile = 0) {
  tell(JSON.stringify({ figure, took, percentile }));
}

// Prints the memory of a tab.
export function reportMemory(figure, bytes) {
  tell(JSON.stringify({ figure, mib: bytes / 2 ** 20 }));
}

// Loads a page and returns the milliseconds from the start of the navigation until the browser has
// drawn what the page should show: so many elements, or one with a text. The files of the UI are in
// the browser's cache.
export async function load(page, path, { selector, count = 1, text }) {
  await page.goto("about:blank");
  await page.goto(settings.url + path, { waitUntil: "commit" });
  return page.evaluate(draw, { selector, count, text });
}

// Clicks an element and returns the milliseconds until the browser has drawn what follows.
export function click(page, what, { selector, count = 1, text }) {
  return page.evaluate(draw, { click: what, selector, count, text });
}

// Enters a text into a field and returns the milliseconds until the browser has drawn what follows.
export async function enter(page, label, text, { selector, count = 1, text: shown }) {
  const field = page.getByLabel(label);
  await field.fill(text);
  await page.evaluate(() => {
    window.entered = new Promise((resolve) => document.addEventListener("keydown", () => resolve(performance.now()), { once: true, capture: true }));
  });
  const ended = page.evaluate(draw, { selector, count, text: shown });
  await field.press("Enter");
  return (await ended) - (await page.evaluate(() => window.entered));
}

// Bytes that each process of a page has for itself, as the browser's task manager shows them.
export async function processes(browser) {
  const cdp = await browser.newBrowserCDPSession();
  const { processInfo } = await cdp.send("SystemInfo.getProcessInfo");
  await cdp.detach();
  return Promise.all(
    processInfo
      .filter(({ type }) => type === "renderer")
      .map(async ({ id }) => {
        const status = await readFile(`/proc/${id}/status`, "utf8");
        const kib = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
        return (kib("RssAnon") + kib("VmSwap")) * 1024;
      }),
  );
}

// In the page: resolves after the frame that shows what is wanted.
function draw({ click, selector, count, text }) {
  // A page measures time from the start of its navigation.
  const began = click ? performance.now() : 0;
  if (click) document.querySelector(click).click();
  return new Promise((resolve) => {
    const look = () => {
      const found = [...document.querySelectorAll(selector)];
      const shown = text === undefined ? found.length >= count : found.some((one) => one.textContent.includes(text));
      if (!shown || !document.querySelector("main h1")) return requestAnimationFrame(look);
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
    };
    look();
  });
}
