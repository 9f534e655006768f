// Walks through each view in both themes: no violation of accessibility, nothing executed of what
// people wrote, no line of text beside a narrow window, and a picture of it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fail, finish, launch, login, open, screenshot, settings, visit } from "./browser.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

const browser = await launch();
try {
  for (const theme of ["light", "dark"]) {
    const context = await browser.newContext({ colorScheme: theme, viewport: { width: 1280, height: 800 }, reducedMotion: "reduce" });
    const page = await open(context);
    await login(page);
    for (const view of settings.views) {
      const where = `${view.name}, ${theme}`;
      try {
        await visit(page, view.path);
        await look(page, where);
        await screenshot(page, `${view.name}-${theme}`);
        for (const width of [640, 320]) {
          // 640 is the window of 1280 at 200 % zoom.
          await page.setViewportSize({ width, height: 800 });
          await narrow(page, `${where}, ${width} px`);
        }
        await screenshot(page, `${view.name}-${theme}-narrow`);
      } catch (error) {
        fail(where, error.message);
      }
      await page.setViewportSize({ width: 1280, height: 800 });
    }
    await context.close();
  }
} finally {
  await browser.close();
}
finish();

// What holds for each view.
async function look(page, where) {
  // In the world of the script: the policy of the page lets nothing else in.
  const violations = await inspect(page);
  for (const { id, nodes } of violations) {
    fail(where, `${id}: ${nodes.map((node) => node.html.slice(0, 200)).join(" | ")}`);
  }
  if (await page.evaluate(() => "pwned" in window)) fail(where, "markup of a user was executed");
  const title = await page.title();
  if (!/\S · Headrace$/.test(title)) fail(where, `the title is ${JSON.stringify(title)}`);
  const headings = await page.locator("h1").count();
  if (headings !== 1) fail(where, `${headings} headings of the first level`);
}

async function inspect(page) {
  await page.evaluate(axe);
  const result = await page.evaluate((tags) => window.axe.run(document, { runOnly: tags, resultTypes: ["violations"] }), rules);
  return result.violations;
}

// Nothing but what scrolls by itself is wider than the window.
async function narrow(page, where) {
  const wide = await page.evaluate(() => {
    const most = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= most) return [];
    return [...document.querySelectorAll("body *")]
      .filter((element) => element.getBoundingClientRect().right > most + 1)
      .slice(0, 3)
      .map((element) => element.outerHTML.slice(0, 160));
  });
  for (const element of wide) fail(where, `wider than the window: ${element}`);
}
