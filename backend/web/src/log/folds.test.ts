import assert from "node:assert/strict";
import { test } from "node:test";
import { Folds, type Hidden } from "./folds";

test("without folds each line is a row", () => {
  const folds = new Folds();
  assert.equal(folds.rows(10_000_000), 10_000_000);
  assert.equal(folds.line(0), 1);
  assert.equal(folds.row(7_654_321), 7_654_320);
});

test("rows and lines agree with a list of all lines", () => {
  let seed = 11;
  const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
  for (let round = 0; round < 300; round++) {
    const lines = 1 + random(60);
    const ranges: Hidden[] = Array.from({ length: random(6) }, () => {
      const from = 2 + random(lines + 3);
      return { from, to: from + random(9) - 1 };
    });
    const folds = new Folds(ranges);
    const shown = Array.from({ length: lines }, (_, i) => i + 1).filter((line) => !ranges.some((range) => range.from <= line && line <= range.to));
    assert.equal(folds.rows(lines), shown.length);
    for (const [row, line] of shown.entries()) {
      assert.equal(folds.line(row), line);
      assert.equal(folds.row(line), row);
      assert.equal(folds.hides(line), false);
    }
    for (let line = 2; line <= lines; line++) {
      if (shown.includes(line)) continue;
      assert.equal(folds.hides(line), true);
      assert.equal(folds.row(line), shown.filter((one) => one < line).length - 1);
    }
  }
});
