import { parts, type Color, type Style } from "./sgr";

// Colors of terminals as the two themes show them. Programs choose colors for a terminal whose
// background they do not know, so that each is moved towards black or white until the text can be
// read: a contrast of at least 4.5 to 1 in both themes.

type Rgb = readonly [number, number, number];

// A theme's backgrounds and what it makes of the 16 colors that have no fixed value. A text must be
// readable on the page of the log, and on the backgrounds of rows that are selected or found.
interface Theme {
  surface: Rgb;
  // The background with the least contrast to text that the log itself uses.
  hardest: Rgb;
  text: Rgb;
  soft: Rgb;
  base: readonly Rgb[];
}

const hex = (text: string): Rgb => [parseInt(text.slice(1, 3), 16), parseInt(text.slice(3, 5), 16), parseInt(text.slice(5, 7), 16)];

// The order of terminals: black, red, green, yellow, blue, magenta, cyan, white, and their bright
// forms.
const light: Theme = {
  surface: hex("#ffffff"),
  hardest: hex("#fdf0d7"),
  text: hex("#1a2129"),
  soft: hex("#54606d"),
  base: ["#1a2129", "#b3202a", "#17713a", "#7d5200", "#0b56a0", "#86349c", "#0a6d7a", "#59636e", "#515c68", "#c0232c", "#1a7f42", "#8a5300", "#0b5fa5", "#9a3fb0", "#0b7484", "#1a2129"].map(hex),
};

const dark: Theme = {
  surface: hex("#14191f"),
  hardest: hex("#3a2d12"),
  text: hex("#e3e8ee"),
  soft: hex("#a3afbc"),
  base: ["#8f9ba8", "#ff7b7b", "#4cc07a", "#e5b04d", "#6cb6f5", "#d692ea", "#5ecbd6", "#d3dae2", "#9aa6b3", "#ff9d9d", "#7ad99c", "#f2cc7f", "#97ccfa", "#e5b5f3", "#8fe0e8", "#ffffff"].map(hex),
};

// The 16 colors as backgrounds, and of text on a background that the program chose: there they are
// those of a terminal, in both themes.
const ground: readonly Rgb[] = ["#1f2933", "#b93a32", "#2b7d4f", "#b98a1a", "#2a66b3", "#8d45a6", "#1b8793", "#d5dbe1", "#5c6773", "#e06059", "#4cb877", "#efc84f", "#6cb0ee", "#cf8ee2", "#62c8d3", "#ffffff"].map(hex);

// What a style needs of CSS: a color, and a background if the program set one.
export interface Paint {
  color: string | undefined;
  background: string | undefined;
}

const paints = new Map<string, Paint>();

// The colors of a style, each for both themes as light-dark(…). Undefined is the color of the page.
export function paint(style: Style): Paint {
  const key = `${style.fg} ${style.bg} ${style.dim ? 1 : 0}${style.reverse ? 1 : 0}`;
  let made = paints.get(key);
  if (!made) {
    if (paints.size > 4096) paints.clear();
    made = mix(style);
    paints.set(key, made);
  }
  return made;
}

function mix(style: Style): Paint {
  if (style.fg === undefined && style.bg === undefined && !style.dim && !style.reverse) return { color: undefined, background: undefined };
  const [onLight, onDark] = [shades(style, light), shades(style, dark)];
  return {
    color: `light-dark(${css(onLight.fg)}, ${css(onDark.fg)})`,
    background: onLight.bg && onDark.bg ? `light-dark(${css(onLight.bg)}, ${css(onDark.bg)})` : undefined,
  };
}

// The colors of a style in one theme, for tests too.
export function shadesIn(style: Style, theme: "light" | "dark"): { fg: Rgb; bg: Rgb } {
  const of = theme === "light" ? light : dark;
  const { fg, bg } = shades(style, of);
  return { fg, bg: bg ?? of.hardest };
}

function shades(style: Style, theme: Theme): { fg: Rgb; bg: Rgb | undefined } {
  let fg = style.fg === undefined ? undefined : valueOf(style.fg, style.bg === undefined ? theme.base : ground);
  let bg = style.bg === undefined ? undefined : valueOf(style.bg, ground);
  if (style.reverse) [fg, bg] = [bg ?? theme.surface, fg ?? theme.text];
  const wanted = fg ?? (style.dim ? theme.soft : theme.text);
  if (bg) return { fg: readable(wanted, [bg]), bg };
  return { fg: readable(style.dim && fg ? between(fg, theme.surface, 0.25) : wanted, [theme.surface, theme.hardest]), bg };
}

function valueOf(color: Color, base: readonly Rgb[]): Rgb {
  const own = parts(color);
  if (own) return own;
  if (color < 16) return base[color] ?? [128, 128, 128];
  if (color >= 232) {
    const grey = 8 + (color - 232) * 10;
    return [grey, grey, grey];
  }
  const at = color - 16;
  const level = (n: number) => (n === 0 ? 0 : 55 + n * 40);
  return [level(Math.floor(at / 36)), level(Math.floor(at / 6) % 6), level(at % 6)];
}

// The color itself, or the nearest one on its way to black or white that can be read on all of the
// backgrounds.
function readable(color: Rgb, backgrounds: readonly Rgb[]): Rgb {
  const enough = (one: Rgb) => backgrounds.every((background) => contrast(one, background) >= 4.6);
  if (enough(color)) return color;
  const darkGround = backgrounds.every((background) => luminance(background) < 0.18);
  const goal: Rgb = darkGround ? [255, 255, 255] : [0, 0, 0];
  for (let step = 1; step <= 20; step++) {
    const moved = between(color, goal, step / 20);
    if (enough(moved)) return moved;
  }
  return goal;
}

function between(a: Rgb, b: Rgb, share: number): Rgb {
  const at = (i: 0 | 1 | 2) => Math.round(a[i] + (b[i] - a[i]) * share);
  return [at(0), at(1), at(2)];
}

function luminance([red, green, blue]: Rgb): number {
  const linear = (value: number) => (value <= 10 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

// The contrast of two colors as WCAG defines it, 1 to 21.
export function contrast(a: Rgb, b: Rgb): number {
  const [x, y] = [luminance(a), luminance(b)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

const css = (color: Rgb): string => "#" + color.map((value) => value.toString(16).padStart(2, "0")).join("");
