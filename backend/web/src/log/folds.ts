// Which lines are rows of the view: all but those in folded sections. Lines are numbered from 1,
// rows from 0.

// Lines that are hidden, both included.
export interface Hidden {
  from: number;
  to: number;
}

// The rows of a log of which some lines are hidden.
export class Folds {
  readonly #hidden: readonly Hidden[];
  // How many lines the ranges before each one hide.
  readonly #before: readonly number[];

  // Ranges may overlap and be in any order.
  constructor(ranges: readonly Hidden[] = []) {
    const merged: Hidden[] = [];
    for (const range of [...ranges].sort((a, b) => a.from - b.from)) {
      if (range.to < range.from) continue;
      const last = merged.at(-1);
      if (last && range.from <= last.to + 1) last.to = Math.max(last.to, range.to);
      else merged.push({ ...range });
    }
    let sum = 0;
    this.#hidden = merged;
    this.#before = merged.map((range) => {
      const before = sum;
      sum += range.to - range.from + 1;
      return before;
    });
  }

  // How many rows a log of that many lines has.
  rows(lines: number): number {
    const at = this.#last(lines);
    if (at < 0) return lines;
    const range = this.#hidden[at]!;
    return lines - this.#before[at]! - (Math.min(range.to, lines) - range.from + 1);
  }

  // The line of a row.
  line(row: number): number {
    let [low, high] = [0, this.#hidden.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      // The row that the first hidden line would have.
      if (this.#hidden[middle]!.from - 1 - this.#before[middle]! <= row) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return row + 1;
    const range = this.#hidden[low - 1]!;
    return row + 1 + this.#before[low - 1]! + (range.to - range.from + 1);
  }

  // The row of a line; of a hidden one that of the last line before it that is not hidden.
  row(line: number): number {
    const at = this.#last(line);
    if (at < 0) return line - 1;
    const range = this.#hidden[at]!;
    if (line <= range.to) return Math.max(0, range.from - 2 - this.#before[at]!);
    return line - 1 - this.#before[at]! - (range.to - range.from + 1);
  }

  // Whether the line is not a row.
  hides(line: number): boolean {
    const at = this.#last(line);
    return at >= 0 && line <= this.#hidden[at]!.to;
  }

  // Index of the last range that begins at or before the line; -1 if there is none.
  #last(line: number): number {
    let [low, high] = [0, this.#hidden.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#hidden[middle]!.from <= line) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
