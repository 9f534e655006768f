// Ranges of lines, as the address of a page names them: #L120 or #L120-L131.

// Lines from 1, both included.
export interface LineRange {
  from: number;
  to: number;
}

// Reads the part of an address after "#". Undefined if it names no lines.
export function parseRange(fragment: string): LineRange | undefined {
  const found = /^L(\d{1,12})(?:-L?(\d{1,12}))?$/.exec(fragment);
  if (!found) return undefined;
  const [a, b] = [Number(found[1]), Number(found[2] ?? found[1])];
  if (a < 1 || b < 1) return undefined;
  return { from: Math.min(a, b), to: Math.max(a, b) };
}

// The part of an address after "#".
export function formatRange(range: LineRange): string {
  return range.from === range.to ? `L${range.from}` : `L${range.from}-L${range.to}`;
}

// The range from the line where a selection began to another one, on either side of it.
export function rangeOf(anchor: number, line: number): LineRange {
  return { from: Math.min(anchor, line), to: Math.max(anchor, line) };
}

export const holds = (range: LineRange | undefined, line: number): boolean => range !== undefined && range.from <= line && line <= range.to;
