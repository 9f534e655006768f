import assert from "node:assert/strict";
import { test } from "node:test";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { criticalPath, rows, scale, span, type Row, type Timed } from "./waterfall";

const at = (seconds: number) => timestampFromMs(seconds * 1000);
const action = (id: string, runOrder: number, start: number, end?: number, retried = false): Timed => ({
  id,
  action: id,
  runOrder,
  retried,
  approval: undefined,
  startTime: at(start),
  endTime: end === undefined ? undefined : at(end),
});

const actions: Record<string, Timed[]> = {
  Build: [action("slow", 1, 10, 50), action("fast", 1, 10, 20), action("test", 2, 52, 60)],
  Deploy: [action("failed", 1, 90, 95, true), action("again", 1, 100)],
};
const of = (stage: string) => actions[stage] ?? [];

test("the critical path is what ended last in each run order", () => {
  assert.deepEqual([...criticalPath(["Build", "Deploy"], of, 110_000)], ["slow", "test", "again"]);
});

test("rows say since when each part waited", () => {
  const execution = { startTime: at(5), stages: [{ stage: "Build", startTime: at(10), endTime: at(60) }, { stage: "Deploy", startTime: at(90) }] };
  const found = rows(execution as unknown as Parameters<typeof rows>[0], of);
  assert.deepEqual(
    found.map((row) => [row.kind, row.name, row.waitFrom, row.start]),
    [
      ["stage", "Build", 5_000, 10_000],
      ["action", "slow", 10_000, 10_000],
      ["action", "fast", 10_000, 10_000],
      ["action", "test", 50_000, 52_000],
      ["stage", "Deploy", 60_000, 90_000],
      ["action", "failed", 90_000, 90_000],
      ["action", "again", 90_000, 100_000],
    ],
  );
  assert.deepEqual(span(found, 5_000, undefined, 110_000), { from: 5_000, to: 110_000 });
});

const row = (start: number, end: number | undefined, works = true): Row => ({ kind: "action", name: "a", stage: "s", id: "a", start, end, waitFrom: undefined, works });

test("the scale has round steps and few marks", () => {
  const plain = scale([row(0, 4_000)], 0, 4_000, true);
  assert.deepEqual(plain.marks, [0, 1000, 2000, 3000, 4000]);
  assert.deepEqual(plain.folds, []);
  assert.equal(plain.place(1_000), 0.25);
  assert.ok(scale([row(0, 86_400_000 * 100)], 0, 86_400_000 * 100, false).marks.length <= 9);
});

test("long waits are folded, short ones are not", () => {
  // A minute of work, two days of approval, a minute of work after a wait of 5 seconds.
  const end = 60_000 + 172_800_000 + 5_000 + 60_000;
  const found = [row(0, 60_000), row(60_000, 172_860_000, false), row(172_865_000, end)];
  const folded = scale(found, 0, end, true);
  assert.equal(folded.folds.length, 1);
  assert.ok(folded.place(60_000) > 0.4, "the work before the wait has its share");
  assert.ok(folded.place(172_860_000) - folded.place(60_000) < 0.1, "the wait is short");
  assert.equal(folded.place(end), 1);
  const times = Array.from({ length: 1000 }, (_, i) => (end / 999) * i).map(folded.place);
  assert.ok(times.every((place, i) => i === 0 || place >= (times[i - 1] ?? 0)), "time never goes back");
  assert.deepEqual(scale(found, 0, end, false).folds, []);
});

test("a wait that lasts until now is folded too", () => {
  const folded = scale([row(0, 10_000), row(10_000, undefined, false)], 0, 3_600_000, true);
  assert.equal(folded.folds.length, 1);
  assert.ok(folded.place(10_000) > 0.8);
});
