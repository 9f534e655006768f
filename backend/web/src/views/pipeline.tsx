import { client } from "../api";
import { useAsk } from "../ask";
import { ExecutionService, ExecutionStatus, type Execution } from "../gen/headrace/v1/execution_pb";
import { ExecutionMode, PipelineService, StageGateKind, type PipelineState, type Stage, type StageGate, type StageOccupant, type StageState } from "../gen/headrace/v1/pipeline_pb";
import type { Params } from "../lazy";
import { store, useLive } from "../live";
import { lastSegment, shortRevision, visible } from "../names";
import { Ender } from "../parts/explain";
import { ExecutionTable } from "../parts/executions";
import { Link } from "../parts/link";
import { LiveLoading } from "../parts/liveloading";
import { Facts, Failure, Heading, Line, Loading } from "../parts/page";
import { PipelineHead } from "../parts/pipelinehead";
import { Shape, Status } from "../parts/status";
import { Time } from "../parts/time";
import { live as isLive, look, statusWord, type Look } from "../status";
import { words } from "../words";

// How many recent executions stand below the stages.
const recent = 10;

// What happens in a pipeline now: who is in which stage, who waits behind whom, and at which gate.
export default function PipelineView({ params }: { params: Params }) {
  const account = `accounts/${params.account}`;
  const name = `${account}/pipelines/${params.pipeline}`;
  const state = store.state(name).value;
  // The executions whose actions are drawn in the stages.
  const inside = state ? [...new Set(state.stages.map((stage) => stage.currentExecution || stage.latestExecution).filter(Boolean))].slice(0, 20) : [];
  useLive({ account, pipelines: [name], executions: inside });
  if (state === null) {
    return (
      <>
        <Heading title={words.errors.notFound} />
        <p>{words.errors.missing(name)}</p>
      </>
    );
  }
  return (
    <>
      <PipelineHead name={name} title={params.pipeline ?? ""} />
      {state ? <Known state={state} name={name} /> : <LiveLoading />}
    </>
  );
}

function Known({ state, name }: { state: PipelineState; name: string }) {
  const version = useAsk(
    async (signal) => {
      const pipeline = await client(PipelineService).getPipeline({ name }, { signal });
      const published = state.pipelineVersion > 0n ? await client(PipelineService).getPipelineVersion({ name: `${name}/versions/${state.pipelineVersion}` }, { signal }) : undefined;
      return { pipeline: pipeline.pipeline, definition: published?.version?.definition ?? pipeline.pipeline?.definition, published: published?.version };
    },
    `${name} ${state.pipelineVersion}`,
  );
  const summary = store.summary(name)?.value;
  const latest = summary?.latestExecution;
  const executions = useAsk((signal) => client(ExecutionService).listExecutions({ parent: name, pageSize: recent }, { signal }), name, `${latest?.name} ${latest?.status} ${summary?.liveExecutions}`);
  const definition = version.value?.definition;
  return (
    <>
      {definition?.description && <p class="summary">{visible(definition.description)}</p>}
      <Facts
        of={[
          [words.pipeline.version, state.pipelineVersion > 0n && <Link to={`/${name}/versions/${state.pipelineVersion}`}>v{String(state.pipelineVersion)}</Link>],
          [words.versions.by, version.value?.published && <Line text={version.value.published.principal} limit={80} />],
          [words.versions.published, version.value?.published && <Time at={version.value.published.createTime} face="both" />],
          [
            words.pipeline.mode,
            <span key="mode" title={words.modeHelp[state.executionMode]}>
              {words.modes[state.executionMode]} <span class="meta">{words.modeHelp[state.executionMode]}</span>
            </span>,
          ],
        ]}
      />
      {version.value?.pipeline?.unpublishedChanges && <p class="notice warn">
          {words.pipeline.unpublished} <Link to={`/${name}/versions/unpublished`}>{words.versions.unpublished}</Link>
        </p>}
      {state.pipelineVersion === 0n && <p class="notice">{words.pipeline.notPublished}</p>}
      {version.error !== undefined && <Failure error={version.error} reload={version.reload} />}
      {state.executionMode === ExecutionMode.PARALLEL ? (
        <Definition stages={definition?.stages ?? []} />
      ) : (
        <section aria-labelledby="stages">
          <h2 id="stages" class="hidden">
            {words.pipeline.stages}
          </h2>
          <ol class="board">
            {state.stages.map((stage, i) => (
              <StageCard key={stage.stage} of={stage} first={i === 0} declared={definition?.stages.find((one) => one.name === stage.stage)} />
            ))}
          </ol>
        </section>
      )}
      <section class="below" aria-labelledby="recent">
        <div class="section-head">
          <h2 id="recent">{words.pipeline.recent}</h2>
          <Link to={`/${name}/executions`}>{words.pipeline.allExecutions}</Link>
        </div>
        {executions.error !== undefined ? <Failure error={executions.error} reload={executions.reload} /> : executions.value ? <ExecutionTable of={executions.value.executions} label={words.pipeline.recent} /> : <Loading />}
      </section>
    </>
  );
}

