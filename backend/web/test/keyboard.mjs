// Walks from the login to a hit in a log with the keyboard alone. Whatever has the focus is shown to
// have it, in the window and with nothing over it.
import { fail, finish, launch, open, screenshot, settings } from "./browser.mjs";

// Far more stops than there are before what is looked for.
const stops = 80;

const browser = await launch();
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce" });
  const page = await open(context);
  await page.goto(settings.url);
  // The browser reports the answer 401 to the question who is logged in.
  page.expectsErrors = true;
  await page.getByLabel("Token").waitFor();
  await tabTo(page, "the field of the token", () => document.activeElement.matches("input[type=password]"));
  await page.keyboard.type(settings.token);
  await page.keyboard.press("Enter");
  await heading(page, "Pipelines");
  page.expectsErrors = false;

  await tabTo(page, "the filter", () => document.activeElement.matches("input[type=search]"));
  await page.keyboard.type(settings.pipeline);
  await page.waitForFunction(() => document.querySelectorAll(".strips [data-row]").length === 1);
  await tabTo(page, "the pipeline", (name) => document.activeElement.matches("[data-row] a") && document.activeElement.textContent === name, settings.pipeline);
  await page.keyboard.press("Enter");
  await heading(page, settings.pipeline);

  await tabTo(page, "the execution", (path) => document.activeElement.matches("a") && new URL(document.activeElement.href).pathname === path, settings.execution);
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.pathname === settings.execution);
  await page.locator(".cell").first().waitFor();
  await focused(page, "the execution");

  await tabTo(page, "the action", (name) => document.activeElement.matches(".cell button") && document.activeElement.textContent.includes(name), settings.action);
  await page.keyboard.press("Enter");
  await page.locator(".detail").waitFor();
  await tabTo(page, "the link to the log", () => document.activeElement.matches(".detail a") && document.activeElement.pathname.includes("/log/"));
  await page.keyboard.press("Enter");
  await page.getByText(settings.printed, { exact: true }).first().waitFor();
  await focused(page, "the log");

  await page.keyboard.press("Control+f");
  await page.waitForFunction(() => document.activeElement.id === "log-find");
  await focused(page, "the search");
  await page.keyboard.type(settings.printed);
  await page.keyboard.press("Enter");
  await page.locator(".log-row.hit").first().waitFor();
  await screenshot(page, "keyboard-hit");
  // Escape leaves the field for the lines.
  await page.keyboard.press("Escape");
  await focused(page, "the lines");

  await tabTo(page, "the way back", (path) => document.activeElement.matches("a") && new URL(document.activeElement.href).pathname === path, settings.execution, "Shift+Tab");
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.pathname === settings.execution);
  await page.locator(".cell").first().waitFor();
  await focused(page, "the execution again");
} catch (error) {
  fail("keyboard", error.stack);
} finally {
  await browser.close();
}
finish();

// Presses Tab until the focus is where it should be.
async function tabTo(page, what, wanted, argument, key = "Tab") {
  for (let i = 0; i < stops; i++) {
    await page.keyboard.press(key);
    await focused(page, `${what}, after ${i + 1} stops`);
    if (await page.evaluate(wanted, argument)) return;
  }
  throw new Error(`the focus does not come to ${what}`);
}

// Waits for a page, whose heading gets the focus.
async function heading(page, title) {
  await page.getByRole("heading", { level: 1, name: title }).waitFor();
  await focused(page, title);
}

async function focused(page, where) {
  const wrong = await page.evaluate(() => {
    const element = document.activeElement;
    if (!element || element === document.body) return undefined;
    const name = element.outerHTML.slice(0, 160);
    const box = element.getBoundingClientRect();
    // A field may be drawn by its label.
    const drawn = element.matches("input[type=radio], input[type=checkbox]") ? [element, element.closest("label"), element.nextElementSibling] : [element];
    const shown = drawn.filter(Boolean).some((one) => {
      const { outlineStyle, outlineWidth } = getComputedStyle(one);
      return outlineStyle !== "none" && parseFloat(outlineWidth) >= 1;
    });
    if (!shown) return `the focus is not shown: ${name}`;
    const seen = drawn.at(-1)?.getBoundingClientRect() ?? box;
    const x = (Math.max(0, seen.left) + Math.min(innerWidth, seen.right)) / 2;
    const y = (Math.max(0, seen.top) + Math.min(innerHeight, seen.bottom)) / 2;
    const over = document.elementFromPoint(x, y);
    if (!over) return `outside of the window: ${name}`;
    if (!drawn.some((one) => one?.contains(over) || over.contains(one))) return `hidden by ${over.outerHTML.slice(0, 160)}: ${name}`;
    return undefined;
  });
  if (wrong) fail(where, wrong);
}
