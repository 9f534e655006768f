import { TriggerOutcome, type TriggerDecision } from "../gen/headrace/v1/trigger_pb";
import { lastSegment, shortRef, shortRevision, visible } from "../names";
import type { Look } from "../status";
import { words } from "../words";
import { Link } from "./link";
import { Line } from "./page";
import { Shape } from "./status";
import { Time } from "./time";

const looks: Record<TriggerOutcome, Look> = {
  [TriggerOutcome.UNSPECIFIED]: "none",
  [TriggerOutcome.STARTED]: "succeeded",
  [TriggerOutcome.NOT_STARTED]: "skipped",
  [TriggerOutcome.DUPLICATE]: "superseded",
  [TriggerOutcome.PENDING]: "waiting",
  [TriggerOutcome.FAILED]: "failed",
};

// What a trigger decided, with its shape and word.
export function Outcome({ of }: { of: TriggerOutcome }) {
  const face = looks[of] ?? "none";
  return (
    <span class={`status ${face}`}>
      <Shape of={face} />
      {words.decisions.outcomes[of]}
    </span>
  );
}

// What changed: a ref with its commits, a pull request, or an event.
export function Change({ of }: { of: TriggerDecision }) {
  return (
    <span class="revision">
      {of.ref && (
        <code>
          <Line text={shortRef(of.ref)} limit={80} />
        </code>
      )}
      {of.toCommit && <code class="meta">{shortRevision(of.toCommit)}</code>}
      {of.pullRequest > 0n && <span>#{String(of.pullRequest)}</span>}
      {of.pusher && (
        <span class="meta">
          <Line text={of.pusher} limit={60} />
        </span>
      )}
    </span>
  );
}

// Decisions as a table, newest first; each with the filters that were tried.
export function DecisionTable({ of, pipelines = true }: { of: readonly TriggerDecision[]; pipelines?: boolean }) {
  if (of.length === 0) return <p class="notice">{words.decisions.empty}</p>;
  return (
    <div class="table-box">
      <table class="list" aria-label={words.decisions.title}>
        <thead>
          <tr>
            <th scope="col">{words.decisions.time}</th>
            <th scope="col">{words.decisions.outcome}</th>
            <th scope="col">{words.decisions.trigger}</th>
            {pipelines && <th scope="col">{words.triggers.pipeline}</th>}
            <th scope="col">{words.decisions.change}</th>
            <th scope="col">{words.decisions.reason}</th>
            <th scope="col">{words.decisions.execution}</th>
          </tr>
        </thead>
        <tbody>
          {of.map((decision) => (
            <tr key={decision.id} data-row>
              <td class="nowrap">
                <Time at={decision.decideTime} face="compact" /> <span class="meta"><Time at={decision.decideTime} /></span>
              </td>
              <td>
                <Outcome of={decision.outcome} />
              </td>
              <td>
                <Link to={`/${decision.trigger}`}>
                  <Line text={lastSegment(decision.trigger)} limit={60} />
                </Link>
              </td>
              {pipelines && (
                <td>
                  <Line text={decision.pipeline} limit={60} />
                </td>
              )}
              <td>
                <Change of={decision} />
              </td>
              <td class="wide">
                <Why of={decision} />
              </td>
              <td class="nowrap">
                {decision.execution && <Link to={`/${decision.execution}`}>{words.decisions.open}</Link>} {decision.delivery && <Link to={`/${decision.delivery}`}>{words.decisions.delivery}</Link>}
                {!decision.delivery && <span class="meta">{decision.foundBy.toLowerCase()}</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Why({ of }: { of: TriggerDecision }) {
  const text = (
    <>
      <code class="meta">{of.reason}</code> {visible(of.message)}
    </>
  );
  if (of.filters.length === 0) return <span class="why-text">{text}</span>;
  return (
    <details class="why-text">
      <summary>{text}</summary>
      <ul>
        {of.filters.map((filter) => (
          <li key={filter.entry}>
            <Shape of={filter.matched ? "succeeded" : "skipped"} label={filter.matched ? words.decisions.matched : words.decisions.notMatched} /> <code>{filter.entry}</code> {visible(filter.message)}
          </li>
        ))}
      </ul>
    </details>
  );
}
