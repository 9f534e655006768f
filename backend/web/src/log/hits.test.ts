import assert from "node:assert/strict";
import { test } from "node:test";
import { Hits, matches, type Query } from "./hits";

test("next and previous go around the ends", () => {
  const hits = new Hits();
  assert.equal(hits.step(undefined, 1, 1), undefined);
  for (const line of [3, 8, 8, 20]) hits.add(line);
  assert.equal(hits.count, 3);
  assert.equal(hits.step(undefined, 1, 4), 1);
  assert.equal(hits.step(undefined, -1, 4), 0);
  assert.equal(hits.step(undefined, 1, 21), 0);
  assert.equal(hits.step(2, 1, 1), 0);
  assert.equal(hits.step(0, -1, 1), 2);
  assert.ok(hits.has(8) && !hits.has(9));
});

test("plain text is marked in the line", () => {
  const query = (text: string, more: Partial<Query> = {}): Query => ({ text, matchCase: false, wholeWord: false, regularExpression: false, ...more });
  assert.deepEqual(matches(query("err"), "Err err error"), [[0, 3], [4, 7], [8, 11]]);
  assert.deepEqual(matches(query("err", { wholeWord: true, matchCase: true }), "Err err error"), [[4, 7]]);
  assert.deepEqual(matches(query("(a+)+$", { regularExpression: true }), "aaaa"), []);
  assert.deepEqual(matches(query("(a"), "f(a)"), [[1, 3]]);
  assert.equal(matches(query("a"), "a".repeat(8192)).length, 100);
});
