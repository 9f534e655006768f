import assert from "node:assert/strict";
import { test } from "node:test";
import { accountOf, lastSegment, oneLine, pipelineOf, safeLink, segment, shortRef, shortRevision, visible } from "./names";

const execution = "accounts/dev/pipelines/web/executions/1f0c";

test("parts of names", () => {
  assert.equal(segment(execution, "pipelines"), "web");
  assert.equal(segment("accounts/pipelines/pipelines/x", "pipelines"), "x");
  assert.equal(segment(execution, "stages"), "");
  assert.equal(lastSegment(execution), "1f0c");
  assert.equal(pipelineOf(execution), "accounts/dev/pipelines/web");
  assert.equal(pipelineOf("accounts/dev/triggers/t"), "");
  assert.equal(accountOf(execution), "accounts/dev");
});

test("revisions and refs are short", () => {
  assert.equal(shortRevision("0123456789abcdef0123456789abcdef01234567"), "0123456");
  assert.equal(shortRevision("v1.2.3"), "v1.2.3");
  assert.equal(shortRevision("x".repeat(1_000_000)).length, 24);
  assert.equal(shortRef("refs/heads/feature/x"), "feature/x");
});

test("hostile text cannot turn or hide what stands around it", () => {
  assert.equal(oneLine("a\u202eb\u2066c"), "a\ufffdb\ufffdc");
  assert.equal(visible("a\u061cb\u2028c\u2029d"), "a\ufffdb\ufffdc\ufffdd");
  assert.equal(oneLine("\u001b[31mred\u001b[0m \u001b]8;;http://x\u0007link\u001b]8;;\u0007"), "red link");
  assert.equal(oneLine("first\nsecond"), "first");
  assert.equal(oneLine("x".repeat(1_000_000)).length, 300);
  assert.equal(visible("a\0b\tc\nd"), "a\ufffdb\tc\nd");
  assert.equal(visible("x".repeat(1_000_000)).length, 20_001);
});

test("only http and https are links", () => {
  assert.equal(safeLink("javascript:alert(1)"), undefined);
  assert.equal(safeLink("data:text/html,x"), undefined);
  assert.equal(safeLink("//example.com/x"), undefined);
  assert.equal(safeLink("https://example.com/a b"), "https://example.com/a%20b");
});

test("links do not lead to what may listen beside the UI", () => {
  const ui = new URL("http://ci.example.com:7481/headrace/");
  for (const host of ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.1", "0x7f000001", "127.8.8.8", "[::1]", "[::]", "0.0.0.0", "[::ffff:127.0.0.1]", "[::ffff:0.0.0.0]", "ci.example.com", "ci.example.com."])
    assert.equal(safeLink(`http://${host}:19999/x`, ui), undefined, host);
  assert.equal(safeLink("http://ci.example.com:7481/other", ui), undefined);
  assert.equal(safeLink("http://ci.example.com:7481/headrace/accounts/dev", ui), "http://ci.example.com:7481/headrace/accounts/dev");
  for (const address of ["http://127.0.0.1.example.com/", "https://localhost.example.com/", "https://git.ci.example.com/"]) assert.equal(safeLink(address, ui), address);
});
