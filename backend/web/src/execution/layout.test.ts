import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { ActionExecutionSchema, ExecutionStatus } from "../gen/headrace/v1/execution_pb";
import { StageSchema } from "../gen/headrace/v1/pipeline_pb";
import { bundle, columns, reuse, mostAlone, type Cell } from "./layout";

const action = (id: string, name: string, runOrder: number) => create(ActionExecutionSchema, { id, action: name, runOrder, provider: "Commands" });

test("the grid has what is declared and what ran", () => {
  const definition = [
    create(StageSchema, { name: "Build", actions: [{ name: "Compile", runOrder: 1 }, { name: "Test", runOrder: 2 }] }),
    create(StageSchema, { name: "Deploy", actions: [{ name: "Roll" }] }),
  ];
  const ran = new Map([action("1", "Compile", 1), action("2", "Compile", 1), action("3", "Old", 3)].map((one) => [one.id, one]));
  const found = columns(definition, [{ stage: "Build", actions: ["1", "2", "3"] }, { stage: "Gone", actions: [] }], (id) => ran.get(id));
  assert.deepEqual(
    found.map((column) => [column.stage, column.runOrders.map(({ order, cells }) => [order, cells.map(({ action, id, earlier }) => [action, id, ...earlier])])]),
    [
      ["Build", [[1, [["Compile", "2", "1"]]], [2, [["Test", undefined]]], [3, [["Old", "3"]]]]],
      ["Deploy", [[1, [["Roll", undefined]]]]],
      ["Gone", []],
    ],
  );
});

test("columns that did not change stay the same objects", () => {
  const shape = [{ stage: "Build", actions: ["1"] }, { stage: "Deploy", actions: ["2"] }];
  const ran = new Map([action("1", "Compile", 1), action("2", "Roll", 1), action("3", "Roll", 1)].map((one) => [one.id, one]));
  const before = columns(undefined, shape, (id) => ran.get(id));
  const after = reuse(before, columns(undefined, [shape[0]!, { stage: "Deploy", actions: ["2", "3"] }], (id) => ran.get(id)));
  assert.equal(after[0], before[0]);
  assert.notEqual(after[1], before[1]);
  assert.equal(after[1]?.runOrders[0]?.cells[0]?.id, "3");
});

test("of many actions only those that need attention are drawn alone", () => {
  const cells: Cell[] = Array.from({ length: 1000 }, (_, i) => ({ action: `a${i}`, provider: "", id: i === 999 ? undefined : String(i), earlier: [] }));
  const status = (id: string) => (Number(id) % 300 === 7 ? ExecutionStatus.FAILED : Number(id) % 300 === 1 ? ExecutionStatus.IN_PROGRESS : ExecutionStatus.SUCCEEDED);
  const found = bundle(cells, status);
  assert.deepEqual(found.alone.map((cell) => cell.action), ["a7", "a307", "a607", "a907", "a1", "a301", "a601", "a901"]);
  assert.deepEqual(found.counts, [
    { status: ExecutionStatus.SUCCEEDED, count: 991 },
    { status: undefined, count: 1 },
  ]);
  const allFailed = bundle(cells.slice(0, 999), () => ExecutionStatus.FAILED);
  assert.equal(allFailed.alone.length, mostAlone);
  assert.deepEqual(allFailed.counts, [{ status: ExecutionStatus.FAILED, count: 999 - mostAlone }]);
});
