import { useComputed } from "@preact/signals";
import { useMemo, useState } from "preact/hooks";
import { ConditionKind, ExecutionStatus, type ConditionExecution, type StageExecution } from "../gen/headrace/v1/execution_pb";
import { number } from "../format";
import type { LiveExecution } from "../live";
import { oneLine, visible } from "../names";
import { Approval } from "../parts/approval";
import { Line } from "../parts/page";
import { Shape, Status } from "../parts/status";
import { Time, Took } from "../parts/time";
import { live as isLive, look, statusWord } from "../status";
import { words } from "../words";
import { conditionWaits, ruleWaits, stageWaits } from "./waits";
import { bundle, wide, type Cell, type Column, type RunOrder } from "./layout";

export type Density = "cells" | "names" | "cards";

// Stages as columns, in them run orders from top to bottom, actions side by side.
export function Grid({ columns, of, density, selected, select }: { columns: readonly Column[]; of: LiveExecution; density: Density; selected: string; select: (id: string) => void }) {
  return (
    <ol class={`grid ${density}`}>
      {columns.map((column) => (
        <Stage key={column.stage} column={column} of={of} density={density} selected={selected} select={select} />
      ))}
    </ol>
  );
}

function Stage({ column, of, density, selected, select }: { column: Column; of: LiveExecution; density: Density; selected: string; select: (id: string) => void }) {
  const stage = useComputed(() => of.execution.value.stages.find((one) => one.stage === column.stage)).value;
  const waits = stage !== undefined && stageWaits(stage, column.runOrders.reduce((sum, order) => sum + order.cells.filter((cell) => cell.id !== undefined).length, 0));
  const face = waits ? "waiting" : stage ? look(stage.status) : "none";
  // Each patch renders the head; the cells are rendered by the signals of their actions alone.
  const orders = useMemo(
    () => (
      <ol class="orders">
        {column.runOrders.map((order) => (
          <Order key={order.order} order={order} of={of} density={density} selected={selected} select={select} />
        ))}
      </ol>
    ),
    [column, of, density, selected, select],
  );
  return (
    <li class={`grid-stage ${face}`}>
      <div class="grid-head">
        <h3>
          <Line text={column.stage} limit={100} />
        </h3>
        {stage ? <Status of={stage.status} waiting={waits} /> : <span class="meta">{words.execution.notReached}</span>}
        {stage?.startTime && <Took from={stage.startTime} to={stage.endTime} />}
      </div>
      {stage && <Gates of={stage} kinds={[ConditionKind.BEFORE_ENTRY]} entry />}
      {orders}
      {stage && <Gates of={stage} kinds={[ConditionKind.ON_SUCCESS, ConditionKind.ON_FAILURE]} />}
    </li>
  );
}

// The gates of a stage: the approval of its entry and its conditions.
function Gates({ of, kinds, entry = false }: { of: StageExecution; kinds: readonly ConditionKind[]; entry?: boolean }) {
  const conditions = of.conditions.filter((condition) => kinds.includes(condition.kind));
  if (conditions.length === 0 && !(entry && of.entryApproval)) return null;
  return (
    <ul class="gates">
      {entry && of.entryApproval && (
        <li class="gate">
          <p class="gate-head">{words.pipeline.approval}</p>
          <Approval of={of.entryApproval} compact />
        </li>
      )}
      {conditions.map((condition, i) => (
        <Condition key={i} of={condition} />
      ))}
    </ul>
  );
}

function Condition({ of }: { of: ConditionExecution }) {
  return (
    <li class={`gate ${conditionWaits(of) ? "waiting" : look(of.status)}`}>
      <p class="gate-head">
        {words.conditions[of.kind]} <Status of={of.status} waiting={conditionWaits(of)} />
      </p>
      {of.summary && !isLive(of.status) && <p class="gate-text">{visible(of.summary)}</p>}
      {of.override && (
        <p class="gate-text">
          <Line text={of.override.principal} limit={80} />: <q>{visible(of.override.reason)}</q>
        </p>
      )}
      <ul>
        {of.rules.map((rule) => (
          <li key={rule.id} class="rule">
            <Shape of={ruleWaits(rule) ? "waiting" : look(rule.status)} label={ruleWaits(rule) ? words.waiting : statusWord(rule.status)} /> <Line text={rule.rule} limit={80} /> <span class="meta">{rule.provider}</span>
            {isLive(rule.status) && rule.openTime && (
              <span class="meta">
                {words.execution.opens} <Time at={rule.openTime} />
              </span>
            )}
          </li>
        ))}
      </ul>
    </li>
  );
}

