// Measures how long a viewer of a log of 1 GB waits, and the memory of its tab.
import { click, enter, load, processes, report, reportMemory } from "./bench.mjs";
import { fail, finish, launch, login, open, settings } from "./browser.mjs";

const rounds = 5;
const shows = (line) => ({ selector: "[role=row]", text: `line ${line} of the build` });

const browser = await launch();
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await open(context);
  await login(page);
  const places = { first: [], end: [], line: [], hit: [] };
  for (let i = 0; i < rounds; i++) {
    places.first.push(await load(page, settings.path, shows(1)));
    places.end.push(await click(page, ".log-places > button:nth-of-type(2)", shows(settings.lines)));
    for (let n = 0; n < rounds; n++) {
      // Lines that are far apart, none of them twice.
      const line = 1 + ((1_234_567 + (i * rounds + n) * 3_456_789) % settings.lines);
      places.line.push(await enter(page, "Go to line", String(line + settings.before), shows(line)));
    }
    places.hit.push(await enter(page, "Find in the log", `line ${settings.lines - 1000 - i} of`, shows(settings.lines - 1000 - i)));
  }
  for (const [place, took] of Object.entries(places)) report(`ui_log_1gb_${place}`, took);
  const cdp = await context.newCDPSession(page);
  await cdp.send("HeapProfiler.collectGarbage");
  reportMemory("ui_log_1gb_tab", Math.max(...(await processes(browser))));
} catch (error) {
  fail("log", error.stack);
} finally {
  await browser.close();
}
finish();
