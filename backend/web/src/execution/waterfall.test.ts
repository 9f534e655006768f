import assert from "node:assert/strict";
import { test } from "node:test";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { criticalPath, rows, span, ticks, type Timed } from "./waterfall";

const at = (seconds: number) => timestampFromMs(seconds * 1000);
const action = (id: string, runOrder: number, start: number, end?: number, retried = false): Timed => ({
  id,
  action: id,
  runOrder,
  retried,
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

test("the scale has round steps and few marks", () => {
  assert.deepEqual(ticks(4_000, 5), [0, 1000, 2000, 3000, 4000]);
  assert.deepEqual(ticks(3_600_000, 6), [0, 600_000, 1_200_000, 1_800_000, 2_400_000, 3_000_000, 3_600_000]);
  assert.ok(ticks(86_400_000 * 100, 6).length <= 7);
});
