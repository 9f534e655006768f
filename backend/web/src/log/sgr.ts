// Colors and styles of a terminal: the parameters of the sequences ESC [ … m (SGR).

// A color: 0 to 255 of the palette, or a color of its own as rgb(…) below.
export type Color = number;

const own = 0x1000000;

// A color by its parts, 0 to 255 each.
export const rgb = (red: number, green: number, blue: number): Color => own | (red << 16) | (green << 8) | blue;

// The parts of a color that rgb made; undefined if it is one of the palette.
export function parts(color: Color): readonly [number, number, number] | undefined {
  return color < own ? undefined : [(color >> 16) & 255, (color >> 8) & 255, color & 255];
}

// How text looks. What is absent is the default.
export interface Style {
  readonly fg?: Color | undefined;
  readonly bg?: Color | undefined;
  readonly bold?: boolean | undefined;
  readonly dim?: boolean | undefined;
  readonly italic?: boolean | undefined;
  readonly underline?: boolean | undefined;
  readonly strike?: boolean | undefined;
  readonly reverse?: boolean | undefined;
}

// The style of text that nothing was said about.
export const plainStyle: Style = Object.freeze({});

// The style after a sequence with these parameters, as in "1;38;5;196". Parameters that are not
// known change nothing.
export function applySgr(style: Style, parameters: string): Style {
  const codes = parameters === "" ? ["0"] : parameters.split(";");
  let next: Style = style;
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i] ?? "";
    const sub = code.split(":");
    const main = number(sub[0]);
    if (main === 38 || main === 48) {
      const found = sub.length > 1 ? colorOf(sub.slice(1), true) : colorOf(codes.slice(i + 1), false);
      if (sub.length === 1) i += found.used;
      if (found.color !== undefined) next = main === 38 ? { ...next, fg: found.color } : { ...next, bg: found.color };
    } else if (main === 4 && sub.length > 1) next = { ...next, underline: number(sub[1]) !== 0 };
    else next = simple(next, main);
  }
  return next;
}

function simple(style: Style, code: number): Style {
  if (code >= 30 && code <= 37) return { ...style, fg: code - 30 };
  if (code >= 90 && code <= 97) return { ...style, fg: code - 90 + 8 };
  if (code >= 40 && code <= 47) return { ...style, bg: code - 40 };
  if (code >= 100 && code <= 107) return { ...style, bg: code - 100 + 8 };
  switch (code) {
    case 0:
      return plainStyle;
    case 1:
      return { ...style, bold: true };
    case 2:
      return { ...style, dim: true };
    case 3:
      return { ...style, italic: true };
    case 4:
    case 21:
      return { ...style, underline: true };
    case 7:
      return { ...style, reverse: true };
    case 9:
      return { ...style, strike: true };
    case 22:
      return { ...style, bold: undefined, dim: undefined };
    case 23:
      return { ...style, italic: undefined };
    case 24:
      return { ...style, underline: undefined };
    case 27:
      return { ...style, reverse: undefined };
    case 29:
      return { ...style, strike: undefined };
    case 39:
      return { ...style, fg: undefined };
    case 49:
      return { ...style, bg: undefined };
    default:
      return style;
  }
}

// The color that follows 38 or 48, and how many of the codes it took. With colons a direct color
// may have the number of a color space before its parts.
function colorOf(codes: readonly string[], colons: boolean): { color: Color | undefined; used: number } {
  const kind = number(codes[0]);
  if (kind === 5) return { color: part(codes[1]), used: 2 };
  if (kind !== 2) return { color: undefined, used: codes.length > 0 ? 1 : 0 };
  const from = colons && codes.length > 4 ? 2 : 1;
  const [red, green, blue] = [part(codes[from]), part(codes[from + 1]), part(codes[from + 2])];
  return { color: red === undefined || green === undefined || blue === undefined ? undefined : rgb(red, green, blue), used: 4 };
}

// A parameter; one that is empty is 0, one that is not a number matches nothing.
function number(text: string | undefined): number {
  if (text === undefined) return -1;
  return text === "" ? 0 : /^\d{1,4}$/.test(text) ? Number(text) : -1;
}

function part(text: string | undefined): number | undefined {
  const found = number(text);
  return found >= 0 && found <= 255 ? found : undefined;
}

// Whether two styles look the same.
export function sameStyle(a: Style, b: Style): boolean {
  return a === b || (a.fg === b.fg && a.bg === b.bg && !a.bold === !b.bold && !a.dim === !b.dim && !a.italic === !b.italic && !a.underline === !b.underline && !a.strike === !b.strike && !a.reverse === !b.reverse);
}
