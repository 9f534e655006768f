// Measures how long each view takes from a link outside of the UI, in a tab of its own.
import { load, report } from "./bench.mjs";
import { fail, finish, launch, login, open, settings } from "./browser.mjs";

const rounds = 5;

const browser = await launch();
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await open(context);
  await login(page);
  for (const view of settings.views) {
    // The first load fills the cache of files.
    await load(page, view.path, { selector: view.shows });
    const took = [];
    for (let i = 0; i < rounds; i++) took.push(await load(page, view.path, { selector: view.shows }));
    report(`ui_view_${view.name}`, took);
  }
} catch (error) {
  fail("views", error.stack);
} finally {
  await browser.close();
}
finish();
