// Where a view is in a log of up to tens of millions of rows. The place is a row and pixels of it,
// never pixels from the start: browsers limit the height of an element, so that the scroller is
// shorter than the rows are. Its bar is proportional; wheel and keys move by exact pixels.

// The row at the upper edge of the view, and how many pixels of it are above the edge.
export interface Position {
  row: number;
  px: number;
}

// What is scrolled over.
export interface Rows {
  count: number;
  // Height of a row in pixels. It may be an estimate until the row was measured.
  height: (row: number) => number;
  // The height of all rows, if they have the same.
  fixed: number | undefined;
}

// The tallest scroller. Firefox stops near 17 million pixels, Chromium near 33 million.
export const tallest = 8_000_000;

export const top: Position = { row: 0, px: 0 };

// The last place: the end of the last row is at the lower edge. view is the height of the view.
export function end(rows: Rows, view: number): Position {
  if (rows.fixed !== undefined) return fromPixels(Math.max(0, rows.count * rows.fixed - view), rows.fixed);
  let left = view;
  for (let row = rows.count - 1; row >= 0; row--) {
    left -= rows.height(row);
    if (left <= 0) return { row, px: -left };
  }
  return top;
}

// The place by pixels further down, or up if they are negative, within the rows.
export function moveBy(rows: Rows, from: Position, pixels: number, view: number): Position {
  const last = end(rows, view);
  let moved: Position;
  if (rows.fixed !== undefined) moved = fromPixels(Math.max(0, from.row * rows.fixed + from.px + pixels), rows.fixed);
  else {
    let { row } = from;
    let px = from.px + pixels;
    while (px < 0 && row > 0) px += rows.height(--row);
    if (px < 0) px = 0;
    while (row < rows.count - 1 && px >= rows.height(row)) px -= rows.height(row++);
    moved = { row, px };
  }
  return before(last, moved) ? last : moved;
}

// The place where the row is at the upper edge, or at a share of the view below it.
export function showRow(rows: Rows, row: number, view: number, share = 0): Position {
  const at = { row: Math.max(0, Math.min(row, rows.count - 1)), px: 0 };
  return moveBy(rows, at, -Math.round(view * share), view);
}

// The place from which the row is within the view: the same one if it is already.
export function reveal(rows: Rows, from: Position, row: number, view: number): Position {
  if (row < from.row || (row === from.row && from.px > 0)) return showRow(rows, row, view);
  let bottom = -from.px;
  for (let at = from.row; at <= row && at < rows.count; at++) {
    bottom += rows.height(at);
    if (bottom > view && at < row - 400) return showRow(rows, row, view, 1 - Math.min(1, rows.height(row) / view));
  }
  return bottom <= view ? from : moveBy(rows, from, bottom - view, view);
}

// Height of the scroller's content.
export function barSize(rows: Rows, estimate: number, view: number): number {
  return Math.max(Math.min(tallest, rows.count * (rows.fixed ?? estimate)), view);
}

// Whether a pixel of the scroller is a pixel of the rows.
export function isExact(rows: Rows): boolean {
  return rows.fixed !== undefined && rows.count * rows.fixed <= tallest;
}

// Where the bar is at a place: pixels that the scroller is scrolled by.
export function toBar(rows: Rows, at: Position, size: number, view: number): number {
  if (isExact(rows)) return at.row * (rows.fixed ?? 0) + at.px;
  const whole = place(rows, end(rows, view));
  return whole <= 0 ? 0 : Math.min(1, place(rows, at) / whole) * (size - view);
}

// The place at which the bar is, dragged there.
export function fromBar(rows: Rows, bar: number, size: number, view: number): Position {
  if (isExact(rows)) return fromPixels(Math.max(0, bar), rows.fixed ?? 1);
  const last = end(rows, view);
  if (size <= view || bar >= size - view) return last;
  const at = (Math.max(0, bar) / (size - view)) * place(rows, last);
  const row = Math.floor(at);
  const moved = { row, px: (at - row) * rows.height(row) };
  return before(last, moved) ? last : moved;
}

// Whether a is before b.
export function before(a: Position, b: Position): boolean {
  return a.row < b.row || (a.row === b.row && a.px < b.px);
}

function fromPixels(pixels: number, height: number): Position {
  const row = Math.floor(pixels / height);
  return { row, px: pixels - row * height };
}

// The place in rows, with a fraction.
function place(rows: Rows, at: Position): number {
  return at.row + at.px / Math.max(1, rows.height(at.row));
}
