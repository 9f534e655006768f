import { useCallback, useMemo, useRef, useState } from "preact/hooks";
import { client, explainError } from "../api";
import { useAsk, type Asked } from "../ask";
import { Detail, Pairs } from "../execution/detail";
import { Events } from "../execution/events";
import { Grid, type Density } from "../execution/grid";
import { columns, reuse, type Column } from "../execution/layout";
import { Waterfall } from "../execution/waterfallview";
import { ExecutionService, ExecutionType, WaitKind, type Execution, type ExecutionStatus, type ExplainExecutionResponse, type SourceRevision } from "../gen/headrace/v1/execution_pb";
import { PipelineService } from "../gen/headrace/v1/pipeline_pb";
import { usePageKeys } from "../keys";
import { Lazy, type Params } from "../lazy";
import { attemptOf, logPath } from "../log/path";
import { store, useLive, type LiveExecution } from "../live";
import { accountOf, lastSegment, pipelineOf, shortRevision, visible } from "../names";
import { Explain, useExplain } from "../parts/explain";
import { Link, Outside } from "../parts/link";
import { LiveLoading } from "../parts/liveloading";
import { Facts, Failure, Heading, Line } from "../parts/page";
import { Started } from "../parts/started";
import { Status } from "../parts/status";
import { Time, Took } from "../parts/time";
import { navigate, query, setQuery } from "../router";
import { live as isLive, statusWord } from "../status";
import { words } from "../words";

const select = (id: string) => setQuery({ action: id });

type Face = "grid" | "waterfall" | "events" | "artifacts";

const artifacts = () => import("../artifact/view");

// One execution: what it waits for, and its actions as a grid, on a scale of time or as events.
export default function ExecutionView({ params }: { params: Params }) {
  const name = `accounts/${params.account}/pipelines/${params.pipeline}/executions/${params.execution}`;
  useLive({ account: `accounts/${params.account}`, executions: [name] });
  const live = store.execution(name).value;
  if (live === null) {
    return (
      <>
        <Heading title={words.errors.notFound} />
        <p>{words.errors.missing(`${words.execution.one} ${params.execution}`)}</p>
      </>
    );
  }
  if (!live) return <LiveLoading />;
  return <Known of={live} name={name} />;
}

