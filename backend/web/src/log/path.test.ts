import assert from "node:assert/strict";
import { test } from "node:test";
import { attemptOf, fileName, logPath } from "./path";

test("the log of an attempt has an address", () => {
  assert.equal(logPath("accounts/a/pipelines/p/executions/e", "Build it", "Unit/Tests", 2), "/accounts/a/pipelines/p/executions/e/log/Build%20it/Unit%2FTests/2");
});

test("names of files have no path", () => {
  assert.equal(fileName(["web", "12", "../../etc", "pass wd", "1"]), "web-12-.._.._etc-pass_wd-1.log");
  assert.equal(fileName(["..", "a"]), "a.log");
  assert.equal(fileName([".."]), "log.log");
});

test("attempts of an action are counted", () => {
  const names: Record<string, string> = { a1: "A", b1: "B", a2: "A", a3: "A" };
  const attempt = (id: string) => attemptOf(id, Object.keys(names), (one) => names[one]);
  assert.deepEqual(["a1", "a2", "a3", "b1"].map(attempt), [1, 2, 3, 1]);
});
