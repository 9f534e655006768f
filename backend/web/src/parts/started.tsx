import type { ExecutionTrigger } from "../gen/headrace/v1/execution_pb";
import { shortRef } from "../names";
import { words } from "../words";
import { Outside } from "./link";
import { Line } from "./page";

// Who or what started an execution.
export function Started({ by, long = false }: { by: ExecutionTrigger | undefined; long?: boolean }) {
  if (!by) return null;
  const who = by.replayedBy || by.principal;
  return (
    <span class="started">
      <Line text={who || words.triggerTypes[by.type] || by.type} limit={80} />
      {long && (
        <span class="meta">
          {words.triggerTypes[by.type] ?? by.type}
          {by.ref && (
            <>
              {" · "}
              <code>
                <Line text={shortRef(by.ref)} limit={80} />
              </code>
            </>
          )}
          {by.pusher && (
            <>
              {" · "}
              <Line text={words.execution.pushedBy(by.pusher, by.forge)} limit={120} />
            </>
          )}
          {by.pullRequest && (
            <>
              {" · "}
              <Outside address={by.pullRequest.url}>
                <Line text={`#${by.pullRequest.number} ${by.pullRequest.title}`} limit={120} />
              </Outside>
            </>
          )}
        </span>
      )}
    </span>
  );
}
