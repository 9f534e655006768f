import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ExecutionStatus, StageExecutionSchema } from "../gen/headrace/v1/execution_pb";
import { stageWaits } from "./waits";

const { IN_PROGRESS, SUCCEEDED } = ExecutionStatus;
const at = timestampFromMs(1000);
const stage = (of: MessageInitShape<typeof StageExecutionSchema>) => create(StageExecutionSchema, { stage: "Production", status: IN_PROGRESS, startTime: at, ...of });

test("a stage waits in front of its first action", () => {
  assert.ok(stageWaits(create(StageExecutionSchema, { status: IN_PROGRESS }), 0), "for the stage");
  assert.ok(stageWaits(stage({ entryApproval: { requirements: [{ minimumCount: 2, approvedCount: 1 }] } }), 0), "for an approval");
  assert.ok(stageWaits(stage({ conditions: [{ status: IN_PROGRESS, rules: [{ status: SUCCEEDED }, { status: IN_PROGRESS, openTime: at }] }] }), 0), "for a window");
});

test("a stage that works does not wait", () => {
  assert.ok(!stageWaits(stage({}), 1));
  assert.ok(!stageWaits(stage({ status: SUCCEEDED }), 0));
  assert.ok(!stageWaits(stage({ entryApproval: { requirements: [{ minimumCount: 2, approvedCount: 2 }] } }), 0));
  assert.ok(!stageWaits(stage({ conditions: [{ status: IN_PROGRESS, rules: [{ status: IN_PROGRESS }, { status: IN_PROGRESS, openTime: at }] }] }), 0));
});
