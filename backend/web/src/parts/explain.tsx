import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { client } from "../api";
import { useAsk, type Asked } from "../ask";
import { Role } from "../gen/headrace/v1/account_pb";
import { ExecutionService, WaitKind, type ExplainExecutionResponse, type NextStepKind, type WaitReason } from "../gen/headrace/v1/execution_pb";
import type { WaitEnder } from "../gen/headrace/v1/pipeline_pb";
import { visible } from "../names";
import { Approval } from "./approval";
import { Link } from "./link";
import { Facts, Line } from "./page";
import { Shape } from "./status";
import { Time } from "./time";
import type { Look } from "../status";
import { words } from "../words";

// Why an execution is where it is. It is asked again when the revision changes, at most once a
// second.
export function useExplain(name: string, revision: number | undefined): Asked<ExplainExecutionResponse> {
  const calm = useCalm(revision, 1000);
  return useAsk((signal) => client(ExecutionService).explainExecution({ name }, { signal }), name, calm);
}

// The newest value, but no newer one sooner than the time allows.
function useCalm<T>(value: T, ms: number): T {
  const [calm, setCalm] = useState({ value, at: 0 });
  useEffect(() => {
    if (calm.value === value) return;
    const timer = setTimeout(() => setCalm({ value, at: Date.now() }), Math.max(0, calm.at + ms - Date.now()));
    return () => clearTimeout(timer);
  }, [value, calm, ms]);
  return calm.value;
}

// What the execution waits for, and what can be done about it.
// What the page says already, the status and why it ended, is not repeated.
export function Explain({ of }: { of: ExplainExecutionResponse }) {
  return (
    <div class="explain">
      {of.reasons.length > 0 && <Reasons of={of.reasons} />}
      {of.notes.map((note) => (
        <p key={note} class="note">
          {visible(note)}
        </p>
      ))}
      {of.nextSteps.length > 0 && (
        <p class="steps">
          {of.reasons.length > 0 && <span class="meta">{words.explain.steps}: </span>}
          {list([...new Set(of.nextSteps.map((step) => step.kind))].map((kind) => words.steps[kind]).filter(Boolean))}
        </p>
      )}
      {of.refusals.length > 0 && (
        <details>
          <summary>{words.explain.refusals}</summary>
          <ul class="refusals">
            {of.refusals.map((refusal, i) => (
              <li key={i}>
                {words.steps[refusal.kind]}: {visible(refusal.message)}
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}

// The server writes reasons in lower case, as parts of a sentence.
function sentence(text: string): string {
  const shown = visible(text);
  return shown.charAt(0).toUpperCase() + shown.slice(1);
}

function list(items: readonly string[]): string {
  return items.join(", ");
}

// Each reason with its kind, since when, until when, and who can end it.
export function Reasons({ of }: { of: readonly WaitReason[] }) {
  return (
    <ul class="reasons">
      {of.map((reason, i) => (
        <li key={i} class={`reason ${lookOf(reason.kind)}`}>
          <p class="reason-head">
            <Shape of={lookOf(reason.kind)} />
            <strong>{words.waits[reason.kind]}</strong>
            {(reason.stage || reason.action) && <Line text={[reason.stage, reason.action].filter(Boolean).join(" / ")} limit={120} />}
            {reason.queuePosition > 0 && <span class="meta">{words.explain.place(reason.queuePosition)}</span>}
          </p>
          <p class="reason-text">{sentence(reason.message)}</p>
          <Facts
            of={[
              [words.explain.since, reason.since && <Time at={reason.since} face="both" />],
              [words.explain.until, reason.until ? <Time at={reason.until} face="both" /> : !reason.ender?.automatic && words.explain.open],
              [words.explain.endedBy, <Ender key="ender" of={reason.ender} steps={reason.steps} />],
            ]}
          />
          {reason.approval && <Approval of={reason.approval} compact />}
          {reason.causes.length > 0 && (
            <div class="causes">
              <p class="meta">{words.explain.because}</p>
              <Reasons of={reason.causes} />
            </div>
          )}
        </li>
      ))}
    </ul>
  );
}

// Who or what can end a wait.
export function Ender({ of, steps = [] }: { of: WaitEnder | undefined; steps?: readonly NextStepKind[] }) {
  if (!of) return null;
  const people: ComponentChildren[] = [];
  for (const user of of.users) people.push(<Line key={`u ${user}`} text={user} limit={80} />);
  for (const group of of.groups) people.push(<Line key={`g ${group}`} text={words.approval.group(group)} limit={80} />);
  const roles = of.roles.map((role) => words.roles[role] ?? Role[role] ?? "").filter(Boolean);
  if (people.length === 0 && roles.length > 0) people.push(<span key="roles">{words.explain.anyone(roles)}</span>);
  const actions = steps.map((step) => words.steps[step]).filter(Boolean);
  return (
    <span class="ender">
      {of.execution ? (
        <span>
          {words.explain.itself} {words.explain.when} <Link to={`/${of.execution}`}>{words.explain.execution}</Link> {words.explain.movesOn}
        </span>
      ) : (
        of.automatic && <span>{words.explain.itself}</span>
      )}
      {people.length > 0 && <span>{of.automatic || of.execution ? words.explain.orBy : words.explain.by}</span>}
      {people}
      {actions.length > 0 && people.length > 0 && <span class="meta">({list(actions).toLowerCase()})</span>}
      {of.excludedUsers.length > 0 && (
        <span class="meta" title={words.approval.excludedHelp}>
          {words.approval.excluded}: <Line text={of.excludedUsers.join(", ")} />
        </span>
      )}
    </span>
  );
}

function lookOf(kind: WaitKind): Look {
  switch (kind) {
    case WaitKind.ACTION_RUNNING:
    case WaitKind.RULE_RUNNING:
      return "running";
    case WaitKind.STOPPING:
    case WaitKind.CANCELLING:
      return "stopping";
    default:
      return "waiting";
  }
}
