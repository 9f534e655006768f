import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { DeclaredTriggerSchema } from "./gen/headrace/v1/trigger_pb";
import { sourceText } from "./triggers";

test("a trigger in one line", () => {
  const git = create(DeclaredTriggerSchema, {
    source: { case: "git", value: { repository: "acme/web", push: [{ branches: { includes: ["main", "release/*"], excludes: ["release/old"] }, filePaths: { includes: ["web/**"] } }], pullRequest: [{ events: ["OPEN", "UPDATED"] }] } },
  });
  assert.equal(sourceText(git), "acme/web: Push branches main, release/* except release/old files web/**; Pull request open, updated");
  const all = create(DeclaredTriggerSchema, { source: { case: "git", value: { sourceAction: "Source" } } });
  assert.equal(sourceText(all), "Source: Every push to a branch");
  const hook = create(DeclaredTriggerSchema, { source: { case: "webhook", value: { webhook: "accounts/dev/webhooks/deploy", filters: [{ jsonPath: "$.ref", matchEquals: "main" }], when: "body.ok" } } });
  assert.equal(sourceText(hook), "Webhook deploy: $.ref = main: body.ok");
});
