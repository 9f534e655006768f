import type { ConditionExecution, RuleExecution, StageExecution } from "../gen/headrace/v1/execution_pb";
import { live } from "../status";

// Whether a rule waits for its deployment window to open.
export function ruleWaits(rule: RuleExecution): boolean {
  return live(rule.status) && rule.openTime !== undefined;
}

// Whether nothing of a condition works: it waits for windows only.
export function conditionWaits(condition: ConditionExecution): boolean {
  const open = condition.rules.filter((rule) => live(rule.status));
  return live(condition.status) && open.length > 0 && open.every(ruleWaits);
}

// Whether a stage waits in front of its first action: for the stage, for the approval of its entry
// or for a window. actions is how many actions have started.
export function stageWaits(stage: StageExecution, actions: number): boolean {
  if (!live(stage.status)) return false;
  if (stage.startTime === undefined) return true;
  if (stage.conditions.some((condition) => live(condition.status))) return stage.conditions.some(conditionWaits);
  const approval = stage.entryApproval;
  return actions === 0 && approval !== undefined && !approval.skipped && approval.requirements.some((requirement) => requirement.approvedCount < requirement.minimumCount);
}
