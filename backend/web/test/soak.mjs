// Keeps tabs open on a busy account, and says when it is asked what they hold.
import { processes } from "./bench.mjs";
import { fail, finish, heard, launch, login, open, settings, tell } from "./browser.mjs";

const browser = await launch();
try {
  const tabs = [];
  for (let i = 0; i < settings.browsers; i++) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    for (let n = 0; n < settings.tabs; n++) {
      const page = await open(context);
      if (n === 0) await login(page);
      await page.goto(settings.url + settings.paths[tabs.length % settings.paths.length]);
      await page.locator("main h1").waitFor();
      const cdp = await context.newCDPSession(page);
      await cdp.send("Performance.enable");
      tabs.push({ page, cdp });
    }
  }
  tell("ready");
  for (let word = await heard(); word !== "end"; word = await heard()) tell(JSON.stringify(await sample(tabs)));
  for (const { page } of tabs) {
    if (await page.getByText("Live updates paused").isVisible()) fail(page.url(), "the updates are paused");
  }
} catch (error) {
  fail("tabs", error.stack);
} finally {
  await browser.close();
}
finish();

// What all tabs hold after a collection, in MiB.
async function sample(tabs) {
  const sum = { heap: 0, largest: 0, private: 0, nodes: 0, listeners: 0 };
  for (const { cdp } of tabs) {
    await cdp.send("HeapProfiler.collectGarbage");
    const { metrics } = await cdp.send("Performance.getMetrics");
    const of = (name) => metrics.find((metric) => metric.name === name).value;
    const heap = of("JSHeapUsedSize") / 2 ** 20;
    sum.heap += heap;
    sum.largest = Math.max(sum.largest, heap);
    sum.nodes += of("Nodes");
    sum.listeners += of("JSEventListeners");
  }
  for (const bytes of await processes(browser)) sum.private += bytes / 2 ** 20;
  return sum;
}
