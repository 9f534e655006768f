// Measures what patches of an execution of 1,000 actions cost, and how long a slow computer takes to
// open it.
import { click, load, report } from "./bench.mjs";
import { fail, finish, hear, launch, login, open, settings, tell } from "./browser.mjs";

const rounds = 5;
// How much slower the slow computer is.
const throttle = 4;
const cells = { selector: ".cell", count: settings.actions };

const browser = await launch();
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await open(context);
  await login(page);
  await load(page, settings.path, cells);
  await browser.startTracing(page, { categories: ["toplevel", "disabled-by-default-devtools.timeline.frame"] });
  tell("watching");
  await hear("changed");
  // Until the last change is there.
  await page.waitForFunction((count) => document.querySelectorAll(".cell.succeeded").length === count, settings.actions);
  const work = frames(JSON.parse((await browser.stopTracing()).toString()).traceEvents);
  report("ui_patches_100", work, 95);
  report("ui_patches_100_median", work, 50);

  const cdp = await context.newCDPSession(page);
  await cdp.send("Emulation.setCPUThrottlingRate", { rate: throttle });
  const cold = [];
  for (let i = 0; i < rounds; i++) cold.push(await load(page, settings.path, cells));
  report("ui_open_1000_actions_in_a_new_tab", cold);
  const list = [];
  for (let i = 0; i < rounds; i++) {
    await load(page, settings.list, { selector: "table.list [data-row]" });
    list.push(await click(page, "table.list [data-row] a", cells));
  }
  report("ui_open_1000_actions", list);
} catch (error) {
  fail("execution", error.stack);
} finally {
  await browser.close();
}
finish();

// Milliseconds that the main thread worked for each frame that it drew: its tasks from the end of the
// frame before to the end of this one. The time is that of the processor if the trace has it.
function frames(events) {
  const drawn = new Map();
  for (const event of events) {
    if (event.name === "BeginMainThreadFrame") count(drawn, `${event.pid} ${event.tid}`, 1);
  }
  if (drawn.size === 0) throw new Error("the trace has no frames");
  const [main] = [...drawn].sort((a, b) => b[1] - a[1])[0];
  const own = events.filter((event) => `${event.pid} ${event.tid}` === main).sort((a, b) => a.ts - b.ts);
  const begins = own.filter(({ name }) => name === "BeginMainThreadFrame").map(({ ts }) => ts);
  const work = new Array(begins.length).fill(0);
  let frame = 0;
  let end = -Infinity;
  for (const task of own.filter(({ name, ph }) => name === "ThreadControllerImpl::RunTask" && ph === "X")) {
    // Tasks within tasks are part of them.
    if (task.ts < end) continue;
    end = task.ts + task.dur;
    // The task that contains the begin of a frame draws it; those before prepare it.
    while (frame < begins.length && begins[frame] < task.ts) frame++;
    if (frame < begins.length) work[frame] += (task.tdur ?? task.dur) / 1000;
  }
  return work;
}

function count(map, key, by) {
  map.set(key, (map.get(key) ?? 0) + by);
}
