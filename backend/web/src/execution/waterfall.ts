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
  // Whether it is work. Stages are only frames of it, and an approval only waits.
  works: boolean;
}

// What the waterfall needs of an action.
export type Timed = Pick<ActionExecution, "id" | "action" | "runOrder" | "startTime" | "endTime" | "retried" | "approval">;

// The rows of an execution: its stages in order, below each its actions by their start.
export function rows(execution: Pick<Execution, "startTime" | "stages">, actionsOf: (stage: string) => readonly Timed[]): Row[] {
  const found: Row[] = [];
  let before = millis(execution.startTime);
  for (const stage of execution.stages) {
    const start = millis(stage.startTime);
    found.push({ kind: "stage", name: stage.stage, stage: stage.stage, id: undefined, start, end: millis(stage.endTime), waitFrom: before, works: false });
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
      found.push({ kind: "action", name: action.action, stage: stage.stage, id: action.id, start: millis(action.startTime), end, waitFrom: ready, works: action.approval === undefined });
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

// A part of the scale. A folded part is drawn as a short gap, however long it took.
interface Part {
  from: number;
  to: number;
  // Where it begins and ends, as a share of the whole width.
  start: number;
  end: number;
  folded: boolean;
}

// Where each time stands on the scale.
export interface Scale {
  // Share of the width, 0 to 1.
  place(at: number): number;
  // The waits that are folded.
  folds: readonly Part[];
  // Where times are written: milliseconds since 1970.
  marks: readonly number[];
}

// Waits of at least this length, and of this share of the work, are folded.
const shortestFold = 20_000;
const foldShare = 0.3;
// How wide a fold is drawn, as a share of the work.
const foldWidth = 0.06;

// The scale of the rows from one time to another. If fold is set, long times in which nothing works
// are drawn short, so that an approval of two days leaves the minutes of work readable.
export function scale(found: readonly Row[], from: number, to: number, fold: boolean): Scale {
  const idle = fold ? idleTimes(found, from, to) : [];
  const work = to - from - idle.reduce((sum, gap) => sum + gap.to - gap.from, 0);
  const width = Math.max(work, 1000);
  const folded = idle.filter((gap) => gap.to - gap.from >= Math.max(shortestFold, foldShare * work));
  const parts: Part[] = [];
  let at = from;
  let place = 0;
  const add = (until: number, length: number, isFold: boolean) => {
    if (until > at) parts.push({ from: at, to: until, start: place, end: place + length, folded: isFold });
    place += until > at ? length : 0;
    at = Math.max(at, until);
  };
  for (const gap of folded) {
    add(gap.from, gap.from - at, false);
    add(gap.to, width * foldWidth, true);
  }
  add(to, to - at, false);
  const whole = Math.max(place, 1);
  const shares = parts.map((part) => ({ ...part, start: part.start / whole, end: part.end / whole }));
  const placeOf = (time: number) => {
    const part = shares.find((one) => time <= one.to) ?? shares.at(-1);
    if (!part) return 0;
    const share = part.to === part.from ? 0 : (Math.max(time, part.from) - part.from) / (part.to - part.from);
    return Math.min(1, part.start + share * (part.end - part.start));
  };
  const folds = shares.filter((part) => part.folded);
  return { place: placeOf, folds, marks: marksOf(shares, from, whole, placeOf) };
}

// Round times after the start, outside of folds, with room for their text.
function marksOf(parts: readonly Part[], start: number, width: number, place: (at: number) => number): number[] {
  const found: number[] = [];
  const room = 1 / 12;
  for (const part of parts) {
    if (part.folded) continue;
    const step = stepOf(width, 8);
    for (let at = start + Math.ceil((part.from - start) / step) * step; at <= part.to; at += step) {
      const last = found.at(-1);
      if (last === undefined || place(at) - place(last) >= room) found.push(at);
    }
  }
  return found;
}

// The times in which no row works.
function idleTimes(found: readonly Row[], from: number, to: number): { from: number; to: number }[] {
  const works = found
    .filter((row) => row.works && row.start !== undefined)
    .map((row) => ({ from: row.start ?? from, to: row.end ?? to }))
    .sort((a, b) => a.from - b.from);
  const idle: { from: number; to: number }[] = [];
  let at = from;
  for (const work of works) {
    if (work.from > at) idle.push({ from: at, to: work.from });
    at = Math.max(at, work.to);
  }
  if (to > at) idle.push({ from: at, to });
  return idle;
}

function stepOf(length: number, most: number): number {
  return (steps.find((seconds) => length / (seconds * 1000) <= most) ?? Math.ceil(length / 1000 / most)) * 1000;
}
