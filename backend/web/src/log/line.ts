import { safeLink } from "../names";
import { applySgr, plainStyle, sameStyle, type Style } from "./sgr";

// Text of one look.
export interface Run {
  text: string;
  style: Style;
  // An http or https address.
  link?: string | undefined;
}

// A line of a log as it is shown.
export interface Line {
  runs: readonly Run[];
  // The text of all runs.
  text: string;
  // What the line held before its last carriage return, without sequences: markers of sections
  // are there.
  first: string;
  // How often the line was rewritten after a carriage return.
  rewrites: number;
  // The style after the line.
  end: Style;
}

// More runs than this are shown as one: a line of a thousand colors would be a thousand elements.
const mostRuns = 200;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

// A sequence for a terminal: CSI with its parameters, a string that ends (OSC, DCS and others), or
// a short one. A string that does not end is not one, so that it cannot hide the rest of the line.
const sequence = /\u001b(?:\[([0-?]*)([ -/]*)([@-~]?)|\]([^\u0007\u001b]{0,4096})(?:\u0007|\u001b\\)|[P^_X][^\u001b]{0,65536}\u001b\\|[ -/]*[0-Z\\-~]?)/y;

// Characters that would not show, would break the line, or would turn the direction of what is
// around them.
const unusual = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

// Makes a NUL, separators of lines and controls of the direction visible, and drops other controls.
export function printable(text: string): string {
  return text.replace(unusual, (one) => {
    const code = one.charCodeAt(0);
    if (code === 0) return "\u2400";
    if (code === 0x0b || code === 0x0c) return " ";
    if (code === 0x0a || code === 0x2028 || code === 0x2029) return "\u2424";
    return code >= 0x061c ? "\ufffd" : "";
  });
}

// The bytes as text; bytes that are not UTF-8 become U+FFFD.
export function decode(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

// Reads a line without its end. start is the style at its begin. Moves of the cursor are dropped,
// the text stays.
export function parseLine(bytes: Uint8Array, start: Style = plainStyle): Line {
  const states = decode(bytes).replace(/\r+$/, "").split(/\r+/);
  let style = start;
  let link: string | undefined;
  let first = "";
  let shown: Run[] = [];
  let seen = 0;
  for (const [i, state] of states.entries()) {
    const parsed = parseState(state, style, link);
    ({ style, link } = parsed);
    const text = parsed.runs.map((run) => run.text).join("");
    if (i === 0) first = text;
    // An erased line is not yet its next state.
    if (text === "" && shown.length > 0) continue;
    if (text !== "") seen++;
    shown = parsed.runs;
  }
  return { runs: shown, text: shown.map((run) => run.text).join(""), first, rewrites: Math.max(0, seen - 1), end: style };
}

// All states of a line that was rewritten, at most `most` of the last ones.
export function states(bytes: Uint8Array, most: number): string[] {
  const found = decode(bytes)
    .split(/\r+/)
    .map((state) => parseState(state, plainStyle, undefined).runs.map((run) => run.text).join(""))
    .filter((text) => text !== "");
  return found.slice(-most);
}

// The style after some lines, without making their text.
export function styleAfter(bytes: Uint8Array, start: Style): Style {
  if (bytes.indexOf(0x1b) < 0) return start;
  let style = start;
  for (const [, parameters] of decode(bytes).matchAll(/\u001b\[([0-9;:]*)m/g)) style = applySgr(style, parameters ?? "");
  return style;
}

function parseState(text: string, start: Style, startLink: string | undefined): { runs: Run[]; style: Style; link: string | undefined } {
  const runs: Run[] = [];
  let style = start;
  let link = startLink;
  const add = (piece: string) => {
    const clean = printable(piece);
    if (clean === "") return;
    const last = runs.at(-1);
    if (last && ((sameStyle(last.style, style) && last.link === link) || runs.length >= mostRuns)) last.text += clean;
    else runs.push({ text: clean, style, link });
  };
  let from = 0;
  for (let at = text.indexOf("\u001b"); at >= 0; at = text.indexOf("\u001b", from)) {
    add(text.slice(from, at));
    sequence.lastIndex = at;
    const found = sequence.exec(text);
    if (!found) {
      from = at + 1;
      continue;
    }
    from = at + Math.max(1, found[0].length);
    if (found[3] === "m" && !found[2]) style = applySgr(style, found[1] ?? "");
    const string = found[4];
    if (string?.startsWith("8;")) link = safeLink(string.slice(string.indexOf(";", 2) + 1));
  }
  add(text.slice(from));
  return { runs, style, link };
}
