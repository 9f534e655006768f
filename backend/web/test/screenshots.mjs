// Makes the pictures of the documentation.
import { join } from "node:path";
import { fail, finish, launch, login, open, settings, visit } from "./browser.mjs";

const browser = await launch();
try {
  const context = await browser.newContext({ colorScheme: "light", viewport: { width: 1200, height: 420 }, reducedMotion: "reduce" });
  const page = await open(context);
  await login(page);
  for (const picture of settings.pictures) {
    await page.setViewportSize({ width: 1200, height: picture.height });
    await visit(page, picture.path);
    await page.getByText(picture.shows).first().waitFor();
    await page.screenshot({ path: join(settings.screenshots, `${picture.name}.png`) });
  }
} catch (error) {
  fail("pictures", error.stack);
} finally {
  await browser.close();
}
finish();