function Order({ order, of, density, selected, select }: { order: RunOrder; of: LiveExecution; density: Density; selected: string; select: (id: string) => void }) {
  const [each, setEach] = useState(false);
  if (order.cells.length <= wide[density] || each) {
    return (
      <li class="order">
        <span class="hidden">{words.pipeline.runOrder(order.order)}</span>
        <ul class="cells-list">
          {order.cells.map((cell) => (
            <ActionCell key={cell.action} cell={cell} of={of} density={density} selected={cell.id !== undefined && selected === cell.id} select={select} />
          ))}
        </ul>
        {each && (
          <button type="button" class="plain" onClick={() => setEach(false)}>
            {words.execution.collapse}
          </button>
        )}
      </li>
    );
  }
  return <WideOrder order={order} of={of} density={density} selected={selected} select={select} expand={() => setEach(true)} />;
}

// Many actions side by side: those that failed or run one by one, the others as bars of counts.
function WideOrder({ order, of, density, selected, select, expand }: { order: RunOrder; of: LiveExecution; density: Density; selected: string; select: (id: string) => void; expand: () => void }) {
  // Any patch may move an action from a bar to a cell of its own.
  const revision = of.revision.value;
  const { alone, counts } = useMemo(() => bundle(order.cells, (id) => of.action(id)?.peek().status), [order, of, revision]);
  const total = order.cells.length;
  return (
    <li class="order">
      <span class="hidden">{words.pipeline.runOrder(order.order)}</span>
      {alone.length > 0 && (
        <ul class="cells-list">
          {alone.map((cell) => (
            <ActionCell key={cell.action} cell={cell} of={of} density={density} selected={cell.id !== undefined && selected === cell.id} select={select} />
          ))}
        </ul>
      )}
      <ul class="bars">
        {counts.map(({ status, count }) => {
          const face = status === undefined ? "none" : look(status);
          const word = statusWord(status ?? ExecutionStatus.UNSPECIFIED);
          return (
            <li key={status ?? -1} class={`count-bar ${face}`} style={{ "--part": String(count / total) }}>
              <Shape of={face} />
              {words.execution.counted(number(count), word)}
            </li>
          );
        })}
      </ul>
      <button type="button" class="plain" onClick={expand}>
        {words.execution.expand}
      </button>
    </li>
  );
}

function ActionCell({ cell, of, density, selected, select }: { cell: Cell; of: LiveExecution; density: Density; selected: boolean; select: (id: string) => void }) {
  const action = cell.id === undefined ? undefined : of.action(cell.id)?.value;
  if (!action || cell.id === undefined) {
    return (
      <li class="cell none">
        <span class="cell-body">
          <Shape of="none" label={statusWord(ExecutionStatus.UNSPECIFIED)} />
          <Line text={cell.action} limit={100} />
          {density === "cards" && <span class="meta cell-more">{cell.provider}</span>}
        </span>
      </li>
    );
  }
  const id = cell.id;
  const waits = isLive(action.status) && action.approval !== undefined;
  const face = waits ? "waiting" : look(action.status);
  const word = waits ? words.waiting : statusWord(action.status);
  if (density === "cells") {
    // Of 1,000 cells each element counts.
    const name = `${oneLine(cell.action, 100)}: ${word}`;
    return (
      <li class={`cell ${face}`} data-row>
        <button type="button" class="cell-body" id={`cell-${id}`} aria-pressed={selected} aria-label={name} title={name} onClick={() => select(id)}>
          <Shape of={face} />
        </button>
      </li>
    );
  }
  return (
    <li class={`cell ${face}`} data-row>
      <button type="button" class="cell-body" id={`cell-${id}`} aria-pressed={selected} onClick={() => select(id)}>
        <Shape of={face} label={word} />
        <Line text={cell.action} limit={100} />
        {action.startTime && <Took from={action.startTime} to={action.endTime} />}
        {density === "cards" && (
          <span class="meta cell-more">
            <Line text={action.error?.message || action.summary || action.provider} limit={200} />
          </span>
        )}
      </button>
    </li>
  );
}