// The stages of a pipeline in PARALLEL mode, whose executions do not wait for each other.
function Definition({ stages }: { stages: readonly Stage[] }) {
  return (
    <ol class="board">
      {stages.map((stage, i) => (
        <li key={stage.name} class="board-stage">
          <Door closed={false} first={i === 0} />
          <div class="stage-card">
            <h3>
              <Line text={stage.name} limit={100} />
            </h3>
            <Actions declared={stage} execution={undefined} />
          </div>
        </li>
      ))}
    </ol>
  );
}

function StageCard({ of, declared, first }: { of: StageState; declared: Stage | undefined; first: boolean }) {
  const inside = of.currentExecution || of.latestExecution;
  const execution = inside ? store.execution(inside).value?.execution.value : undefined;
  const stage = execution?.stages.find((one) => one.stage === of.stage);
  const disabled = of.transition?.enabled === false;
  const before = of.gates.filter((gate) => !gate.action && gate.condition !== "on_success");
  const after = of.gates.filter((gate) => gate.action || gate.condition === "on_success");
  const closed = disabled || before.some((gate) => gate.execution);
  const face: Look = stage ? look(stage.status) : "none";
  return (
    <li class="board-stage">
      <Door closed={closed} first={first} />
      <div class={`stage-card ${face}`}>
        <div class="stage-title">
          <h3>
            <Line text={of.stage} limit={100} />
          </h3>
          {stage && <Status of={stage.status} waiting={of.gates.some((gate) => gate.execution !== "" && gate.execution === of.currentExecution)} />}
        </div>
        {(disabled || before.length > 0 || of.waiting.length > 0) && (
          <div class="entry">
            {disabled && of.transition && (
              <p class="gate closed">
                <Bars />
                <span>
                  <strong>{words.overview.disabled}</strong> <q>{visible(of.transition.disabledReason)}</q>
                  <span class="meta">
                    {words.pipeline.disabledBy} <Line text={of.transition.principal} limit={60} />, <Time at={of.transition.changeTime} />. {words.pipeline.enableBy}
                  </span>
                </span>
              </p>
            )}
            {before.map((gate) => (
              <Gate key={`${gate.condition} ${gate.rule} ${gate.action}`} of={gate} />
            ))}
            {of.waiting.length > 0 && (
              <div class="waiters">
                <p class="meta">{words.pipeline.waitingFor}</p>
                <ol>
                  {of.waiting.map((waiter, i) => (
                    <li key={waiter.execution} data-row>
                      <Shape of="waiting" />
                      <Occupant of={waiter} />
                      <span class="meta">{words.pipeline.order(i + 1)}</span>
                    </li>
                  ))}
                </ol>
              </div>
            )}
          </div>
        )}
        <div class={of.holder ? "holder" : "holder free"} data-row={of.holder ? true : undefined}>
          {of.holder ? (
            <>
              <p class="meta">{words.pipeline.holder}</p>
              <p class="occupant-line">
                <Occupant of={of.holder} />
              </p>
            </>
          ) : (
            <p class="meta">
              {words.pipeline.free}
              {of.latestExecution && (
                <>
                  {" · "}
                  {words.pipeline.latest.toLowerCase()}: <Numbered name={of.latestExecution} known={execution} />
                </>
              )}
            </p>
          )}
        </div>
        {declared && <Actions declared={declared} execution={inside} />}
        {after.length > 0 && (
          <div class="entry after">
            {after.map((gate) => (
              <Gate key={`${gate.condition} ${gate.rule} ${gate.action}`} of={gate} />
            ))}
          </div>
        )}
        {of.latestSucceededExecution && (
          <p class="meta deployed">
            <Shape of="succeeded" /> {words.pipeline.deployed}: <Numbered name={of.latestSucceededExecution} known={of.latestSucceededExecution === inside ? execution : undefined} />
          </p>
        )}
      </div>
    </li>
  );
}

