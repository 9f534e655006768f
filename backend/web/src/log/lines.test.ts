import assert from "node:assert/strict";
import { test } from "node:test";
import { styleAfter } from "./line";
import { Lines, longest, Tail, type Raw } from "./lines";
import { plainStyle } from "./sgr";

const bytes = (text: string) => new TextEncoder().encode(text);
const raw = (number: number, length = 10): Raw => ({ number, offset: number * 100, length, text: new Uint8Array(length), style: plainStyle, time: undefined });
const run = (from: number, count: number, length = 10) => Array.from({ length: count }, (_, i) => raw(from + i, length));

test("lines that were left out are lost", () => {
  const lines = new Lines();
  lines.add([raw(5), raw(8)], 4);
  assert.deepEqual([4, 5, 6, 7, 8, 9].map((line) => lines.isLost(line)), [true, false, true, true, false, false]);
  assert.equal(lines.missing(4, 8), undefined);
  assert.equal(lines.missing(4, 9), 9);
});

test("memory is bounded and what was looked at last stays", () => {
  const lines = new Lines();
  for (let from = 1; from < 10_000_000; from += 100_000) {
    lines.add(run(1, 60), 1);
    lines.add(run(from, 1000), from);
    lines.get(1);
  }
  assert.ok(lines.kept.blocks <= 64);
  assert.ok(lines.get(1));
  assert.ok(lines.get(9_900_001));
  assert.equal(lines.get(100_001), undefined);
  for (let from = 1; from < 100_000; from += 256) lines.add(run(from, 256, longest), from);
  assert.ok(lines.kept.bytes <= 16 << 20, String(lines.kept.bytes));
  lines.forget(99_841);
  assert.equal(lines.get(99_841), undefined);
});

test("a log that arrives in pieces has the same lines in any pieces", () => {
  const text = `first\n\u001b[31mred\nlong ${"x".repeat(20_000)}\n\nlast${"\u001b"}[0m\nunfinished`;
  const all = bytes(text);
  const whole = new Tail({ number: 1, offset: 0 }, styleAfter).add(all, 5, 100);
  assert.deepEqual(whole.map((line) => [line.number, line.length, line.text.length, line.open ?? false, line.style.fg]), [
    [1, 5, 5, false, undefined],
    [2, 8, 8, false, undefined],
    [3, 20_005, longest, false, 1],
    [4, 0, 0, false, 1],
    [5, 8, 8, false, 1],
    [6, 10, 10, true, undefined],
  ]);
  let seed = 5;
  const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
  for (let round = 0; round < 50; round++) {
    const tail = new Tail({ number: 1, offset: 0 }, styleAfter);
    const found = new Map<number, Raw>();
    for (let at = 0; at < all.length; ) {
      const to = Math.min(all.length, at + 1 + random(4000));
      for (const line of tail.add(all.subarray(at, to), 5, 100)) found.set(line.number, line);
      at = to;
      assert.equal(tail.next, at);
    }
    assert.deepEqual([...found.values()], whole);
    assert.equal(tail.count, 6);
  }
});

test("of many lines at once only the last ones are kept", () => {
  const tail = new Tail({ number: 10, offset: 1000 }, styleAfter);
  const found = tail.add(bytes("x\n".repeat(50_000)), undefined, 300);
  assert.equal(found.length, 300);
  assert.equal(found.at(-1)?.number, 50_009);
  assert.equal(found.at(-1)?.offset, 1000 + 49_999 * 2);
  assert.equal(tail.next, 101_000);
  assert.equal(tail.count, 50_009);
});

test("lines that are passed over count, with their colors", () => {
  const text = bytes(`\u001b[31mred\n${"x\n".repeat(500)}\u001b[1mbold\n${"y\n".repeat(40)}open`);
  const all = new Tail({ number: 1, offset: 0 }, styleAfter).add(text, 5, 1000);
  const few = new Tail({ number: 1, offset: 0 }, styleAfter);
  const before = few.add(text.subarray(0, 3), 5, 10);
  assert.equal(before[0]?.open, true);
  assert.deepEqual(few.add(text.subarray(3), 5, 10), all.slice(-10));
  assert.equal(few.count, all.at(-1)?.number);
  assert.equal(few.next, text.length);
});
