import assert from "node:assert/strict";
import { test } from "node:test";
import type { Artifact, ArtifactFile } from "../gen/headrace/v1/execution_pb";
import { artifactPath, artifactsOf, filterFiles, findRow, pathText, saveName, type Maker } from "./list";

const artifact = (name: string, digest: string) => ({ name, digest, sizeBytes: 1n }) as Artifact;
const maker = (id: string, outputs: Artifact[], inputs: Artifact[] = [], retried = false): Maker => ({ id, action: id.slice(0, -1), retried, outputArtifacts: outputs, inputArtifacts: inputs });

test("artifacts are listed with who made and who used them", () => {
  const source = artifact("source", "aa");
  const first = artifact("app", "bb");
  const second = artifact("app", "cc");
  const taken = artifact("base", "dd");
  const rows = artifactsOf([
    { stage: "Source", actions: [maker("Fetch1", [source])] },
    { stage: "Build", actions: [maker("Make1", [first], [source], true), maker("Make2", [second], [source, taken])] },
  ]);
  assert.deepEqual(
    rows.map((row) => [row.artifact.name, row.artifact.digest, row.maker?.id, row.replaced, row.users.map((user) => `${user.stage}/${user.id}`)]),
    [
      ["source", "aa", "Fetch1", false, ["Build/Make1", "Build/Make2"]],
      ["app", "bb", "Make1", true, []],
      ["app", "cc", "Make2", false, []],
      ["base", "dd", undefined, false, ["Build/Make2"]],
    ],
  );
  assert.equal(findRow(rows, "app", "")?.artifact.digest, "cc");
  assert.equal(findRow(rows, "app", "bb")?.maker?.id, "Make1");
  assert.equal(findRow(rows, "app", "b"), undefined);
  assert.equal(findRow(rows, "none", ""), undefined);
});

test("an artifact that only a replaced action made is found", () => {
  const rows = artifactsOf([{ stage: "Build", actions: [maker("Make1", [artifact("app", "bb")], [], true)] }]);
  assert.equal(findRow(rows, "app", "")?.artifact.digest, "bb");
});

test("two actions that made the same artifact share its users", () => {
  const same = artifact("app", "bb");
  const rows = artifactsOf([{ stage: "Build", actions: [maker("A1", [same]), maker("B1", [same]), maker("C1", [], [same])] }]);
  assert.deepEqual(rows.map((row) => row.users.map((user) => user.id)), [["C1"], ["C1"]]);
});

test("an artifact has an address", () => {
  assert.equal(artifactPath("accounts/a/pipelines/p/executions/e", artifact("a&b=c d", "ff")), "/accounts/a/pipelines/p/executions/e?face=artifacts&artifact=a%26b%3Dc+d&digest=ff");
});

test("files are filtered by path", () => {
  const files = ["bin/App", "bin/tool", "README"].map((path) => ({ path }) as ArtifactFile);
  assert.deepEqual(filterFiles(files, "APP").map((file) => file.path), ["bin/App"]);
  assert.equal(filterFiles(files, ""), files);
  assert.deepEqual(filterFiles(files, "[b"), []);
});

test("paths are shown on one line without hidden characters", () => {
  assert.equal(pathText("a\nb\u202egnp.exe\u001b[31m\u200b"), "a\ufffdb\ufffdgnp.exe\ufffd[31m\ufffd");
  assert.equal(pathText("<b>ü 字"), "<b>ü 字");
});

test("names of saved files are safe", () => {
  assert.equal(saveName("bin/app.tar.gz"), "app.tar.gz");
  assert.equal(saveName("a/\u202egnp.exe"), "_gnp.exe");
  assert.equal(saveName("x/<img src=x>\n\"a\\b:c"), "_img src=x___a_b_c");
  assert.equal(saveName(".."), "file");
  assert.equal(saveName("a/.env"), "env");
  assert.equal(saveName(""), "file");
  const long = saveName("n".repeat(1000) + ".html");
  assert.equal(long.length, 200);
  assert.ok(long.endsWith("n.html"));
});
