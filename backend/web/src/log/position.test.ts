import assert from "node:assert/strict";
import { test } from "node:test";
import { barSize, before, end, fromBar, isExact, moveBy, reveal, showRow, tallest, toBar, top, type Rows } from "./position";

const view = 700;
const same = (count: number, height = 18): Rows => ({ count, height: () => height, fixed: height });
// Rows of 18 to 108 pixels, as wrapped lines have.
const mixed = (count: number): Rows => ({ count, height: (row) => 18 * (1 + ((row * 7919) % 6)), fixed: undefined });

let seed = 3;
const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;

test("any row of 10 million is reached", () => {
  const rows = same(10_000_000);
  for (let round = 0; round < 2000; round++) {
    const row = random(10_000_000);
    const at = showRow(rows, row, view);
    if (row < 10_000_000 - 39) assert.deepEqual(at, { row, px: 0 });
    // It is within the view in any case.
    assert.ok(at.row <= row && (row - at.row + 1) * 18 - at.px <= view, `${row} ${JSON.stringify(at)}`);
  }
});

test("the scroller stays within what browsers can show", () => {
  for (const count of [0, 1, 1000, 444_444, 444_445, 10_000_000, 100_000_000]) {
    const rows = same(count);
    const size = barSize(rows, 18, view);
    assert.ok(size <= tallest && size >= view);
    assert.equal(isExact(rows), count * 18 <= tallest);
  }
});

test("wheel and keys move by exact pixels anywhere", () => {
  for (const rows of [same(10_000_000), same(1000), mixed(10_000)]) {
    for (let round = 0; round < 500; round++) {
      const from = showRow(rows, random(rows.count - 300) + 100, view);
      const by = random(900) + 1;
      const there = moveBy(rows, from, by, view);
      let passed = there.px - from.px;
      for (let row = from.row; row < there.row; row++) passed += rows.height(row);
      if (before(there, end(rows, view))) assert.equal(passed, by);
      assert.ok(there.px >= 0 && there.px < rows.height(there.row));
      if (before(there, end(rows, view))) assert.deepEqual(moveBy(rows, there, -by, view), from);
    }
  }
});

test("the ends are the ends", () => {
  for (const rows of [same(10_000_000), same(10), same(0), mixed(5000), mixed(3)]) {
    const last = end(rows, view);
    assert.deepEqual(moveBy(rows, last, 1000, view), last);
    assert.deepEqual(moveBy(rows, top, -1000, view), top);
    const size = barSize(rows, 18, view);
    assert.equal(toBar(rows, top, size, view), 0);
    assert.deepEqual(fromBar(rows, 0, size, view), top);
    assert.deepEqual(fromBar(rows, size - view, size, view), last);
    assert.ok(Math.abs(toBar(rows, last, size, view) - (size - view)) < 1e-6 || rows.count * 18 <= view);
    let left = view;
    for (let row = last.row; row < rows.count; row++) left -= rows.height(row);
    if (before(top, last)) assert.ok(Math.abs(left + last.px) < 1e-6);
  }
});

test("the bar and the place agree", () => {
  for (const rows of [same(10_000_000), same(2_000), mixed(300_000)]) {
    const size = barSize(rows, 18, view);
    let lastBar = -1;
    for (let i = 0; i <= 1000; i++) {
      const row = Math.floor((i / 1000) * (rows.count - 200));
      const bar = toBar(rows, { row, px: 0 }, size, view);
      assert.ok(bar >= lastBar && bar <= size - view);
      lastBar = bar;
      const back = fromBar(rows, bar, size, view);
      assert.ok(Math.abs(back.row + back.px / rows.height(back.row) - row) < 1e-4, `${row} ${JSON.stringify(back)}`);
    }
  }
});

test("a row that is shown already does not move the view", () => {
  for (const rows of [same(10_000), mixed(10_000)]) {
    const from = showRow(rows, 500, view);
    assert.deepEqual(reveal(rows, from, 503, view), from);
    for (const row of [0, 499, 600, 5000, 9_999]) {
      const at = reveal(rows, from, row, view);
      let bottom = -at.px;
      for (let one = at.row; one <= row; one++) bottom += rows.height(one);
      assert.ok(at.row <= row && bottom <= view + 1e-6 && bottom > 0, `${row} ${JSON.stringify(at)}`);
    }
  }
});
