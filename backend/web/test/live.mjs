// Three tabs of one browser follow an execution while the server is restarted.
import { fail, finish, hear, launch, login, open, screenshot, settings, tell, visit } from "./browser.mjs";

const browser = await launch();
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const tabs = [await open(context), await open(context), await open(context)];
  await login(tabs[0]);
  for (const [i, path] of settings.paths.entries()) {
    // Calls fail while the server is away.
    tabs[i].expectsErrors = true;
    await visit(tabs[i], path);
    await tabs[i].getByText("In progress").first().waitFor();
  }
  tell("ready");
  await hear("stopped");
  for (const tab of tabs) await tab.getByText("Live updates paused").waitFor();
  await screenshot(tabs[0], "paused");
  tell("paused");
  await hear("changed");
  for (const [i, tab] of tabs.entries()) {
    await tab.getByText("Succeeded").first().waitFor();
    await tab.getByText("Live updates paused").waitFor({ state: "detached" });
    if (i === 0) tell("live");
  }
  tell("all live");
} catch (error) {
  fail("tabs", error.stack);
} finally {
  await browser.close();
}
finish();
