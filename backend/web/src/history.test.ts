import assert from "node:assert/strict";
import { test } from "node:test";
import { timestampMs, type Timestamp } from "@bufbuild/protobuf/wkt";
import { ExecutionStatus } from "./gen/headrace/v1/execution_pb";
import { readFilter, request } from "./history";

const asked = (text: string) => request("accounts/dev/pipelines/-", readFilter(new URLSearchParams(text)), true);

test("the address is the filter", () => {
  const found = asked("status=stopped&by=mara&trigger=WebhookV2&revision=4f1c02&from=2026-11-30&to=2026-11-30");
  assert.deepEqual(found.statuses, [ExecutionStatus.STOPPED, ExecutionStatus.CANCELLED, ExecutionStatus.ABANDONED]);
  assert.equal(found.principal, "mara");
  assert.deepEqual(found.triggerTypes, ["WebhookV2"]);
  assert.equal(found.revision, "4f1c02");
  assert.equal(timestampMs(found.startTimeFrom as Timestamp), Date.UTC(2026, 10, 30));
  assert.equal(timestampMs(found.startTimeTo as Timestamp), Date.UTC(2026, 11, 1));
});

test("what is not valid filters nothing", () => {
  const found = asked("status=wrong&revision=4f&from=yesterday&to=");
  assert.deepEqual(found.statuses, []);
  assert.equal(found.revision, "");
  assert.equal(found.startTimeFrom, undefined);
  assert.equal(found.startTimeTo, undefined);
});
