import { useEffect, useRef, useState } from "preact/hooks";
import { cancelled, client, explainError } from "../api";
import { ConditionKind, EventSubject, ExecutionService, type Event } from "../gen/headrace/v1/execution_pb";
import { clock, millis } from "../format";
import type { LiveExecution } from "../live";
import { oneLine } from "../names";
import { Line } from "../parts/page";
import { Shape } from "../parts/status";
import { Virtual } from "../parts/virtual";
import { zone } from "../preferences";
import type { Look } from "../status";
import { words } from "../words";

// How long the stream may be silent before what has arrived is taken as all there is.
const silence = 300;

// The events of an execution in their order. They are read again from the last one after each
// live update, so that no second stream stays open.
export function Events({ of, select }: { of: LiveExecution; select: (id: string) => void }) {
  const name = of.execution.peek().name;
  const [events, setEvents] = useState<readonly Event[]>();
  const [failure, setFailure] = useState<string>();
  const known = useRef<Event[]>([]);
  const revision = of.revision.value;
  useEffect(() => {
    const abort = new AbortController();
    read(name, known.current.at(-1)?.position ?? 0n, abort.signal).then(
      (more) => {
        if (abort.signal.aborted) return;
        known.current = [...known.current, ...more];
        setEvents(known.current);
        setFailure(undefined);
      },
      (error: unknown) => {
        if (!abort.signal.aborted) setFailure(explainError(error));
      },
    );
    return () => abort.abort();
  }, [name, revision]);
  if (failure)
    return (
      <p class="notice bad" role="alert">
        {failure}
      </p>
    );
  if (!events) return <p class="loading">{words.loading}</p>;
  if (events.length === 0) return <p class="notice">{words.execution.eventsEmpty}</p>;
  return (
    <div class="events" role="table" aria-label={words.execution.events} aria-rowcount={events.length}>
      <Virtual count={events.length} height={28}>
        {(i) => {
          const event = events[i];
          return event && <EventRow key={String(event.position)} of={event} place={i + 1} select={select} />;
        }}
      </Virtual>
    </div>
  );
}

async function read(name: string, after: bigint, signal: AbortSignal): Promise<Event[]> {
  const found: Event[] = [];
  const quiet = new AbortController();
  const stop = () => quiet.abort();
  signal.addEventListener("abort", stop);
  // The first answer may take as long as the network does.
  let timer = setTimeout(stop, 10_000);
  const first = setTimeout(stop, silence * 5);
  try {
    for await (const answer of client(ExecutionService).watchExecution({ name, afterPosition: after }, { signal: quiet.signal })) {
      if (answer.event) found.push(answer.event);
      clearTimeout(first);
      clearTimeout(timer);
      timer = setTimeout(stop, silence);
    }
  } catch (error) {
    if (signal.aborted || !cancelled(error)) throw error;
  } finally {
    clearTimeout(first);
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
  return found;
}

const looks: Record<string, Look> = {
  STARTED: "running",
  RESUMED: "running",
  SUCCEEDED: "succeeded",
  APPROVED: "succeeded",
  FAILED: "failed",
  ERRORED: "failed",
  REJECTED: "failed",
  LOST: "failed",
  STOPPING: "stopping",
  STOPPED: "stopped",
  CANCELED: "stopped",
  ABANDONED: "stopped",
  SUPERSEDED: "superseded",
  SKIPPED: "skipped",
  OVERRIDDEN: "overridden",
};

function EventRow({ of, place, select }: { of: Event; place: number; select: (id: string) => void }) {
  const at = millis(of.eventTime);
  const where = [of.stage, of.action, of.condition === ConditionKind.UNSPECIFIED ? "" : words.conditions[of.condition]].filter(Boolean).join(" / ");
  const face = looks[of.state] ?? "none";
  return (
    <div role="row" aria-rowindex={place} class="event-row" data-row={of.actionExecutionId ? true : undefined}>
      <span role="cell" class="meta mono">
        {at !== undefined && (
          <time dateTime={new Date(at).toISOString()} title={clock(at, zone.value)}>
            {clock(at, zone.value).replace(/ [^ ]+$/, "")}
          </time>
        )}
      </span>
      <span role="cell" class={`status ${face}`}>
        <Shape of={face} />
        {of.state}
      </span>
      <span role="cell" class="meta">
        {words.subjects[of.subject]}
      </span>
      <span role="cell" class="event-where">
        {of.actionExecutionId && of.subject === EventSubject.ACTION_EXECUTION ? (
          <button type="button" class="plain" onClick={() => select(of.actionExecutionId)}>
            <Line text={where} limit={160} />
          </button>
        ) : (
          <Line text={where} limit={160} />
        )}
      </span>
      <span role="cell" class="event-text">
        <Line text={[of.principal, oneLine(of.message || of.executionResult?.externalExecutionSummary || "", 300)].filter(Boolean).join(": ")} />
      </span>
    </div>
  );
}