// Number of an execution, if it is known, as a link to it.
function Numbered({ name, known }: { name: string; known: Execution | undefined }) {
  return <Link to={`/${name}`}>{known ? `#${known.number}` : words.pipeline.show}</Link>;
}

function Occupant({ of }: { of: StageOccupant }) {
  return (
    <>
      <Link to={`/${of.execution}`} class="number-link">
        #{String(of.number)}
      </Link>
      <Time at={of.since} />
      {of.stopping && <Status of={ExecutionStatus.STOPPING} />}
      {of.revisionId && <code title={of.revisionSummary.slice(0, 200)}>{shortRevision(of.revisionId)}</code>}
      <Line text={of.principal} limit={60} />
    </>
  );
}

// A gate with who or what it takes, and who waits at it.
function Gate({ of }: { of: StageGate }) {
  const closed = of.execution !== "";
  return (
    <div class={closed ? "gate closed" : "gate"}>
      <GateShape of={of.kind} />
      <span>
        <strong>{titleOf(of)}</strong>
        {of.approvals.map((approval) => (
          <span key={approval.rule} class="meta">
            {closed ? words.approval.requirement(approval.approvedCount, approval.minimumCount) : words.pipeline.needs(approval.minimumCount)}
            {approval.rule && (
              <>
                {" · "}
                <Line text={lastSegment(approval.rule)} limit={60} />
              </>
            )}
          </span>
        ))}
        {closed && (
          <>
            <span>
              <Link to={`/${of.execution}`}>#{String(of.executionNumber)}</Link> {words.pipeline.waits} {words.explain.since.toLowerCase()} <Time at={of.since} face="absolute" />
            </span>
            {of.until && (
              <span>
                {words.explain.until.toLowerCase()} <Time at={of.until} face="absolute" />
              </span>
            )}
            {of.message && of.kind === StageGateKind.RULE && <span class="meta gate-message">{visible(of.message)}</span>}
            {of.ender && (
              <span class="meta">
                {words.explain.endedBy}: <Ender of={of.ender} />
              </span>
            )}
          </>
        )}
      </span>
    </div>
  );
}

function titleOf(gate: StageGate): string {
  if (gate.kind === StageGateKind.APPROVAL) return gate.action ? `${words.action.approval}: ${gate.action}` : words.pipeline.approval;
  const when = gate.condition === "on_success" ? words.conditions[2] : words.conditions[1];
  return `${gate.kind === StageGateKind.WINDOW ? words.pipeline.window : when}: ${gate.rule}`;
}

