// Reads a log by keyboard alone, and follows it.
import { fail, finish, launch, login, open, screenshot, settings, tell, visit } from "./browser.mjs";

const browser = await launch();
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, permissions: ["clipboard-read", "clipboard-write"] });
  const page = await open(context);
  await login(page);
  const line = (number) => page.locator(`#line-${number + settings.before}`);
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };

  // The log of an action is one key away from the action.
  await visit(page, settings.execution);
  await page.getByRole("button", { name: "Print" }).first().focus();
  await press("Enter");
  await page.getByRole("link", { name: "Log" }).waitFor();
  await press("l");
  await page.waitForURL(`**${settings.log}`);

  // A log that grows is shown at its end, until the reader goes up.
  const follow = page.getByRole("button", { name: "Follow" });
  await line(3007).waitFor();
  if ((await follow.getAttribute("aria-pressed")) !== "true") fail("follow", "it does not follow");
  await page.getByRole("grid").focus();
  await press("Home");
  await page.locator("button[aria-pressed=false]", { hasText: "Follow" }).waitFor();
  await line(1).waitFor();
  tell("following");
  await line(1).waitFor();
  await press("End");
  await page.getByText("it goes on").waitFor();

  // After the end the sections are folded, but for the one that failed.
  await follow.waitFor({ state: "detached" });
  await press("Home");
  await page.getByRole("button", { name: "Fold Prepare" }).or(page.getByRole("button", { name: "Unfold Prepare" })).waitFor();
  await press("ArrowDown", "ArrowDown");
  const focused = () => page.getByRole("grid").getAttribute("aria-activedescendant");
  if ((await focused()) !== `line-${1 + settings.before}`) fail("keys", `the arrows lead to ${await focused()}`);
  await press("ArrowLeft");
  await page.getByRole("button", { name: "Unfold Prepare" }).waitFor();
  await line(2).waitFor({ state: "detached" });
  await press("ArrowRight");
  await line(2).waitFor();
  await screenshot(page, "log-sections");

  // Text is text: colors are colors, only links to the web are links, lines show their last state.
  const colored = await line(4).locator("span.b").textContent();
  if (colored !== "green") fail("colors", colored);
  if (!(await line(4).textContent()).includes("<script>")) fail("markup", await line(4).textContent());
  if ((await line(6).locator("a[href^=http]").last().getAttribute("href")) !== "https://example.com/report") fail("links", "the link to the report is not there");
  if ((await line(6).locator("a[href^=javascript]").count()) > 0 || !(await line(6).textContent()).includes("trap")) fail("links", "a link that runs a script");
  if (!(await line(5).textContent()).includes("100 %") || (await line(5).textContent()).includes("50 %")) fail("rewrites", await line(5).textContent());
  if (!(await line(7).textContent()).includes("NUL \u2400 and \ufffd")) fail("bytes", await line(7).textContent());
  await line(5).getByRole("button", { name: "2 rewrites" }).click();
  await page.getByRole("dialog").getByText("50 %").waitFor();
  await press("Escape");
  await line(8).getByRole("button", { name: "Show all (977 KiB)" }).click();
  await page.getByRole("dialog").getByText("0 B to 64.0 KiB of 977 KiB").waitFor();
  await press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  if (await page.evaluate(() => "pwned" in window)) fail("markup", "it was executed");

  // A range of lines has an address, and is copied with lines that are not on the page.
  await press(":");
  await page.keyboard.type(String(100 + settings.before));
  await press("Enter");
  await line(100).waitFor();
  await press("Enter");
  for (let i = 0; i < 5; i++) await press("Shift+PageDown");
  await page.waitForURL(/#L\d+-L\d+$/);
  const [from, to] = page.url().match(/\d+(?=-|$)/g).slice(-2).map(Number);
  if (from !== 100 + settings.before || to < from + 100) fail("range", page.url());
  await press("c");
  await page.getByText(`${to - from + 1} lines copied`).waitFor();
  const copied = (await page.evaluate(() => navigator.clipboard.readText())).split("\n");
  if (copied.length !== to - from + 1 || copied.some((text) => text !== "one of many")) fail("copy", `${copied.length} lines`);

  // The browser's own key searches the whole log.
  await press("Control+f");
  await page.keyboard.type("goes on");
  await press("Enter");
  await page.getByText("it goes on").waitFor();
  await page.getByText("1 of 1").waitFor();
  await press("Escape");

  // The address leads the next reader to the same lines.
  const other = await open(context);
  await other.goto(`${settings.url}${settings.log}#L${from}-L${to}`);
  await other.locator(`#line-${from}[aria-selected=true]`).waitFor();
} catch (error) {
  fail("log by keyboard", error.stack);
} finally {
  await browser.close();
}
finish();
