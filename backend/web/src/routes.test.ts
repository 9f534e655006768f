import assert from "node:assert/strict";
import { test } from "node:test";
import { href } from "./base";
import { decode, match, type Route } from "./routes";

const routes: Route<string>[] = [
  { pattern: "/accounts/:account", view: "overview" },
  { pattern: "/accounts/:account/executions", view: "history" },
  { pattern: "/accounts/:account/pipelines/:pipeline", view: "pipeline" },
];

test("paths lead to views with their parts", () => {
  assert.deepEqual(match(routes, "/accounts/dev/pipelines/a%20b/")?.params, { account: "dev", pipeline: "a b" });
  assert.equal(match(routes, "/accounts/dev/executions")?.route.view, "history");
  assert.equal(match(routes, "/accounts/executions")?.route.view, "overview");
});

test("other paths lead nowhere", () => {
  assert.equal(match(routes, "/"), undefined);
  assert.equal(match(routes, "/accounts/dev/pipelines"), undefined);
  assert.equal(match(routes, "/accounts/%E0%A4%A"), undefined);
});

test("no path leads to another host", () => {
  const root = href("/");
  for (const path of ["//evil.example/x", "/\\evil.example/x", "///evil.example/x"]) assert.equal(href(path), root + "evil.example/x");
});

test("a part that is not text is none", () => {
  assert.equal(decode("%ff"), undefined);
  assert.equal(decode("a%20b"), "a b");
});
