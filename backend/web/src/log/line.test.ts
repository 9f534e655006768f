import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLine, printable, states, styleAfter } from "./line";
import { plainStyle } from "./sgr";

const bytes = (text: string) => new TextEncoder().encode(text);
const parse = (text: string) => parseLine(bytes(text));
const esc = "\u001b";

test("a line without sequences is one run", () => {
  const line = parse("plain <b>text</b> & more");
  assert.deepEqual(line.runs, [{ text: "plain <b>text</b> & more", style: plainStyle, link: undefined }]);
  assert.equal(line.rewrites, 0);
});

test("styles go on into the next line", () => {
  const first = parse(`a${esc}[1;31mb`);
  assert.deepEqual(first.runs.map((run) => [run.text, run.style.fg, run.style.bold]), [["a", undefined, undefined], ["b", 1, true]]);
  const second = parseLine(bytes(`c${esc}[0md`), first.end);
  assert.deepEqual(second.runs.map((run) => [run.text, run.style.fg]), [["c", 1], ["d", undefined]]);
  assert.deepEqual(styleAfter(bytes(`x${esc}[32my\nz${esc}[1m`), plainStyle), { fg: 2, bold: true });
});

test("links lead to http and https only", () => {
  const link = (address: string) => parse(`${esc}]8;id=1;${address}${esc}\\text${esc}]8;;${esc}\\ after`).runs;
  assert.equal(link("https://example.com/a")[0]?.link, "https://example.com/a");
  assert.equal(link("https://example.com/a")[1]?.link, undefined);
  for (const address of ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//example.com", "vbscript:x", "blob:https://example.com/x"]) {
    const runs = link(address);
    assert.equal(runs.map((run) => run.text).join(""), "text after");
    assert.ok(runs.every((run) => run.link === undefined), address);
  }
  assert.equal(parse(`${esc}]8;;https://example.com/\u0007x`).runs[0]?.link, "https://example.com/");
});

test("other sequences are dropped and their text stays", () => {
  for (const [text, shown] of [
    [`a${esc}[2K${esc}[1Ab`, "ab"],
    [`${esc}[?25lhidden cursor${esc}[?25h`, "hidden cursor"],
    [`${esc}]0;title\u0007x`, "x"],
    [`${esc}P1;2|payload${esc}\\x`, "x"],
    [`${esc}(Bx${esc}=y${esc}7`, "xy"],
    [`x${esc}[38;5;1`, "x"],
    [`x${esc}[`, "x"],
    [`x${esc}`, "x"],
    [`a\u0007b\u0008c`, "abc"],
    [`tab\there`, "tab\there"],
  ] as const) assert.equal(parse(text).text, shown, JSON.stringify(text));
});

test("a string that does not end hides nothing", () => {
  assert.match(parse(`before${esc}]8;;https://example.com after`).text, /after/);
  assert.match(parse(`before${esc}Pafter`).text, /after/);
});

test("NUL, bytes that are not UTF-8 and controls of the direction are visible", () => {
  assert.equal(parseLine(new Uint8Array([97, 0, 98, 0xff, 99])).text, "a\u2400b\ufffdc");
  assert.equal(parse("a\u202eb\u2066c\u2028d").text, "a\ufffdb\ufffdc\u2424d");
});

test("the last state of a rewritten line is shown", () => {
  const line = parse(`10 %\r20 %\r${esc}[32m100 %${esc}[0m\r`);
  assert.equal(line.text, "100 %");
  assert.equal(line.rewrites, 2);
  assert.equal(line.first, "10 %");
  assert.equal(line.runs[0]?.style.fg, 2);
  assert.deepEqual(states(bytes("10 %\r20 %\r\r100 %\r"), 2), ["20 %", "100 %"]);
  assert.equal(parse("windows\r").rewrites, 0);
  assert.equal(parse("windows\r").text, "windows");
  assert.equal(parse(`done\r${esc}[K`).text, "done");
  assert.equal(parse(`${esc}[31m10 %\r20 %`).runs[0]?.style.fg, 1);
});

test("a line of many colors has few runs and all of its text", () => {
  const line = parse(Array.from({ length: 2000 }, (_, i) => `${esc}[3${i % 8}mx`).join(""));
  assert.ok(line.runs.length <= 200);
  assert.equal(line.text.length, 2000);
});

test("random bytes lose no letter and throw nothing", () => {
  let seed = 7;
  const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
  for (let round = 0; round < 2000; round++) {
    const pieces = Array.from({ length: 12 }, () => (random(3) === 0 ? Uint8Array.from({ length: random(8) }, () => random(256)) : bytes([esc + "[", esc + "]8;;", "m", "31", "\r", ";", esc + "\\", "\u0007", "A"][random(9)] ?? "")));
    const all = Uint8Array.from(pieces.flatMap((piece) => [...piece]));
    const line = parseLine(all);
    assert.doesNotMatch(line.text, /[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/);
    assert.equal(line.text, line.runs.map((run) => run.text).join(""));
  }
});

test("marks of the direction show", () => {
  assert.equal(printable("a\u061cb\u200ec\u200fd\u202ee\u2028f"), "a\ufffdb\ufffdc\ufffdd\ufffde\u2424f");
});
