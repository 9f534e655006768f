import { useComputed } from "@preact/signals";
import { useRef, useState } from "preact/hooks";
import type { PipelineSummary, StageSummary } from "../gen/headrace/v1/watch_pb";
import { ExecutionStatus } from "../gen/headrace/v1/execution_pb";
import { plural } from "../format";
import { Lazy, type Load, type Params } from "../lazy";
import { store, useLive } from "../live";
import { lastSegment, shortRevision } from "../names";
import { arrange, latestWaits, standing, stageLook, waiter, type OverviewFilter } from "../overview";
import { Link } from "../parts/link";
import { LiveLoading } from "../parts/liveloading";
import { Heading, Line } from "../parts/page";
import { Shape, Status } from "../parts/status";
import { Time, Took } from "../parts/time";
import { query, setQuery } from "../router";
import { statusWord } from "../status";
import { words } from "../words";

const why: Load = () => import("./why");

// Above this many rows the rest is shown on demand.
const page = 200;

// All pipelines of an account, a strip for each, failing ones first.
export default function Overview({ params }: { params: Params }) {
  const account = `accounts/${params.account}`;
  useLive({ account, overview: true });
  const [limit, setLimit] = useState(page);
  const filter: OverviewFilter = { text: query.value.get("name") ?? "", show: showOf(query.value.get("show")) };
  const wall = query.value.get("wall") === "1";
  // The order as text: while it stays the same, a patch renders the strip of its pipeline only.
  const order = useComputed(() => {
    const at: OverviewFilter = { text: query.value.get("name") ?? "", show: showOf(query.value.get("show")) };
    return arrange(summaries(), at)
      .map((summary) => summary.name)
      .join("\n");
  }).value;
  const names = store.overview.value;
  const total = names?.length ?? 0;
  const shown = order ? order.split("\n") : [];
  return (
    <>
      <Heading title={words.overview.title}>
        {names && <span class="count">{filter.text || filter.show ? `${shown.length} / ${total}` : total}</span>}
        <Tally />
        <span class="grow" />
        {!wall && <Filter filter={filter} />}
        <button type="button" aria-pressed={wall} onClick={() => setQuery({ wall: wall ? undefined : "1" }, { push: true })}>
          {wall ? words.overview.leaveWall : words.overview.wall}
        </button>
      </Heading>
      {!names ? (
        <LiveLoading />
      ) : total === 0 ? (
        <p class="notice">{words.overview.empty}</p>
      ) : shown.length === 0 ? (
        <p class="notice">{words.overview.noMatch}</p>
      ) : wall ? (
        <ul class="tiles">
          {shown.map((name) => (
            <Tile key={name} name={name} />
          ))}
        </ul>
      ) : (
        <>
          <div class="strips" role="table" aria-label={words.overview.title} aria-rowcount={shown.length + 1}>
            <div class="strip head" role="row">
              <span role="columnheader">{words.overview.columns.pipeline}</span>
              <span role="columnheader">{words.overview.columns.stages}</span>
              <span role="columnheader">{words.overview.columns.latest}</span>
            </div>
            {shown.slice(0, limit).map((name) => (
              <Strip key={name} name={name} />
            ))}
          </div>
          {shown.length > limit && (
            <button type="button" onClick={() => setLimit(limit + page)}>
              {words.more}
            </button>
          )}
        </>
      )}
    </>
  );
}

function showOf(text: string | null): OverviewFilter["show"] {
  return text === "failing" || text === "waiting" || text === "running" ? text : "";
}

// All summaries that are known, with a subscription to each.
function summaries(): PipelineSummary[] {
  return (store.overview.value ?? []).flatMap((name) => store.summary(name)?.value ?? []);
}

// How many pipelines fail, wait and run.
function Tally() {
  const of = useComputed(() => summaries().map(standing).join(" ")).value.split(" ");
  const count = (what: string) => of.filter((one) => one === what).length;
  const parts = [
    ["failing", "failed", words.overview.failing],
    ["waiting", "waiting", words.overview.waiting],
    ["running", "running", words.overview.running],
  ] as const;
  return (
    <span class="tally">
      {parts.map(([what, face, word]) =>
        count(what) > 0 ? (
          <span key={what} class={`status ${face}`}>
            <Shape of={face} />
            {count(what)} {word.toLowerCase()}
          </span>
        ) : null,
      )}
    </span>
  );
}

function Filter({ filter }: { filter: OverviewFilter }) {
  const choices: [OverviewFilter["show"], string][] = [
    ["", words.overview.all],
    ["failing", words.overview.failing],
    ["waiting", words.overview.waiting],
    ["running", words.overview.running],
  ];
  return (
    <form class="filter" role="search" onSubmit={(event) => event.preventDefault()}>
      <input
        type="search"
        aria-label={words.overview.filter}
        placeholder={words.overview.filter}
        value={filter.text}
        onInput={(event) => setQuery({ name: event.currentTarget.value })}
      />
      <fieldset class="choices">
        <legend class="hidden">{words.overview.show}</legend>
        {choices.map(([value, label]) => (
          <label key={value}>
            <input type="radio" name="show" checked={filter.show === value} onChange={() => setQuery({ show: value })} />
            <span>{label}</span>
          </label>
        ))}
      </fieldset>
    </form>
  );
}