const gateShapes: Record<StageGateKind, string> = {
  [StageGateKind.UNSPECIFIED]: "M3 2h10v12H3Z",
  // Two people.
  [StageGateKind.APPROVAL]: "M5.5 2a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5ZM1 13c0-3 2-4.8 4.5-4.8S10 10 10 13Zm9.8-8.8a2.1 2.1 0 1 1 0 4.2 2.1 2.1 0 0 1 0-4.2Zm.7 5c2 0 3.5 1.4 3.5 3.8h-3.7c0-1.4-.3-2.6-1.1-3.6Z",
  // A clock.
  [StageGateKind.WINDOW]: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 1.8a5.2 5.2 0 1 1 0 10.4A5.2 5.2 0 0 1 8 2.8ZM7.2 4.5h1.6v3.2l2.2 1.3-.8 1.4-3-1.8Z",
  // A check list.
  [StageGateKind.RULE]: "M2 2h12v12H2Zm1.7 1.7v8.6h8.6V3.7Zm7 1.7L7 10.6 4.8 8.4l1.1-1.1 1.1 1.1 2.7-3.1Z",
};

function GateShape({ of }: { of: StageGateKind }) {
  return (
    <svg class="gate-shape" viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
      <path d={gateShapes[of]} fill="currentColor" fill-rule="evenodd" />
    </svg>
  );
}

function Bars() {
  return (
    <svg class="gate-shape" viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
      <path d="M2 1h2.5v14H2Zm4.8 0h2.5v14H6.8Zm4.7 0H14v14h-2.5Z" fill="currentColor" />
    </svg>
  );
}

// The way into a stage: two posts, with a bar between them if the gate is closed.
function Door({ closed, first }: { closed: boolean; first: boolean }) {
  return (
    <svg class={closed ? "door closed" : "door"} viewBox="0 0 36 28" width="36" height="28" role="img" aria-label={closed ? words.pipeline.doorClosed : words.pipeline.doorOpen}>
      {!first && <path class="way" d="M0 14h11" />}
      <path class="way" d="M25 14h7m-4-4 5 4-5 4" />
      <path class="post" d="M12 3v22M24 3v22" />
      {closed && <path class="bar-across" d="M12 10h12M12 14h12M12 18h12" />}
    </svg>
  );
}

// The actions of a stage with their statuses in an execution, by run order.
function Actions({ declared, execution }: { declared: Stage; execution: string | undefined }) {
  const live = execution ? store.execution(execution).value : undefined;
  const ids = live?.shape.value.find((stage) => stage.stage === declared.name)?.actions ?? [];
  const newest = new Map<string, string>();
  for (const id of ids) {
    const action = live?.action(id)?.peek();
    if (action) newest.set(action.action, id);
  }
  const orders = [...new Set(declared.actions.map((action) => action.runOrder || 1))].sort((a, b) => a - b);
  return (
    <ol class="stage-actions">
      {orders.map((order) => (
        <li key={order}>
          <span class="hidden">{words.pipeline.runOrder(order)}</span>
          <ul>
            {declared.actions
              .filter((action) => (action.runOrder || 1) === order)
              .map((action) => {
                const id = newest.get(action.name);
                const status = id ? live?.action(id)?.value : undefined;
                const waits = status !== undefined && isLive(status.status) && status.approval !== undefined;
                const face = waits ? "waiting" : look(status?.status ?? ExecutionStatus.UNSPECIFIED);
                return (
                  <li key={action.name} class={`stage-action ${face}`}>
                    <Shape of={face} label={waits ? words.waiting : statusWord(status?.status ?? ExecutionStatus.UNSPECIFIED)} />
                    {id && execution ? (
                      <Link to={`/${execution}?action=${encodeURIComponent(id)}`}>
                        <Line text={action.name} limit={100} />
                      </Link>
                    ) : (
                      <Line text={action.name} limit={100} />
                    )}
                    <span class="meta">{action.provider}</span>
                  </li>
                );
              })}
          </ul>
        </li>
      ))}
    </ol>
  );
}
