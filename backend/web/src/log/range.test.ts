import assert from "node:assert/strict";
import { test } from "node:test";
import { formatRange, holds, parseRange, rangeOf } from "./range";

test("addresses name lines", () => {
  assert.deepEqual(parseRange("L120-L131"), { from: 120, to: 131 });
  assert.deepEqual(parseRange("L131-120"), { from: 120, to: 131 });
  assert.deepEqual(parseRange("L7654321"), { from: 7654321, to: 7654321 });
  for (const text of ["", "L", "L0", "L-1", "120", "L1-", "L1.5", "L1-L2-L3", "Lx", "L99999999999999", "content"]) assert.equal(parseRange(text), undefined, text);
  for (const text of ["L1", "L120-L131"]) assert.equal(formatRange(parseRange(text)!), text);
});

test("a selection reaches to both sides of where it began", () => {
  assert.deepEqual(rangeOf(10, 4), { from: 4, to: 10 });
  assert.deepEqual(rangeOf(10, 14), { from: 10, to: 14 });
  assert.ok(holds({ from: 4, to: 10 }, 4) && holds({ from: 4, to: 10 }, 10) && !holds({ from: 4, to: 10 }, 11) && !holds(undefined, 1));
});
