import assert from "node:assert/strict";
import { test } from "node:test";
import { contrast, paint, shadesIn } from "./colors";
import { rgb, type Color, type Style } from "./sgr";

const steps = [0, 51, 102, 119, 153, 204, 255];
const colors: (Color | undefined)[] = [undefined, ...Array.from({ length: 256 }, (_, i) => i), ...steps.flatMap((r) => steps.flatMap((g) => steps.map((b) => rgb(r, g, b))))];

test("every color can be read on every background in both themes", () => {
  for (const theme of ["light", "dark"] as const) {
    const check = (style: Style) => {
      const { fg, bg } = shadesIn(style, theme);
      assert.ok(contrast(fg, bg) >= 4.5, `${theme} ${JSON.stringify(style)}: ${fg} on ${bg}`);
    };
    for (const fg of colors) {
      for (const dim of [false, true]) for (const reverse of [false, true]) check({ fg, dim, reverse });
      for (let bg = 0; bg < 256; bg += 5) check({ fg, bg });
    }
    for (const bg of colors) check({ bg, reverse: true, dim: true });
  }
});

test("text without colors takes those of the page", () => {
  assert.deepEqual(paint({ bold: true }), { color: undefined, background: undefined });
  assert.match(paint({ fg: 1 }).color ?? "", /^light-dark\(#[0-9a-f]{6}, #[0-9a-f]{6}\)$/);
  assert.notEqual(paint({ reverse: true }).background, undefined);
});
