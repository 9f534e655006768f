import { ExecutionStatus } from "./gen/headrace/v1/execution_pb";
import type { PipelineSummary, StageSummary } from "./gen/headrace/v1/watch_pb";
import type { Look } from "./status";
import { live, look } from "./status";

// What a pipeline of the overview is, for the order and the filter: the first that is true.
export type Standing = "failing" | "waiting" | "running" | "stopped" | "well" | "idle";

const order: readonly Standing[] = ["failing", "waiting", "running", "stopped", "well", "idle"];

export function standing(summary: PipelineSummary): Standing {
  if (summary.stages.some((stage) => stageLook(stage) === "failed") || (summary.latestExecution && look(summary.latestExecution.status) === "failed")) return "failing";
  if (summary.openApprovals > 0 || summary.stages.some((stage) => stage.waitingExecutions > 0 || stage.openApprovals > 0)) return "waiting";
  if (summary.liveExecutions > 0) return "running";
  const latest = summary.latestExecution;
  if (!latest) return "idle";
  return look(latest.status) === "stopped" ? "stopped" : "well";
}

// The execution that says why a pipeline waits: the newest one, if it waits or runs, since its
// reasons lead to those before it; otherwise the one in the stage that waits. undefined if nothing
// waits.
export function waiter(summary: PipelineSummary): string | undefined {
  const stage = summary.stages.find((one) => one.openApprovals > 0 || one.waitingExecutions > 0);
  if (!stage && summary.openApprovals === 0) return undefined;
  const latest = summary.latestExecution;
  if (latest && live(latest.status)) return latest.name;
  return stage?.execution || undefined;
}

// Whether the newest execution waits: it is in no stage in which something works, and something
// waits in the pipeline.
export function latestWaits(summary: PipelineSummary): boolean {
  const latest = summary.latestExecution;
  if (!latest || !live(latest.status)) return false;
  if (!summary.stages.some((stage) => stage.waitingExecutions > 0 || stage.openApprovals > 0)) return false;
  return !summary.stages.some((stage) => stage.execution === latest.name && live(stage.status) && stage.openApprovals === 0);
}

// The look of a stage of the overview. A stage in progress whose approval is open waits.
export function stageLook(stage: StageSummary): Look {
  if (stage.openApprovals > 0 && (stage.status === ExecutionStatus.IN_PROGRESS || stage.status === ExecutionStatus.UNSPECIFIED)) return "waiting";
  return look(stage.status);
}

// What the overview shows of the pipelines.
export interface OverviewFilter {
  // Part of a name, in any case.
  text: string;
  // Only pipelines of this kind; empty for all.
  show: "" | "failing" | "waiting" | "running";
}

// The pipelines that the filter leaves, failing ones first, then by name.
export function arrange(summaries: readonly PipelineSummary[], filter: OverviewFilter): PipelineSummary[] {
  const text = filter.text.trim().toLowerCase();
  return summaries
    .filter((summary) => (!text || shortName(summary).toLowerCase().includes(text)) && shows(summary, filter.show))
    .map((summary) => ({ summary, rank: order.indexOf(standing(summary)) }))
    .sort((a, b) => a.rank - b.rank || shortName(a.summary).localeCompare(shortName(b.summary)))
    .map(({ summary }) => summary);
}

function shows(summary: PipelineSummary, show: OverviewFilter["show"]): boolean {
  switch (show) {
    case "":
      return true;
    case "failing":
      return standing(summary) === "failing";
    case "waiting":
      return summary.openApprovals > 0 || summary.stages.some((stage) => stage.waitingExecutions > 0);
    case "running":
      return summary.liveExecutions > 0;
  }
}

function shortName(summary: PipelineSummary): string {
  return summary.name.slice(summary.name.lastIndexOf("/") + 1);
}
