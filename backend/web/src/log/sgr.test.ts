import assert from "node:assert/strict";
import { test } from "node:test";
import { applySgr, parts, plainStyle, rgb, sameStyle, type Style } from "./sgr";

test("colors of 16, 256 and 16 million", () => {
  assert.equal(applySgr(plainStyle, "31").fg, 1);
  assert.equal(applySgr(plainStyle, "97").fg, 15);
  assert.equal(applySgr(plainStyle, "44").bg, 4);
  assert.equal(applySgr(plainStyle, "103").bg, 11);
  assert.equal(applySgr(plainStyle, "38;5;196").fg, 196);
  assert.deepEqual(parts(applySgr(plainStyle, "38;2;1;2;3").fg ?? 0), [1, 2, 3]);
  assert.deepEqual(parts(applySgr(plainStyle, "48:2::250:0:9").bg ?? 0), [250, 0, 9]);
  assert.equal(applySgr(plainStyle, "38:5:9").fg, 9);
  assert.equal(parts(7), undefined);
});

test("parameters after a color are read", () => {
  const style = applySgr(plainStyle, "1;38;5;196;4;48;2;0;0;0;3");
  assert.deepEqual({ ...style }, { bold: true, fg: 196, underline: true, bg: rgb(0, 0, 0), italic: true });
});

test("what is switched on is switched off", () => {
  for (const [on, off] of [["1", "22"], ["2", "22"], ["3", "23"], ["4", "24"], ["7", "27"], ["9", "29"], ["31", "39"], ["41", "49"], ["4:3", "4:0"]] as const) {
    const style = applySgr(plainStyle, on);
    assert.ok(!sameStyle(style, plainStyle), on);
    assert.ok(sameStyle(applySgr(style, off), plainStyle), `${on} ${off}`);
    assert.equal(applySgr(style, ""), plainStyle);
    assert.equal(applySgr(style, "0"), plainStyle);
  }
});

test("nonsense changes nothing", () => {
  const style: Style = { fg: 3 };
  for (const text of ["38", "38;5", "38;5;256", "38;2;1;2", "38;9;1", "x", "999", "38:2:1", "-1", "4294967296"]) assert.equal(applySgr(style, text).fg, 3, text);
});
