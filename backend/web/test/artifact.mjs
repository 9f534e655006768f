// Opens an artifact by keyboard, finds files of it, downloads one and all, cancels a download, and
// sees that nothing is saved of a damaged one, nor of one that retention removed.
import { readFile, stat } from "node:fs/promises";
import { fail, finish, hear, launch, login, open, screenshot, settings, tell, visit } from "./browser.mjs";

const browser = await launch();
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await open(context);
  let saved = 0;
  page.on("download", () => saved++);
  await login(page);

  await visit(page, settings.execution);
  await page.getByRole("radio", { name: "Grid" }).focus();
  for (let i = 0; i < 3; i++) await page.keyboard.press("ArrowRight");
  await page.getByRole("link", { name: "app" }).focus();
  await page.keyboard.press("Enter");
  const heading = page.getByRole("heading", { name: "Files of app" });
  await heading.waitFor();
  await focused(page, heading, "heading");
  const address = new URL(page.url()).searchParams;
  if (address.get("artifact") !== "app" || address.get("digest") !== settings.digest) fail("address", page.url());
  await page.getByText("app/bin/latest").waitFor();
  await page.keyboard.press("Escape");
  const link = page.getByRole("link", { name: "app" });
  await link.waitFor();
  await focused(page, link, "link");
  await page.goBack();
  await heading.waitFor();

  // A file is saved as its bytes, with a type that no browser shows as a page.
  await page.evaluate(() => {
    window.types = [];
    const create = URL.createObjectURL;
    URL.createObjectURL = (blob) => (window.types.push(blob.type), create(blob));
  });
  await page.getByLabel("Filter by path").fill("REPORT");
  await page.getByText("1 of 1 matches").waitFor();
  const file = await download(page, () => page.getByRole("button", { name: "Download app/report.html" }).press("Enter"));
  if (file.suggestedFilename() !== "report.html") fail("file", file.suggestedFilename());
  if ((await readFile(await file.path(), "utf8")) !== settings.report) fail("file", "it has other bytes");
  await page.getByText("Downloaded report.html").waitFor();
  const tar = await download(page, () => page.getByRole("button", { name: "Download all (.tar)" }).click());
  if (tar.suggestedFilename() !== "app.tar") fail("tar", tar.suggestedFilename());
  const { size } = await stat(await tar.path());
  if (size !== settings.tarSize) fail("tar", `${size} bytes instead of ${settings.tarSize}`);
  const types = await page.evaluate(() => window.types);
  if (types.length !== 2 || types.some((type) => type !== "application/octet-stream")) fail("types", types.join());

  const cdp = await context.newCDPSession(page);
  await cdp.send("Network.enable");
  const throttle = (bytes) => cdp.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: bytes, uploadThroughput: -1 });
  await throttle(2 ** 20);
  await page.getByRole("button", { name: "Download all (.tar)" }).press("Enter");
  const cancel = page.getByRole("button", { name: "Cancel" });
  await page.getByText(/^1\.0 MiB of /).waitFor();
  await focused(page, cancel, "cancel");
  await page.keyboard.press("Enter");
  await page.getByText("Cancelled the download of app.tar. Nothing was saved.").waitFor();
  await focused(page, page.getByRole("button", { name: "Download all (.tar)" }), "download");
  await throttle(-1);
  if (saved !== 2) fail("cancel", `${saved} downloads`);

  // All pages are searched, and few rows are on the page.
  await visit(page, `${settings.execution}?face=artifacts&artifact=many`);
  // With the directory that they are in.
  await page.getByText(`200 of ${(settings.many + 1).toLocaleString("en")} files and directories`).waitFor();
  await page.getByRole("button", { name: "Show more" }).click();
  await page.getByText(/^400 of /).waitFor();
  await page.getByLabel("Filter by path").fill(`file-${settings.many - 1}`);
  await page.getByText("1 of 1 matches").waitFor();
  if (new URL(page.url()).searchParams.get("files") !== `file-${settings.many - 1}`) fail("filter", page.url());

  // Names are text, and files with any name are downloaded.
  await visit(page, `${settings.execution}?face=artifacts&artifact=odd`);
  const odd = await download(page, () => page.getByRole("button", { name: /img src=x/ }).click());
  if (/[\u202e<>\n]/.test(odd.suggestedFilename()) || (await readFile(await odd.path(), "utf8")) !== "odd\n") fail("odd", odd.suggestedFilename());
  const raw = await download(page, () => page.getByRole("button", { name: /not UTF-8/ }).click());
  if ((await readFile(await raw.path(), "utf8")) !== "bytes\n") fail("raw", "it has other bytes");
  if (await page.evaluate(() => "pwned" in window)) fail("odd", "markup of a name was executed");

  await visit(page, `${settings.removed}?face=artifacts&artifact=app`);
  await screenshot(page, "artifacts-removed");
  await page.getByRole("row", { name: "app Removed by retention" }).waitFor();
  if ((await page.getByRole("link", { name: "app" }).count()) > 0) fail("removed", "the artifact is a link");

  await visit(page, `${settings.execution}?face=artifacts&artifact=app`);
  await page.getByRole("button", { name: "Download app/bin/server" }).waitFor();
  tell("downloaded");
  await hear("damaged");
  const before = saved;
  for (const name of ["Download all (.tar)", "Download app/bin/server"]) {
    await page.getByRole("button", { name }).click();
    await page.getByText("The artifact is damaged. Nothing was saved.").waitFor();
  }
  if (saved !== before) fail("damaged", `${saved - before} downloads`);
} catch (error) {
  fail("artifacts", error.stack);
} finally {
  await browser.close();
}
finish();

async function download(page, act) {
  const downloading = page.waitForEvent("download");
  await act();
  return downloading;
}

// Waits until an element has the focus.
async function focused(page, locator, what) {
  const element = await locator.elementHandle();
  await page.waitForFunction((one) => document.activeElement === one, element, { timeout: 5_000 }).catch(() => fail("focus", `it is not on the ${what}`));
}
