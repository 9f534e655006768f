import { useEffect, useRef } from "preact/hooks";
import { artifactPath } from "../artifact/list";
import type { ActionExecution, Artifact, Execution } from "../gen/headrace/v1/execution_pb";
import { bytes } from "../format";
import { visible } from "../names";
import { Approval } from "../parts/approval";
import { Link, Outside } from "../parts/link";
import { Facts, Line } from "../parts/page";
import { Status } from "../parts/status";
import { Time, Took } from "../parts/time";
import { live } from "../status";
import { words } from "../words";

// Everything about one action execution, beside the page. log is the page of its log.
export function Detail({ of, execution, stage, log, earlier, select, close }: { of: ActionExecution; execution: Execution; stage: string; log: string; earlier: readonly ActionExecution[]; select: (id: string) => void; close: () => void }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), [of.id]);
  return (
    <aside class="detail" aria-label={`${words.action.title} ${of.action}`}>
      <div class="detail-head">
        <h2 ref={heading} tabIndex={-1}>
          <Line text={of.action} limit={100} />
        </h2>
        <button type="button" onClick={close}>
          {words.action.close}
        </button>
      </div>
      <p class="detail-status">
        <Status of={of.status} waiting={live(of.status) && of.approval !== undefined} />
        {of.startTime && <Took from={of.startTime} to={of.endTime} />}
        <span class="meta">
          {stage} · {of.category}/{of.provider}
        </span>
      </p>
      {of.hasLog && (
        <p>
          <Link to={log} class="button">
            {words.action.log}
          </Link>
        </p>
      )}
      {of.retried && <p class="notice">{words.action.retried}</p>}
      {of.error && (
        <div class="notice bad">
          <strong>{of.error.code}</strong>
          <p class="long">{visible(of.error.message)}</p>
        </div>
      )}
      {of.summary && <p class="long">{visible(of.summary)}</p>}
      <Facts
        of={[
          [words.execution.started, of.startTime && <Time at={of.startTime} face="both" />],
          [words.execution.ended, of.endTime && <Time at={of.endTime} face="both" />],
          [words.action.attempt, of.attempt > 1 && String(of.attempt)],
          [words.action.runOrder, String(of.runOrder)],
          [words.action.external, (of.externalExecutionId || of.externalExecutionUrl) && <Outside address={of.externalExecutionUrl}>{visible(of.externalExecutionId || of.externalExecutionUrl)}</Outside>],
        ]}
      />
      {of.approval && (
        <section>
          <h3>{words.action.approval}</h3>
          <Approval of={of.approval} />
        </section>
      )}
      <Pairs title={words.action.outputs} of={of.outputVariables} />
      <Artifacts title={words.action.artifacts} of={of.outputArtifacts} execution={execution} />
      <Artifacts title={words.action.inputs} of={of.inputArtifacts} execution={execution} />
      <Pairs title={words.action.configuration} of={of.resolvedConfiguration} />
      {earlier.length > 0 && (
        <section>
          <h3>{words.action.earlier}</h3>
          <ul>
            {earlier.map((one) => (
              <li key={one.id}>
                <button type="button" class="plain" onClick={() => select(one.id)}>
                  <Status of={one.status} /> <Time at={one.startTime} />
                </button>
              </li>
            ))}
          </ul>
        </section>
      )}
      <p class="meta id">
        {words.action.id} <code>{of.id}</code>
      </p>
    </aside>
  );
}

// Names and values. Long values are cut, since a value may be a whole document.
export function Pairs({ title, of }: { title: string; of: { [key: string]: string } }) {
  const entries = Object.entries(of).sort(([a], [b]) => a.localeCompare(b));
  if (entries.length === 0) return null;
  return (
    <section>
      <h3>{title}</h3>
      <dl class="pairs">
        {entries.map(([key, value]) => (
          <div key={key}>
            <dt>
              <Line text={key} limit={120} />
            </dt>
            <dd>
              <code>{cut(value)}</code>
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function cut(value: string): string {
  return visible(value.length > 2000 ? value.slice(0, 2000) + "…" : value);
}

function Artifacts({ title, of, execution }: { title: string; of: readonly Artifact[]; execution: Execution }) {
  if (of.length === 0) return null;
  return (
    <section>
      <h3>{title}</h3>
      <ul class="artifacts">
        {of.map((artifact) => (
          <li key={artifact.name}>
            {execution.outputsRemoveTime ? (
              <Line text={artifact.name} limit={120} />
            ) : (
              <Link to={artifactPath(execution.name, artifact)}>
                <Line text={artifact.name} limit={120} />
              </Link>
            )}{" "}
            <span class="meta">{bytes(Number(artifact.sizeBytes))}</span> <code class="meta" title={artifact.digest}>{artifact.digest.slice(0, 12)}</code>
          </li>
        ))}
      </ul>
    </section>
  );
}
