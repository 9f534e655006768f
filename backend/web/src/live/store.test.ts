import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { effect } from "@preact/signals";
import { ExecutionSchema, ExecutionStatus } from "../gen/headrace/v1/execution_pb";
import { WatchAccountResponseSchema } from "../gen/headrace/v1/watch_pb";
import { Store } from "./store";

const { IN_PROGRESS, SUCCEEDED } = ExecutionStatus;
const name = "accounts/dev/pipelines/web/executions/1";

const message = (of: MessageInitShape<typeof WatchAccountResponseSchema>) => create(WatchAccountResponseSchema, of);
const execution = (actions: [string, ExecutionStatus][], stage = "Build") =>
  create(ExecutionSchema, { name, stages: [{ stage, actions: actions.map(([id, status]) => ({ id, action: id, status })) }] });

test("a patch of one action renders one cell", () => {
  const store = new Store();
  store.apply(message({ snapshot: true, executions: [execution([["a", IN_PROGRESS], ["b", IN_PROGRESS]])] }), false);
  const live = store.execution(name).value;
  assert.ok(live);
  const rendered = { a: 0, b: 0, shape: 0 };
  effect(() => void (live.action("a")?.value, rendered.a++));
  effect(() => void (live.action("b")?.value, rendered.b++));
  effect(() => void (live.shape.value, rendered.shape++));
  store.apply(message({ executions: [execution([["b", SUCCEEDED]])] }), false);
  assert.deepEqual(rendered, { a: 1, b: 2, shape: 1 });
  assert.equal(live.action("b")?.value.status, SUCCEEDED);
  store.apply(message({ executions: [execution([["c", IN_PROGRESS]])] }), false);
  assert.deepEqual(rendered, { a: 1, b: 2, shape: 2 });
  assert.deepEqual(live.shape.value, [{ stage: "Build", actions: ["a", "b", "c"] }]);
});

test("a snapshot may come in several messages and replaces what was known", () => {
  const store = new Store();
  store.apply(message({ snapshot: true, executions: [execution([["old", IN_PROGRESS]])] }), false);
  const live = store.execution(name).value;
  store.apply(message({ snapshot: true, more: true, executions: [execution([["a", IN_PROGRESS]])] }), false);
  store.apply(message({ executions: [execution([["b", IN_PROGRESS]])] }), false);
  assert.equal(store.execution(name).value, live, "what is shown stays the same object");
  assert.deepEqual(live?.shape.value[0]?.actions, ["a", "b"]);
  assert.equal(live?.action("old"), undefined);
});

test("what a snapshot leaves out does not exist", () => {
  const store = new Store();
  const pipelines = ["b", "a"].map((short) => ({ name: `accounts/dev/pipelines/${short}` }));
  store.apply(message({ snapshot: true, pipelines, executions: [execution([])] }), true);
  assert.deepEqual(store.overview.value, ["accounts/dev/pipelines/a", "accounts/dev/pipelines/b"]);
  store.apply(message({ snapshot: true, pipelines: pipelines.slice(0, 1) }), true);
  assert.deepEqual(store.overview.value, ["accounts/dev/pipelines/b"]);
  assert.equal(store.execution(name).value, undefined);
});

test("what is deleted is null, which is not the same as unknown", () => {
  const store = new Store();
  const pipeline = "accounts/dev/pipelines/a";
  assert.equal(store.state(pipeline).value, undefined);
  store.apply(message({ snapshot: true, pipelines: [{ name: pipeline }], states: [{ name: pipeline }] }), true);
  assert.equal(store.state(pipeline).value?.name, pipeline);
  store.apply(message({ deletedPipelines: [pipeline], deletedExecutions: [name] }), true);
  assert.equal(store.state(pipeline).value, null);
  assert.equal(store.execution(name).value, null);
  assert.deepEqual(store.overview.value, []);
});
