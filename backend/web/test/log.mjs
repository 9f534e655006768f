// Reads a log of 64 MB: its start, its end, any line, what a search finds, a range to copy and all
// of it to download, with few lines on the page.
import { stat } from "node:fs/promises";
import { fail, finish, launch, login, open, screenshot, settings, tell, visit } from "./browser.mjs";

const browser = await launch();
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, permissions: ["clipboard-read", "clipboard-write"] });
  const page = await open(context);
  await login(page);
  await measured("first lines", async () => {
    await visit(page, settings.path);
    await shown(page, 1);
  });
  await screenshot(page, "log-large");
  await measured("end", async () => {
    await page.getByRole("button", { name: "End", exact: true }).click();
    await shown(page, settings.lines);
  });
  await measured("any line", async () => {
    await page.getByLabel("Go to line").fill(String(1234567 + settings.before));
    await page.keyboard.press("Enter");
    await shown(page, 1234567);
  });
  await measured("first hit", async () => {
    await page.getByLabel("Find in the log").fill(`line ${settings.lines - 7} `);
    await page.keyboard.press("Enter");
    await shown(page, settings.lines - 7);
  });

  await visit(page, `${settings.path}#L${1000 + settings.before}-L${1499 + settings.before}`);
  await shown(page, 1000);
  const rows = await page.locator("[role=row]").count();
  if (rows > 300) fail("rows", `${rows} are on the page`);
  await page.getByText("More", { exact: true }).click();
  await page.getByRole("button", { name: "Copy selected lines" }).click();
  await page.getByText("500 lines copied").waitFor();
  const copied = (await page.evaluate(() => navigator.clipboard.readText())).trimEnd().split("\n");
  if (copied.length !== 500 || !copied[0].includes("line 1000 ") || !copied[499].includes("line 1499 ")) {
    fail("copy", `${copied.length} lines, from ${copied[0]} to ${copied.at(-1)}`);
  }

  const downloading = page.waitForEvent("download");
  await page.getByText("More", { exact: true }).click();
  await page.getByRole("button", { name: "Download" }).click();
  const { size } = await stat(await (await downloading).path());
  if (size !== settings.bytes) fail("download", `${size} bytes instead of ${settings.bytes}`);

  const cdp = await context.newCDPSession(page);
  await cdp.send("HeapProfiler.collectGarbage");
  await cdp.send("Performance.enable");
  const { metrics } = await cdp.send("Performance.getMetrics");
  const heap = metrics.find(({ name }) => name === "JSHeapUsedSize").value;
  tell(`heap ${Math.round(heap / 2 ** 20)} MiB`);
  if (heap > 120 * 2 ** 20) fail("heap", `${heap} bytes`);
} catch (error) {
  fail("log", error.stack);
} finally {
  await browser.close();
}
finish();

// Waits until a line is in the window.
async function shown(page, line) {
  await page.getByText(`line ${line} of the build`, { exact: true }).first().waitFor();
}

async function measured(what, act) {
  const began = performance.now();
  await act();
  tell(`${what}: ${Math.round(performance.now() - began)} ms`);
}
