import type { ActionExecution, ExecutionStatus } from "../gen/headrace/v1/execution_pb";
import type { Stage } from "../gen/headrace/v1/pipeline_pb";
import type { LiveStage } from "../live/store";
import { live, look } from "../status";

// One action of the grid: what the definition declares, what ran of it, or both.
export interface Cell {
  action: string;
  provider: string;
  // Id of the newest action execution; undefined if none has started.
  id: string | undefined;
  // Ids of those that retries replaced, oldest first.
  earlier: readonly string[];
}

// The actions of a stage that run side by side.
export interface RunOrder {
  order: number;
  cells: readonly Cell[];
}

// A stage of the grid.
export interface Column {
  stage: string;
  runOrders: readonly RunOrder[];
}

// The columns of an execution: all stages of its definition, and those that the execution has
// beside it, in order. Without a definition only what was reached is known.
export function columns(definition: readonly Stage[] | undefined, shape: readonly LiveStage[], action: (id: string) => ActionExecution | undefined): Column[] {
  const names = [...(definition ?? []).map((stage) => stage.name)];
  for (const stage of shape) if (!names.includes(stage.stage)) names.push(stage.stage);
  return names.map((name) => {
    const declared = definition?.find((stage) => stage.name === name);
    const ran = shape.find((stage) => stage.stage === name);
    return { stage: name, runOrders: runOrders(declared, ran, action) };
  });
}

// The columns with those of the earlier ones that are equal in their place, so that a view renders
// only the columns that changed.
export function reuse(before: readonly Column[], after: readonly Column[]): Column[] {
  return after.map((column, i) => {
    const known = before[i];
    return known && equal(known, column) ? known : column;
  });
}

function equal(a: Column, b: Column): boolean {
  return (
    a.stage === b.stage &&
    a.runOrders.length === b.runOrders.length &&
    a.runOrders.every((order, i) => {
      const other = b.runOrders[i];
      return (
        other !== undefined &&
        order.order === other.order &&
        order.cells.length === other.cells.length &&
        order.cells.every((cell, j) => {
          const one = other.cells[j];
          return one !== undefined && cell.action === one.action && cell.id === one.id && cell.provider === one.provider && cell.earlier.length === one.earlier.length;
        })
      );
    })
  );
}

function runOrders(declared: Stage | undefined, ran: LiveStage | undefined, action: (id: string) => ActionExecution | undefined): RunOrder[] {
  const cells = new Map<string, Cell>();
  const orders = new Map<string, number>();
  for (const one of declared?.actions ?? []) {
    cells.set(one.name, { action: one.name, provider: one.provider, id: undefined, earlier: [] });
    orders.set(one.name, one.runOrder || 1);
  }
  for (const id of ran?.actions ?? []) {
    const one = action(id);
    if (!one) continue;
    const before = cells.get(one.action);
    cells.set(one.action, { action: one.action, provider: one.provider, id, earlier: before?.id ? [...before.earlier, before.id] : [] });
    orders.set(one.action, one.runOrder || 1);
  }
  const sorted = [...new Set(orders.values())].sort((a, b) => a - b);
  return sorted.map((order) => ({ order, cells: [...cells.values()].filter((cell) => orders.get(cell.action) === order) }));
}

// Above this many actions side by side, those that need no attention are drawn as counts. Cells
// without names are small enough for more.
export const wide = { cells: 48, names: 12, cards: 12 };

// How many of those that need attention are drawn one by one.
export const mostAlone = 24;

// What of a wide run order is drawn one by one, and what as counts.
export interface Bundle {
  alone: readonly Cell[];
  counts: readonly { status: ExecutionStatus | undefined; count: number }[];
}

// Splits the actions of a wide run order: failed and running ones stay alone, failed ones first.
export function bundle(cells: readonly Cell[], status: (id: string) => ExecutionStatus | undefined): Bundle {
  const failed: Cell[] = [];
  const running: Cell[] = [];
  const counts = new Map<ExecutionStatus | undefined, number>();
  for (const cell of cells) {
    const now = cell.id === undefined ? undefined : status(cell.id);
    if (now !== undefined && look(now) === "failed" && failed.length < mostAlone) failed.push(cell);
    else if (now !== undefined && live(now) && running.length < mostAlone) running.push(cell);
    else counts.set(now, (counts.get(now) ?? 0) + 1);
  }
  const alone = [...failed, ...running].slice(0, mostAlone);
  for (const cell of [...failed, ...running].slice(mostAlone)) {
    const now = cell.id === undefined ? undefined : status(cell.id);
    counts.set(now, (counts.get(now) ?? 0) + 1);
  }
  return { alone, counts: [...counts].map(([of, count]) => ({ status: of, count })).sort((a, b) => (a.status ?? 99) - (b.status ?? 99)) };
}
