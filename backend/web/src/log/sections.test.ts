import assert from "node:assert/strict";
import { test } from "node:test";
import { isFolded, markerOf, markerPattern, sectionsOf, type Marked } from "./sections";

// The sections of lines, as title, first and last line, depth.
function read(lines: string[], failed = false) {
  const marked: Marked[] = [];
  for (const [i, line] of lines.entries()) {
    const [first = "", ...rest] = line.split("\r");
    const marker = markerOf(first, rest.at(-1) ?? first);
    if (marker) marked.push({ line: i + 1, marker });
  }
  return sectionsOf(marked, lines.length, failed);
}
const short = (lines: string[], failed = false) => read(lines, failed).map((section) => [section.title, section.start, section.end, section.depth]);

test("groups of GitHub", () => {
  assert.deepEqual(short(["a", "##[group]Run make", "x", "##[endgroup]", "b", "::group::Second", "y", "::endgroup::"]), [
    ["Run make", 2, 4, 0],
    ["Second", 6, 8, 0],
  ]);
  assert.deepEqual(short(["2026-01-01T10:00:00.1234567Z ##[group]Set up", "x", "2026-01-01T10:00:01.1234567Z ##[endgroup]"]), [["Set up", 1, 3, 0]]);
});

test("sections of GitLab nest by their names", () => {
  assert.deepEqual(short(["section_start:1560896352:outer\rOuter", "section_start:1560896353:inner[collapsed=true]\rInner", "x", "section_end:1560896354:inner\r", "section_end:1560896355:outer\r"]), [
    ["Outer", 1, 5, 0],
    ["Inner", 2, 4, 1],
  ]);
  assert.equal(read(["section_start:1:a[hide_duration=true,collapsed=true]\rA", "x"])[0]?.collapsed, true);
});

test("steps and commands end with the next one", () => {
  assert.deepEqual(short(["--- attempt 2 ---", "$ make", "x", "$ make test", "y", "+++ Deploy", "z", "~~~ Cleanup", "w"]), [
    ["attempt 2", 1, 5, 0],
    ["$ make", 2, 3, 1],
    ["$ make test", 4, 5, 1],
    ["Deploy", 6, 7, 0],
    ["Cleanup", 8, Infinity, 0],
  ]);
});

test("diffs and results of tests are not sections", () => {
  assert.deepEqual(short(["--- a/main.go", "+++ b/main.go", "@@ -1 +1 @@", "--- PASS: TestX (0.00s)", "--- FAIL: TestY (0.10s)"]), []);
  assert.deepEqual(short(["--- isolated by bubblewrap: output artifacts are kept, other files are discarded ---", "x", "--- 12 bytes of the log were lost ---", "y"]), []);
  assert.deepEqual(read(["$ make", "x", "--- headraced is stopping: sent SIGTERM to its processes ---"], true).map((section) => [section.title, section.failed]), [["$ make", true]]);
  assert.deepEqual(short(["--- old.txt\t2026-01-01", "+++ new.txt\t2026-01-02", "x"]), []);
});

test("a failed section is open", () => {
  const lines = ["##[group]One", "x", "##[endgroup]", "##[group]Two", "y", "##[error]broken", "##[endgroup]"];
  assert.deepEqual(read(lines).map((section) => [section.failed, isFolded(section, new Map())]), [[false, true], [true, false]]);
  assert.equal(isFolded(read(lines)[1]!, new Map([[4, true]])), true);
  assert.equal(isFolded(read(lines)[0]!, new Map(), [2]), false);
  assert.equal(isFolded(read(lines)[0]!, new Map(), [1, 4]), true);
  assert.deepEqual(read(["::group::A", "x", "::endgroup::", "::group::B", "y"], true).map((section) => section.failed), [false, true]);
  assert.deepEqual(read(["::group::A", "x", "::endgroup::", "exit 1"], true).map((section) => section.failed), [true]);
  assert.equal(read(["~~~ Muted", "x", "^^^ +++", "y"])[0]?.collapsed, false);
});

test("the server's pattern finds the markers", () => {
  // RE2 and JavaScript agree on what this pattern uses.
  const pattern = new RegExp(markerPattern);
  for (const line of ["##[group]x", "::endgroup::", "::error file=a,line=1::x", "section_start:1:a\rA", "\u001b[0Ksection_end:1:a", "--- x", "+++ x", "~~~ x", "^^^ +++", "$ make", "\u001b[32;1m$ make\u001b[0;m", "2026-01-01T10:00:00.1Z ##[endgroup]"]) assert.match(line, pattern);
  for (const line of ["a $ b", "----", "----- x", "$", "::groups", "-- x"]) assert.doesNotMatch(line, pattern);
});

test("markers without end or start break nothing", () => {
  assert.deepEqual(short(["::endgroup::", "section_end:1:x", "::group::a"]), []);
  assert.deepEqual(short(["::group::a", "::group::b", "x"]), [["b", 2, Infinity, 0]]);
});

test("sections of a log that is followed stay open", () => {
  const marked: Marked[] = [1, 10, 20].map((line) => ({ line, marker: { kind: "start", of: "group", title: "g", collapsed: true } }));
  assert.deepEqual(sectionsOf(marked, 20, false, 10).map((section) => [section.start, section.collapsed]), [[1, true], [10, false], [20, false]]);
  assert.deepEqual(sectionsOf(marked, 20, false).map((section) => [section.start, section.collapsed]), [[1, true], [10, true]]);
});
