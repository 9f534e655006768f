import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff, covers, empty, mostObjects, union, type Interest } from "./interest";

const of = (account: string, rest: Partial<Interest>): Interest => ({ account, overview: false, pipelines: [], executions: [], ...rest });

test("the union names everything of one account once", () => {
  const all = union([of("a", { pipelines: ["p"], overview: true }), of("a", { pipelines: ["q", "p"], executions: ["e"] }), of("b", { pipelines: ["other"] })], "a");
  assert.deepEqual(all, { account: "a", overview: true, pipelines: ["p", "q"], executions: ["e"] });
  assert.ok(covers(all, of("a", { pipelines: ["q"] })));
  assert.ok(!covers(all, of("a", { pipelines: ["r"] })));
  assert.ok(!covers(all, of("b", {})));
});

test("the union is no larger than the server allows", () => {
  const names = Array.from({ length: 30 }, (_, i) => `e${i}`);
  assert.equal(union([of("a", { executions: names })], "a").executions.length, mostObjects);
});

test("nothing is empty", () => {
  assert.ok(empty(of("a", {})));
  assert.ok(!empty(of("a", { overview: true })));
});

test("the wait before a new try grows, is random and stays below 2.5 seconds", () => {
  assert.equal(backoff(0, () => 1), 200);
  assert.equal(backoff(2, () => 1), 800);
  assert.equal(backoff(1000, () => 1), 2500);
  assert.ok(backoff(3, () => 0) < backoff(3, () => 1));
});