function Known({ of, name }: { of: LiveExecution; name: string }) {
  const execution = of.execution.value;
  const pipeline = pipelineOf(execution.name);
  const definition = useAsk((signal) => client(PipelineService).getPipelineVersion({ name: `${pipeline}/versions/${execution.pipelineVersion}` }, { signal }), `${pipeline} ${execution.pipelineVersion}`);
  const stages = definition.value?.version?.definition?.stages;
  const shape = of.shape.value;
  const drawn = useRef<Column[]>([]);
  const grid = useMemo(() => (drawn.current = reuse(drawn.current, columns(stages, shape, (id) => of.action(id)?.peek()))), [stages, shape, of]);
  const face = faceOf(query.value.get("face"));
  const density = densityOf(query.value.get("density"), grid.reduce((sum, column) => sum + column.runOrders.length, 0));
  const selected = query.value.get("action") ?? "";
  const { go, missing } = useSiblings(execution, pipeline);
  const explained = useExplain(name, of.revision.value);
  const waiting = (explained.value?.reasons.length ?? 0) > 0 && explained.value?.reasons.every((reason) => reason.kind !== WaitKind.ACTION_RUNNING && reason.kind !== WaitKind.RULE_RUNNING) === true;
  const close = useCallback(() => {
    setQuery({ action: undefined });
    document.getElementById(`cell-${selected}`)?.focus();
  }, [selected]);
  usePageKeys(selected ? { Escape: close } : undefined, [selected, close]);
  const cell = grid.flatMap((column) => column.runOrders.flatMap((order) => order.cells.map((one) => ({ one, stage: column.stage })))).find(({ one }) => one.id === selected || one.earlier.includes(selected));
  const action = selected ? of.action(selected)?.value : undefined;
  const inStage = action && of.shape.value.find((one) => one.actions.includes(action.id));
  const log = action && inStage ? logPath(name, inStage.stage, action.action, attemptOf(action.id, inStage.actions, (id) => of.action(id)?.peek().action)) : "";
  const logKey = action?.hasLog ? log : "";
  usePageKeys(logKey ? { l: () => navigate(logKey) } : undefined, [logKey]);
  const earlier = cell && action?.id === cell.one.id ? cell.one.earlier.flatMap((id) => of.action(id)?.peek() ?? []) : [];
  return (
    <>
      <Head of={execution} pipeline={pipeline} waiting={waiting} go={(by) => void go(by)} />
      <p role="status" class="meta">
        {missing}
      </p>
      <p role="status" class="hidden">
        {words.execution.one} {String(execution.number)}: {waiting ? words.waiting : statusWord(execution.status)}
      </p>
      <Why status={execution.status} explained={explained} />
      <div class="toolbar">
        <Choice label={words.execution.faces} value={face} values={["grid", "waterfall", "events", "artifacts"]} names={[words.execution.grid, words.execution.waterfall, words.execution.events, words.execution.artifacts]} choose={(value) => setQuery({ face: value === "grid" ? undefined : value, artifact: undefined, digest: undefined, files: undefined })} />
        {face === "grid" && <Choice label={words.execution.density} value={density} values={["cells", "names", "cards"]} names={[words.execution.densities.cells, words.execution.densities.names, words.execution.densities.cards]} choose={(value) => setQuery({ density: value })} />}
        {face === "waterfall" && (
          <label class="check">
            <input type="checkbox" checked={query.value.get("fold") !== "0"} onChange={(event) => setQuery({ fold: event.currentTarget.checked ? undefined : "0" })} />
            {words.execution.fold}
          </label>
        )}
      </div>
      <div class={action ? "with-detail" : undefined}>
        <div class="face">
          <h2 class="hidden">{words.execution[face]}</h2>
          {face === "grid" && <Grid columns={grid} of={of} density={density} selected={selected} select={select} />}
          {face === "waterfall" && <Waterfall of={of} fold={query.value.get("fold") !== "0"} selected={selected} select={select} />}
          {face === "events" && <Events of={of} select={select} />}
          {face === "artifacts" && <Lazy load={artifacts} params={{ name }} />}
        </div>
        {action && <Detail of={action} execution={execution} stage={cell?.stage ?? ""} log={log} earlier={earlier} select={select} close={close} />}
      </div>
    </>
  );
}

function faceOf(text: string | null): Face {
  return text === "waterfall" || text === "events" || text === "artifacts" ? text : "grid";
}

function densityOf(text: string | null, orders: number): Density {
  if (text === "cells" || text === "names" || text === "cards") return text;
  return orders > 24 ? "cells" : "names";
}

// "[" and "]" lead to the executions before and after this one.
function useSiblings(execution: Execution, pipeline: string): { go: (by: bigint) => Promise<void>; missing: string } {
  const [missing, setMissing] = useState("");
  const number = execution.number;
  const go = useCallback(
    async (by: bigint) => {
      const wanted = number + by;
      if (wanted < 1n) return;
      try {
        const answer = await client(ExecutionService).listExecutions({ parent: pipeline, number: wanted, pageSize: 1 });
        const found = answer.executions[0];
        if (found) navigate(`/${found.name}`);
        else setMissing(words.execution.noSibling(wanted));
      } catch (error) {
        setMissing(explainError(error));
      }
    },
    [number, pipeline],
  );
  usePageKeys({ "[": () => void go(-1n), "]": () => void go(1n), e: () => document.getElementById("why")?.focus() }, [go]);
  return { go, missing };
}

