import type { Execution } from "../gen/headrace/v1/execution_pb";
import { lastSegment, pipelineOf, shortRevision } from "../names";
import { words } from "../words";
import { Link } from "./link";
import { Line } from "./page";
import { Started } from "./started";
import { Status } from "./status";
import { Time, Took } from "./time";

// Executions as a table, newest first.
export function ExecutionTable({ of, label, pipelines = false }: { of: readonly Execution[]; label: string; pipelines?: boolean }) {
  if (of.length === 0) return <p class="notice">{words.history.empty}</p>;
  return (
    <div class="table-box">
      <table class="list" aria-label={label}>
        <thead>
          <tr>
            <th scope="col">{words.history.number}</th>
            <th scope="col">{words.history.status}</th>
            {pipelines && <th scope="col">{words.history.pipeline}</th>}
            <th scope="col">{words.history.revision}</th>
            <th scope="col">{words.history.trigger}</th>
            <th scope="col">{words.history.started}</th>
            <th scope="col" class="right">
              {words.history.duration}
            </th>
          </tr>
        </thead>
        <tbody>
          {of.map((execution) => {
            const revision = execution.sourceRevisions[0];
            const commit = revision?.revisionId || execution.trigger?.toCommit || "";
            return (
              <tr key={execution.name} data-row>
                <td>
                  <Link to={`/${execution.name}`} class="number-link">
                    #{String(execution.number)}
                  </Link>
                </td>
                <td>
                  <Status of={execution.status} />
                </td>
                {pipelines && (
                  <td>
                    <Link to={`/${pipelineOf(execution.name)}`}>
                      <Line text={lastSegment(pipelineOf(execution.name))} limit={80} />
                    </Link>
                  </td>
                )}
                <td class="wide">
                  <span class="revision">
                    {commit && <code>{shortRevision(commit)}</code>}
                    <Line text={revision?.revisionSummary ?? ""} limit={140} />
                  </span>
                </td>
                <td>
                  <Started by={execution.trigger} />
                </td>
                <td class="nowrap">
                  <Time at={execution.startTime} face="compact" /> <span class="meta"><Time at={execution.startTime} /></span>
                </td>
                <td class="right nowrap">
                  <Took from={execution.startTime} to={execution.endTime} />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
