import { ExecutionStatus } from "./gen/headrace/v1/execution_pb";
import { words } from "./words";

// How a status looks: a color, a shape and a word, so that none of them is needed alone.
export type Look = "running" | "succeeded" | "failed" | "waiting" | "stopping" | "stopped" | "superseded" | "skipped" | "overridden" | "none";

// The look of a status of an execution, a stage, an action, a condition or a rule.
export function look(status: ExecutionStatus): Look {
  switch (status) {
    case ExecutionStatus.IN_PROGRESS:
      return "running";
    case ExecutionStatus.SUCCEEDED:
      return "succeeded";
    case ExecutionStatus.FAILED:
    case ExecutionStatus.ERRORED:
      return "failed";
    case ExecutionStatus.STOPPING:
      return "stopping";
    case ExecutionStatus.STOPPED:
    case ExecutionStatus.CANCELLED:
    case ExecutionStatus.ABANDONED:
      return "stopped";
    case ExecutionStatus.SUPERSEDED:
      return "superseded";
    case ExecutionStatus.SKIPPED:
      return "skipped";
    case ExecutionStatus.OVERRIDDEN:
      return "overridden";
    default:
      return "none";
  }
}

// The status as a word.
export function statusWord(status: ExecutionStatus): string {
  return words.status[status] ?? words.status[ExecutionStatus.UNSPECIFIED];
}

// Whether something with the status can still change by itself.
export function live(status: ExecutionStatus): boolean {
  return status === ExecutionStatus.IN_PROGRESS || status === ExecutionStatus.STOPPING;
}
