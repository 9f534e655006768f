import assert from "node:assert/strict";
import { test } from "node:test";
import { find, question, type Entry } from "./search";

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

test("texts that ask the server", () => {
  assert.deepEqual(question("web #12", "api"), { pipeline: "web", number: 12n });
  assert.deepEqual(question("web#12", ""), { pipeline: "web", number: 12n });
  assert.deepEqual(question(" #12 ", "api"), { pipeline: "api", number: 12n });
  assert.deepEqual(question("4f1c02", "api"), { revision: "4f1c02" });
  assert.deepEqual(question("123456", "api"), { pipeline: "api", number: 123456n, revision: "123456" });
  assert.equal(question("#12", ""), undefined);
  assert.equal(question("web", "api"), undefined);
});
