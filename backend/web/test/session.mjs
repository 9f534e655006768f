// Sessions of one browser: what is left of them, and what other pages of the host can do with them.
import { createServer } from "node:http";
import { fail, finish, launch, login, open, settings, visit } from "./browser.mjs";

const menu = async (page) => {
  const settings = page.locator("details.settings");
  if (!(await settings.evaluate((one) => one.open))) await settings.locator("summary").click();
  return settings.getByRole("button", { name: "Log out" });
};
const accounts = (page) => page.locator(".account option").allTextContents();

// Waits until the page has been loaded anew, which forgets the mark.
const loadedAnew = (page) => page.waitForFunction(() => !("marked" in globalThis));

const browser = await launch();
const cookies = [];
const listener = createServer((request, response) => {
  if (request.headers.cookie) cookies.push(request.headers.cookie);
  response.setHeader("content-type", "text/html");
  response.end("<!doctype html><link rel=icon href=data:,><title>Another port</title>");
});
try {
  const context = await browser.newContext();
  const tab = await open(context);
  await login(tab);
  const first = await accounts(tab);
  if (!first.includes("secret")) fail("first user", `has the accounts ${first}`);

  // A page on another port of the host, as an action can serve.
  await new Promise((done) => listener.listen(0, "127.0.0.1", done));
  const other = await open(context);
  await other.goto(`http://127.0.0.1:${listener.address().port}/`);
  const stolen = cookies.find((one) => one.includes("__Host-headrace="));
  if (!stolen) fail("another port", "got no cookie, so that this tests nothing");
  const kept = await other.evaluate(() => Object.keys(localStorage));
  if (kept.length > 0) fail("another port", `reads ${kept}`);
  const use = (headers) => fetch(`${settings.url}/session`, { headers: { cookie: stolen ?? "", ...headers } });
  if ((await use({})).status !== 401) fail("another port", "uses the session");
  const key = await tab.evaluate(() => localStorage.getItem("headrace-session-key"));
  if ((await use({ "headrace-session-key": key ?? "" })).status !== 200) fail("cookie and key", "are no session");
  await other.close();

  // A part of an address that is not text.
  await visit(tab, "/accounts/%ff/executions");

  // The server does not end the session.
  await visit(tab, "/accounts/default");
  tab.expectsErrors = true;
  await tab.route("**/session", (route) => (route.request().method() === "DELETE" ? route.fulfill({ status: 503, body: "the server is stopping" }) : route.continue()));
  await (await menu(tab)).click();
  await tab.getByText("You are still logged in: the server is stopping").waitFor();
  await tab.unroute("**/session");
  if ((await use({ "headrace-session-key": key ?? "" })).status !== 200) fail("failed logout", "ended the session");

  // A logout in one tab ends the other, and leaves nothing to the next user of both.
  const second = await open(context);
  second.expectsErrors = true;
  await visit(second, "/accounts/default");
  for (const page of [tab, second]) await page.evaluate(() => (globalThis.marked = true));
  await (await menu(tab)).click();
  for (const page of [tab, second]) {
    await page.getByLabel("Token").waitFor();
    await loadedAnew(page);
  }
  await second.close();
  await tab.getByLabel("Token").fill(settings.other);
  await tab.getByRole("button", { name: "Log in" }).click();
  await tab.getByRole("heading", { level: 1, name: "Pipelines" }).waitFor();
  const seen = await accounts(tab);
  if (seen.join() !== "default") fail("second user", `has the accounts ${seen}`);
} catch (error) {
  fail("session", error.stack);
} finally {
  await browser.close();
  listener.closeAllConnections();
  listener.close();
}
finish();
