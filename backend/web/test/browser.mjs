// What the scripts that drive a browser share.
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

// The settings that the test gave, on the first line of standard input.
export const settings = JSON.parse((await lines.next()).value);

const wrong = [];

// Tells the test a word, on a line of its own.
export function tell(word) {
  console.log(word);
}

// Waits until the test says something, and returns it.
export async function heard() {
  const { value, done } = await lines.next();
  if (done) throw new Error("the test says nothing more");
  return value;
}

// Waits until the test says a word.
export async function hear(word) {
  const value = await heard();
  if (value !== word) throw new Error(`heard ${value} instead of ${word}`);
}

// Notes what is wrong; the script goes on, so that one run shows all of it.
export function fail(where, what) {
  wrong.push(`${where}: ${what}`);
}

// Opens a browser that reports what pages do wrong.
export async function launch() {
  return chromium.launch({
    executablePath: settings.chromium,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

// Opens a page of a context, whose errors, refused sources and dialogs are wrong.
export async function open(context) {
  const page = await context.newPage();
  page.on("pageerror", (error) => fail(page.url(), `error: ${error.stack ?? error}`));
  page.on("dialog", (dialog) => {
    fail(page.url(), `a dialog opened: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("console", (message) => {
    if (message.type() === "error" && !page.expectsErrors) fail(page.url(), `console: ${message.text()}`);
  });
  return page;
}

// Logs a page in by the form, as a person does.
export async function login(page) {
  await page.goto(settings.url);
  // The browser reports the answer 401 to the question who is logged in.
  page.expectsErrors = true;
  await page.getByLabel("Token").fill(settings.token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { level: 1, name: "Pipelines" }).waitFor();
  page.expectsErrors = false;
}

// Waits until a view is there and asks nothing more.
export async function visit(page, path) {
  await page.goto(settings.url + path);
  await page.locator("main h1").waitFor();
  await page.locator("main[aria-busy=true], main [aria-busy=true]").waitFor({ state: "detached" });
}

export async function screenshot(page, name) {
  await page.screenshot({ path: join(settings.screenshots, `${name}.png`), fullPage: true });
}

// Ends the script with what was wrong.
export function finish() {
  process.stdin.destroy();
  if (wrong.length > 0) {
    console.error(wrong.join("\n"));
    process.exitCode = 1;
  }
}
