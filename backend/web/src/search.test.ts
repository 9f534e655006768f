import assert from "node:assert/strict";
import { test } from "node:test";
import { executionNumber, find, type Entry } from "./search";

const entries: Entry[] = [
  { label: "deploy-web", detail: "the shop", to: "/a", group: "Pipelines" },
  { label: "web", detail: "", to: "/b", group: "Pipelines" },
  { label: "web-api", detail: "", to: "/c", group: "Pipelines" },
  { label: "api #12", detail: "4f1c022 Fix the web login · mara", to: "/d", group: "Executions" },
];

test("the best match is first", () => {
  assert.deepEqual(
    find(entries, "web").map((entry) => entry.to),
    ["/b", "/c", "/a", "/d"],
  );
});

test("all words have to be found, in any order", () => {
  assert.deepEqual(
    find(entries, "mara 4f1c").map((entry) => entry.to),
    ["/d"],
  );
  assert.deepEqual(find(entries, "mara nothing"), []);
});

test("numbers of executions", () => {
  assert.equal(executionNumber("#12"), 12n);
  assert.equal(executionNumber(" 12 "), 12n);
  assert.equal(executionNumber("12a"), undefined);
});
