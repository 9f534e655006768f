import assert from "node:assert/strict";
import { test } from "node:test";
import { absolute, bytes, duration, plural, relative } from "./format";

test("durations have at most two units", () => {
  const cases: [number, string][] = [
    [-5, "0 s"],
    [0, "0 s"],
    [400, "0.4 s"],
    [9_949, "9.9 s"],
    [9_960, "10 s"],
    [59_400, "59 s"],
    [59_600, "1 m 00 s"],
    [242_000, "4 m 02 s"],
    [3_599_900, "1 h 00 m"],
    [3_840_000, "1 h 04 m"],
    [86_399_000, "23 h 59 m"],
    [86_400_000 * 3 + 7_200_000, "3 d 02 h"],
  ];
  for (const [ms, text] of cases) assert.equal(duration(ms), text);
});

test("relative times name the largest unit", () => {
  const now = Date.UTC(2026, 11, 1, 12);
  assert.equal(relative(now - 4_000, now), "now");
  assert.equal(relative(now + 4_000, now), "now");
  assert.equal(relative(now - 12 * 60_000 - 59_000, now), "12 min ago");
  assert.equal(relative(now + 3 * 3_600_000, now), "in 3 hr");
  assert.equal(relative(now - 50 * 3_600_000, now), "2 days ago");
});

test("absolute times have their zone", () => {
  assert.match(absolute(Date.UTC(2026, 11, 1, 14, 2, 10), "utc"), /14:02:10.*UTC/);
});

test("sizes and counts", () => {
  assert.equal(bytes(512), "512 B");
  assert.equal(bytes(3_355_443), "3.2 MiB");
  assert.equal(bytes(200 * 1024), "200 KiB");
  assert.equal(plural(1, "action", "actions"), "1 action");
  assert.equal(plural(1000, "action", "actions"), "1,000 actions");
});
