import type { ActionExecution, Execution } from "../gen/headrace/v1/execution_pb";
import { millis } from "../format";

// A row of the waterfall: a stage, or an action of the stage above it. Times are in milliseconds
// since 1970; an end of undefined means that it still runs.
export interface Row {
  kind: "stage" | "action";
  name: string;
  stage: string;
  id: string | undefined;
  start: number | undefined;
  end: number | undefined;
  // Since when it waited before its start: the end of what was before it.
  waitFrom: number | undefined;
}

// What the waterfall needs of an action.
export type Timed = Pick<ActionExecution, "id" | "action" | "runOrder" | "startTime" | "endTime" | "retried">;

// The rows of an execution: its stages in order, below each its actions by their start.
export function rows(execution: Pick<Execution, "startTime" | "stages">, actionsOf: (stage: string) => readonly Timed[]): Row[] {
  const found: Row[] = [];
  let before = millis(execution.startTime);
  for (const stage of execution.stages) {
    const start = millis(stage.startTime);
    found.push({ kind: "stage", name: stage.stage, stage: stage.stage, id: undefined, start, end: millis(stage.endTime), waitFrom: before });
    const actions = [...actionsOf(stage.stage)].sort((a, b) => (millis(a.startTime) ?? Infinity) - (millis(b.startTime) ?? Infinity) || a.runOrder - b.runOrder);
    let ready = start;
    let order = 0;
    let ends: number[] = [];
    for (const action of actions) {
      if (action.runOrder !== order) {
        if (ends.length > 0) ready = Math.max(...ends);
        ends = [];
        order = action.runOrder;
      }
      const end = millis(action.endTime);
      if (end !== undefined) ends.push(end);
      found.push({ kind: "action", name: action.action, stage: stage.stage, id: action.id, start: millis(action.startTime), end, waitFrom: ready });
    }
    before = millis(stage.endTime) ?? before;
  }
  return found;
}

// The ids of the actions that determined when the execution ended, or that hold it up now: of
// each run order of each stage the one that ended last.
export function criticalPath(stages: readonly string[], actionsOf: (stage: string) => readonly Timed[], now: number): Set<string> {
  const critical = new Set<string>();
  for (const stage of stages) {
    const last = new Map<number, { id: string; end: number }>();
    for (const action of actionsOf(stage)) {
      const start = millis(action.startTime);
      if (start === undefined || action.retried) continue;
      const end = millis(action.endTime) ?? now;
      const known = last.get(action.runOrder);
      if (!known || end > known.end) last.set(action.runOrder, { id: action.id, end });
    }
    for (const { id } of last.values()) critical.add(id);
  }
  return critical;
}

// The time that the waterfall shows, at least a second.
export function span(found: readonly Row[], start: number | undefined, end: number | undefined, now: number): { from: number; to: number } {
  const from = Math.min(start ?? now, ...found.map((row) => row.start ?? Infinity));
  const to = Math.max(end ?? now, from + 1000, ...found.map((row) => row.end ?? 0));
  return { from, to };
}

const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800];

// Where the scale has its marks: milliseconds after the start, at most `most` of them.
export function ticks(length: number, most: number): number[] {
  const step = (steps.find((seconds) => length / (seconds * 1000) <= most) ?? Math.ceil(length / 1000 / most)) * 1000;
  const found: number[] = [];
  for (let at = 0; at <= length; at += step) found.push(at);
  return found;
}
