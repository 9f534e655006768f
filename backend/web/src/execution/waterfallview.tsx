import { useMemo } from "preact/hooks";
import { ExecutionStatus, type ActionExecution } from "../gen/headrace/v1/execution_pb";
import { now } from "../clock";
import { duration, millis } from "../format";
import type { LiveExecution } from "../live";
import { Line } from "../parts/page";
import { Shape } from "../parts/status";
import { Virtual } from "../parts/virtual";
import { look, statusWord } from "../status";
import { words } from "../words";
import { criticalPath, rows, scale, span, type Row } from "./waterfall";

const rowHeight = 28;

// All actions on one scale of time, with the path that determined the end.
export function Waterfall({ of, fold, selected, select }: { of: LiveExecution; fold: boolean; selected: string; select: (id: string) => void }) {
  const execution = of.execution.value;
  const revision = of.revision.value;
  const ended = millis(execution.endTime);
  const clock = ended ?? now.value;
  const model = useMemo(() => {
    const byStage = new Map<string, ActionExecution[]>();
    for (const stage of of.shape.peek()) byStage.set(stage.stage, stage.actions.flatMap((id) => of.action(id)?.peek() ?? []));
    const actionsOf = (stage: string) => byStage.get(stage) ?? [];
    const found = rows(execution, actionsOf);
    return { found, actionsOf, status: new Map([...byStage.values()].flat().map((action) => [action.id, action])) };
  }, [of, execution, revision]);
  const critical = useMemo(() => criticalPath(execution.stages.map((stage) => stage.stage), model.actionsOf, clock), [model, clock, execution]);
  if (model.found.length === 0) return <p class="notice">{words.execution.noActions}</p>;
  const { from, to } = span(model.found, millis(execution.startTime), ended, clock);
  const { place, folds, marks } = scale(model.found, from, to, fold);
  const part = (at: number) => `${place(at) * 100}%`;
  return (
    <div class="waterfall" role="table" aria-label={words.execution.waterfall} aria-rowcount={model.found.length + 1}>
      <div role="row" class="fall-row fall-head">
        <span role="columnheader" class="meta">
          {words.action.title}
        </span>
        <span role="columnheader" class="meta fall-took">
          {words.execution.took}
        </span>
        <div role="columnheader" class="fall-lane">
          {marks.map((mark) => (
            <span key={mark} class="mark meta" style={{ insetInlineStart: part(mark) }}>
              {mark === from ? "0" : duration(mark - from)}
            </span>
          ))}
          {folds.map((one) => (
            <span key={one.from} class="fold" title={words.execution.folded(duration(one.to - one.from))} style={{ insetInlineStart: `${one.start * 100}%`, inlineSize: `${(one.end - one.start) * 100}%` }}>
              <span class="hidden">{words.execution.folded(duration(one.to - one.from))}</span>
            </span>
          ))}
        </div>
      </div>
      <div class="fall-body">
        <div class="fold-lanes" aria-hidden="true">
          <div class="fall-lane">
            {folds.map((one) => (
              <span key={one.from} class="fold" style={{ insetInlineStart: `${one.start * 100}%`, inlineSize: `${(one.end - one.start) * 100}%` }} />
            ))}
          </div>
        </div>
        <Virtual count={model.found.length} height={rowHeight}>
          {(i) => {
            const row = model.found[i];
            return row && <FallRow key={row.id ?? `stage ${row.stage} ${i}`} row={row} place={i + 2} action={row.id ? model.status.get(row.id) : undefined} critical={row.id !== undefined && critical.has(row.id)} clock={clock} part={part} selected={row.id === selected} select={select} stage={execution.stages.find((stage) => stage.stage === row.stage)?.status} />;
          }}
        </Virtual>
      </div>
      <p class="legend meta">
        <span class="swatch critical" aria-hidden="true" /> {words.execution.critical}: {words.execution.criticalHelp}
        <span class="swatch wait" aria-hidden="true" /> {words.execution.waitsBar}
        {folds.length > 0 && (
          <>
            <span class="swatch fold-swatch" aria-hidden="true" /> {words.execution.foldHelp}
          </>
        )}
      </p>
    </div>
  );
}

function FallRow({ row, place, action, stage, critical, clock, part, selected, select }: { row: Row; place: number; action: ActionExecution | undefined; stage: ExecutionStatus | undefined; critical: boolean; clock: number; part: (at: number) => string; selected: boolean; select: (id: string) => void }) {
  const status = action?.status ?? stage ?? ExecutionStatus.UNSPECIFIED;
  const face = look(status);
  const end = row.end ?? clock;
  const wait = row.start === undefined ? end : row.start;
  return (
    <div role="row" aria-rowindex={place} class={`fall-row ${row.kind}${critical ? " critical" : ""}`} data-row={row.id ? true : undefined}>
      <span role="cell" class="fall-name">
        <Shape of={face} label={statusWord(status)} />
        {row.id ? (
          <button type="button" class="plain" id={`cell-${row.id}`} aria-pressed={selected} onClick={() => row.id && select(row.id)}>
            <Line text={row.name} limit={100} />
          </button>
        ) : (
          <strong>
            <Line text={row.name} limit={100} />
          </strong>
        )}
        {critical && <span class="hidden">{words.execution.critical}</span>}
      </span>
      <span role="cell" class="fall-took">
        {row.start !== undefined && duration(end - row.start)}
      </span>
      <span role="cell" class="fall-lane">
        {row.waitFrom !== undefined && wait - row.waitFrom > 0 && <span class="fall-wait" title={`${words.execution.waitsBar} ${duration(wait - row.waitFrom)}`} style={{ insetInlineStart: part(row.waitFrom), inlineSize: `calc(${part(wait)} - ${part(row.waitFrom)})` }} />}
        {row.start !== undefined && <span class={`fall-bar ${face}`} title={duration(end - row.start)} style={{ insetInlineStart: part(row.start), inlineSize: `calc(${part(end)} - ${part(row.start)})` }} />}
      </span>
    </div>
  );
}