function Head({ of, pipeline, waiting, go }: { of: Execution; pipeline: string; waiting: boolean; go: (by: bigint) => void }) {
  const title = `${lastSegment(pipeline)} #${of.number}`;
  return (
    <>
      <Heading
        title={title}
        kicker={
          <>
            <Link to={`/${accountOf(pipeline)}`}>{words.nav.pipelines}</Link>
            <span aria-hidden="true">/</span>
            <Link to={`/${pipeline}`}>
              <Line text={lastSegment(pipeline)} limit={100} />
            </Link>
          </>
        }
      >
        <Status of={of.status} waiting={waiting} />
        <Took from={of.startTime} to={of.endTime} />
        {of.executionType === ExecutionType.ROLLBACK && <span class="tag">{words.execution.rollback}</span>}
        {of.attempt > 1 && <span class="tag">{words.execution.attempt(of.attempt)}</span>}
        <span class="grow" />
        {of.number > 1n && (
          <button type="button" onClick={() => go(-1n)}>
            <span aria-hidden="true">‹ </span>
            {words.execution.previous}
          </button>
        )}
        <button type="button" onClick={() => go(1n)}>
          {words.execution.next}
          <span aria-hidden="true"> ›</span>
        </button>
      </Heading>
      {of.statusSummary && <p class="long summary">{visible(of.statusSummary)}</p>}
      {of.stop && (
        <p class="notice warn">
          {words.execution.stop} <Line text={of.stop.principal} limit={80} />, <Time at={of.stop.requestTime} />
          {of.stop.abandon && ` (${words.execution.abandons})`}
          {of.stop.reason && (
            <>
              : <q>{visible(of.stop.reason)}</q>
            </>
          )}
        </p>
      )}
      {of.cancel && (
        <p class="notice warn">
          {words.execution.cancel} <Line text={of.cancel.principal} limit={80} />, <Time at={of.cancel.requestTime} />
        </p>
      )}
      {of.outputsRemoveTime && <p class="notice">{words.execution.removed}</p>}
      <Facts
        of={[
          [words.execution.startedBy, of.trigger && <Started by={of.trigger} long />],
          [words.execution.rollbackTo, of.rollback && <Link to={`/${of.rollback.targetExecution}`}>#{String(of.rollback.targetNumber)}</Link>],
          [words.execution.started, of.startTime && <Time at={of.startTime} face="both" />],
          [words.execution.ended, of.endTime && <Time at={of.endTime} face="both" />],
          [words.execution.version, <Link key="version" to={`/${pipeline}/versions/${of.pipelineVersion}`}>v{String(of.pipelineVersion)}</Link>],
          ...of.sourceRevisions.map((revision): [string, preact.ComponentChildren] => [`${words.history.revision} (${revision.action})`, <Revision key={revision.action} of={revision} />]),
        ]}
      />
      {Object.keys(of.variables).length > 0 && (
        <details class="variables">
          <summary>
            {words.execution.variables} ({Object.keys(of.variables).length})
          </summary>
          <Pairs title="" of={of.variables} />
        </details>
      )}
    </>
  );
}

function Revision({ of }: { of: SourceRevision }) {
  return (
    <span class="revision">
      <Outside address={of.revisionUrl}>
        <code>{shortRevision(of.revisionId)}</code>
      </Outside>
      <Line text={of.revisionSummary} limit={160} />
      {of.author && (
        <span class="meta">
          <Line text={of.author.replace(/ <.*>$/, "")} limit={80} />
        </span>
      )}
    </span>
  );
}

// What the execution waits for. It is not shown for one that ended well, which has nothing to say.
function Why({ status, explained }: { status: ExecutionStatus; explained: Asked<ExplainExecutionResponse> }) {
  const answer = explained.value;
  if (!answer) return explained.error ? <Failure error={explained.error} reload={explained.reload} /> : null;
  if (!isLive(status) && answer.notes.length === 0 && answer.nextSteps.length === 0) return null;
  return (
    <section class={`why ${isLive(status) ? "" : "ended"}`} aria-labelledby="why">
      <h2 id="why" tabIndex={-1}>
        {answer.reasons.length > 0 ? words.explain.title : words.explain.steps}
      </h2>
      <Explain of={answer} />
    </section>
  );
}

// A choice of a few values, as buttons.
function Choice<T extends string>({ label, value, values, names, choose }: { label: string; value: T; values: readonly T[]; names: readonly string[]; choose: (value: T) => void }) {
  return (
    <fieldset class="choices">
      <legend class="hidden">{label}</legend>
      {values.map((one, i) => (
        <label key={one}>
          <input type="radio" name={label} checked={one === value} onChange={() => choose(one)} />
          <span>{names[i]}</span>
        </label>
      ))}
    </fieldset>
  );
}