function Strip({ name: full }: { name: string }) {
  const [open, setOpen] = useState(false);
  const of = store.summary(full)?.value;
  const seen = useRef(of);
  const changes = useRef(0);
  if (seen.current !== of) {
    seen.current = of;
    changes.current++;
  }
  if (!of) return null;
  const name = lastSegment(full);
  const waits = waiter(of);
  return (
    <>
      <div class={`strip ${standing(of)}`} role="row" data-row>
        <div role="cell" class="strip-name">
          <Link to={`/${of.name}`}>
            <Line text={name} limit={120} />
          </Link>
          <span class="meta">
            {of.pipelineVersion > 0n ? `v${of.pipelineVersion}` : words.overview.unpublished}
            {of.liveExecutions > 1 && ` · ${of.liveExecutions} ${words.overview.running.toLowerCase()}`}
          </span>
        </div>
        <div role="cell" class="segments">
          <ol>
            {of.stages.map((stage) => (
              <Segment key={stage.stage} of={stage} pipeline={of.name} />
            ))}
          </ol>
        </div>
        <div role="cell" class="strip-latest">
          <Latest of={of} />
          {waits && (
            <button type="button" class="plain why-button" aria-expanded={open} onClick={() => setOpen(!open)}>
              {words.overview.why}
              <span class="hidden"> {name}</span>
            </button>
          )}
        </div>
      </div>
      {waits && open && (
        <div class="strip-why" role="row">
          <div role="cell" aria-colspan={3}>
            <Lazy load={why} params={{ execution: waits, revision: String(changes.current) }} />
          </div>
        </div>
      )}
    </>
  );
}

function Segment({ of, pipeline }: { of: StageSummary; pipeline: string }) {
  const face = stageLook(of);
  const word = face === "waiting" ? words.waiting : statusWord(of.status);
  const content = (
    <>
      <Shape of={face} />
      <Line text={of.stage} limit={60} />
      {of.executionNumber > 0n && <span class="number">#{String(of.executionNumber)}</span>}
      <span class="hidden">{word}</span>
    </>
  );
  const title = `${of.stage}: ${word}`;
  return (
    <li class={`segment ${face}`}>
      {of.disabledTransition && (
        <span class="barred" role="img" aria-label={`${words.overview.disabled}: ${of.disabledTransition.disabledReason}`} title={`${words.overview.disabled}: ${of.disabledTransition.disabledReason} (${of.disabledTransition.principal})`}>
          <svg viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">
            <path d="M3 1h2.5v14H3Zm7.5 0H13v14h-2.5Z" fill="currentColor" />
          </svg>
        </span>
      )}
      {of.waitingExecutions > 0 && (
        <span class="queue" title={words.overview.queue(of.waitingExecutions)}>
          {words.overview.queue(of.waitingExecutions)}
        </span>
      )}
      {of.execution ? (
        <Link to={`/${of.execution}`} title={title}>
          {content}
        </Link>
      ) : (
        <Link to={`/${pipeline}`} title={title}>
          {content}
        </Link>
      )}
    </li>
  );
}

function Latest({ of }: { of: PipelineSummary }) {
  const latest = of.latestExecution;
  if (!latest) return <span class="meta">{words.overview.never}</span>;
  return (
    <>
      <span class="latest-line">
        <Link to={`/${latest.name}`}>#{String(latest.number)}</Link>
        <Status of={latest.status} waiting={latestWaits(of)} />
        <span class="meta">
          {latest.endTime ? <Time at={latest.endTime} /> : <Took from={latest.startTime} to={undefined} />}
        </span>
      </span>
      <span class="meta latest-why">
        {of.openApprovals > 0 && <span class="person">{words.overview.approvals(of.openApprovals)}</span>}
        {latest.revisionId && <code>{shortRevision(latest.revisionId)}</code>}
        <Line text={latest.revisionSummary || latest.principal} limit={120} />
      </span>
    </>
  );
}

// A pipeline of the wall: large enough to be read from afar.
function Tile({ name }: { name: string }) {
  const of = store.summary(name)?.value;
  if (!of) return null;
  const latest = of.latestExecution;
  const state = standing(of);
  const word = latest ? (state === "waiting" ? words.waiting : statusWord(latest.status)) : words.overview.never;
  const face = state === "waiting" ? "waiting" : state === "failing" ? "failed" : state === "running" ? "running" : state === "idle" ? "none" : latest?.status === ExecutionStatus.SUCCEEDED ? "succeeded" : "stopped";
  return (
    <li class={`tile ${face}`}>
      <Link to={`/${of.name}`}>
        <span class="tile-name">
          <Shape of={face} />
          <Line text={lastSegment(of.name)} limit={60} />
        </span>
        <span class="tile-word">
          {state === "failing" ? words.status[ExecutionStatus.FAILED] : word} {latest && `#${latest.number}`}
        </span>
        <span class="tile-stages" aria-label={plural(of.stages.length, "stage", "stages")} role="img">
          {of.stages.map((stage) => (
            <span key={stage.stage} class={`tile-stage ${stageLook(stage)}`} />
          ))}
        </span>
      </Link>
    </li>
  );
}

