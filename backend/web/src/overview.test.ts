import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { ExecutionStatus } from "./gen/headrace/v1/execution_pb";
import { PipelineSummarySchema } from "./gen/headrace/v1/watch_pb";
import { arrange, latestWaits, stageLook, standing, waiter } from "./overview";

const summary = (name: string, of: { stage?: ExecutionStatus; latest?: ExecutionStatus; live?: number; approvals?: number }) =>
  create(PipelineSummarySchema, {
    name: `accounts/dev/pipelines/${name}`,
    stages: [{ stage: "Build", status: of.stage ?? ExecutionStatus.UNSPECIFIED, openApprovals: of.approvals ?? 0 }],
    ...(of.latest === undefined ? {} : { latestExecution: { status: of.latest } }),
    liveExecutions: of.live ?? 0,
    openApprovals: of.approvals ?? 0,
  });

const failing = summary("z-failing", { stage: ExecutionStatus.FAILED, latest: ExecutionStatus.IN_PROGRESS, live: 1 });
const waiting = summary("y-waiting", { stage: ExecutionStatus.IN_PROGRESS, latest: ExecutionStatus.IN_PROGRESS, live: 1, approvals: 1 });
const running = summary("x-running", { stage: ExecutionStatus.IN_PROGRESS, latest: ExecutionStatus.IN_PROGRESS, live: 1 });
const well = summary("b-well", { stage: ExecutionStatus.SUCCEEDED, latest: ExecutionStatus.SUCCEEDED });
const idle = summary("a-idle", {});

test("a pipeline stands as its worst part", () => {
  assert.deepEqual([failing, waiting, running, well, idle].map(standing), ["failing", "waiting", "running", "well", "idle"]);
});

test("failing pipelines are first, then those that wait and run", () => {
  const names = arrange([idle, well, running, waiting, failing], { text: "", show: "" }).map((one) => one.name.split("/")[3]);
  assert.deepEqual(names, ["z-failing", "y-waiting", "x-running", "b-well", "a-idle"]);
});

test("the filter takes names in any case, and kinds", () => {
  assert.deepEqual(arrange([idle, well, failing], { text: "FAIL", show: "" }), [failing]);
  assert.deepEqual(arrange([idle, well, failing, running], { text: "", show: "running" }), [failing, running]);
});

test("the newest execution says why a pipeline waits", () => {
  assert.equal(waiter(well), undefined);
  assert.equal(waiter(running), undefined);
  const queue = create(PipelineSummarySchema, {
    stages: [{ stage: "Build", execution: "e/1", waitingExecutions: 1 }],
    latestExecution: { name: "e/3", status: ExecutionStatus.IN_PROGRESS },
  });
  assert.equal(waiter(queue), "e/3");
  queue.latestExecution!.status = ExecutionStatus.STOPPED;
  assert.equal(waiter(queue), "e/1");
});

test("the newest execution waits if it is in no stage that works", () => {
  const stages = [
    { stage: "Build", execution: "e/2", status: ExecutionStatus.IN_PROGRESS, waitingExecutions: 0 },
    { stage: "Deploy", execution: "e/1", status: ExecutionStatus.IN_PROGRESS, waitingExecutions: 1 },
  ];
  const latest = (name: string) => create(PipelineSummarySchema, { stages, latestExecution: { name, status: ExecutionStatus.IN_PROGRESS } });
  assert.ok(latestWaits(latest("e/3")));
  assert.ok(!latestWaits(latest("e/2")));
  assert.ok(!latestWaits(running));
  assert.ok(!latestWaits(well));
});

test("a stage whose approval is open waits", () => {
  assert.equal(stageLook(waiting.stages[0]!), "waiting");
  assert.equal(stageLook(running.stages[0]!), "running");
});
