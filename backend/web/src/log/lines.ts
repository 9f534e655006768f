import { plainStyle, type Style } from "./sgr";

// A line as the server or the tail of a log gave it.
export interface Raw {
  // From 1.
  number: number;
  // Place in the log, in bytes.
  offset: number;
  // In bytes, without its end.
  length: number;
  // At most the first 8 KiB.
  text: Uint8Array;
  // The style at its begin.
  style: Style;
  // About when it was written, in milliseconds since 1970.
  time: number | undefined;
  // It may go on: the log ends within it.
  open?: boolean;
}

// How much of a line the server sends, in bytes.
export const longest = 8192;

// Lines of a block.
const blockLines = 256;

// What is kept: blocks, and bytes of their lines.
const mostBlocks = 64;
const mostBytes = 16 << 20;

interface Block {
  lines: Map<number, Raw>;
  // Up to which line the block is known, and since which.
  bytes: number;
  used: number;
}

// Lines that were read, by their number. Blocks that were not looked at for long are forgotten, so
// that a log of any length takes a bounded part of memory.
export class Lines {
  readonly #blocks = new Map<number, Block>();
  // Lines that a crash of the server's machine took, and so will never come.
  readonly #lost = new Set<number>();
  #clock = 0;
  #bytes = 0;

  // A line, if it is known.
  get(line: number): Raw | undefined {
    const block = this.#blocks.get(blockOf(line));
    if (!block) return undefined;
    block.used = ++this.#clock;
    return block.lines.get(line);
  }

  // Whether the line does not exist, although later ones do.
  isLost(line: number): boolean {
    return this.#lost.has(line);
  }

  // Adds lines that follow each other. from is the line that was asked for: those between it and
  // the last one, or up to end, that are left out are lost.
  add(lines: readonly Raw[], from: number, end = from): void {
    let expected = from;
    for (const line of lines) {
      for (; expected < line.number && this.#lost.size < 100_000; expected++) this.#lost.add(expected);
      expected = line.number + 1;
      this.#put(line);
    }
    for (; expected < end; expected++) this.#lost.add(expected);
    this.#evict();
  }

  // The first line of a range that is not known, or undefined if all are.
  missing(from: number, to: number): number | undefined {
    for (let line = from; line <= to; line++) if (!this.get(line) && !this.isLost(line)) return line;
    return undefined;
  }

  // Forgets a line: it was not whole when it was read.
  forget(line: number): void {
    const block = this.#blocks.get(blockOf(line));
    const known = block?.lines.get(line);
    if (!block || !known) return;
    block.lines.delete(line);
    block.bytes -= size(known);
    this.#bytes -= size(known);
  }

  clear(): void {
    this.#blocks.clear();
    this.#lost.clear();
    this.#bytes = 0;
  }

  // Blocks and bytes that are kept, for tests.
  get kept(): { blocks: number; bytes: number } {
    return { blocks: this.#blocks.size, bytes: this.#bytes };
  }

  #put(line: Raw): void {
    const at = blockOf(line.number);
    let block = this.#blocks.get(at);
    if (!block) {
      block = { lines: new Map(), bytes: 0, used: 0 };
      this.#blocks.set(at, block);
    }
    this.forget(line.number);
    block.used = ++this.#clock;
    block.lines.set(line.number, line);
    block.bytes += size(line);
    this.#bytes += size(line);
  }

  #evict(): void {
    if (this.#blocks.size <= mostBlocks && this.#bytes <= mostBytes) return;
    const oldest = [...this.#blocks].sort(([, a], [, b]) => a.used - b.used);
    // The newest ones stay in any case: they are what is shown.
    for (const [at, block] of oldest.slice(0, -3)) {
      if (this.#blocks.size <= mostBlocks && this.#bytes <= mostBytes) return;
      this.#blocks.delete(at);
      this.#bytes -= block.bytes;
    }
  }
}

const blockOf = (line: number) => Math.floor((line - 1) / blockLines);
const size = (line: Raw) => line.text.length + 100;

// Lines of a log that arrive as bytes while it is written.
export class Tail {
  #pending: Uint8Array[] = [];
  // Bytes of the line that has not ended; only its first ones are kept.
  #length = 0;
  #kept = 0;
  #number: number;
  #offset: number;
  #style: Style;
  readonly #styleAfter: (bytes: Uint8Array, start: Style) => Style;

  // number, offset and style are those of the begin of a line.
  constructor(at: { number: number; offset: number; style?: Style }, styleAfter: (bytes: Uint8Array, start: Style) => Style) {
    this.#number = at.number;
    this.#offset = at.offset;
    this.#style = at.style ?? plainStyle;
    this.#styleAfter = styleAfter;
  }

  // Where the bytes that come next are in the log.
  get next(): number {
    return this.#offset + this.#length;
  }

  // How many lines there are, with one that has not ended.
  get count(): number {
    return this.#number - 1 + (this.#length > 0 ? 1 : 0);
  }

  // Takes bytes that follow those before, and returns the lines that ended with them, at most the
  // last `most` of them, with the one that goes on.
  add(bytes: Uint8Array, time: number | undefined, most: number): Raw[] {
    const ended: Raw[] = [];
    let from = this.#skip(bytes, most);
    for (let at = bytes.indexOf(10, from); at >= 0; at = bytes.indexOf(10, from)) {
      this.#keep(bytes.subarray(from, at));
      ended.push(this.#line(time, false));
      this.#offset += this.#length + 1;
      this.#style = this.#styleAfter(this.#joined(), this.#style);
      this.#number++;
      this.#pending = [];
      this.#length = this.#kept = 0;
      from = at + 1;
    }
    this.#keep(bytes.subarray(from));
    if (this.#length > 0) ended.push(this.#line(time, true));
    return ended.slice(-most);
  }

  // Passes over all lines but the last ones without making them: a log that is written faster than
  // anybody reads must not stop the page. Returns where the rest begins.
  #skip(bytes: Uint8Array, most: number): number {
    const ends: number[] = [];
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) ends.push(at);
    const skipped = ends.length - most;
    const end = ends[skipped - 1];
    if (end === undefined) return 0;
    // The line that began before these bytes ends in them, maybe within a sequence.
    this.#keep(bytes.subarray(0, ends[0]));
    this.#style = this.#styleAfter(bytes.subarray(ends[0], end), this.#styleAfter(this.#joined(), this.#style));
    this.#number += skipped;
    this.#offset += this.#length + end + 1 - ends[0]!;
    this.#pending = [];
    this.#length = this.#kept = 0;
    return end + 1;
  }

  #keep(piece: Uint8Array): void {
    this.#length += piece.length;
    if (piece.length === 0 || this.#kept >= longest) return;
    // A copy: the piece is a part of a whole message.
    const first = piece.slice(0, longest - this.#kept);
    this.#pending.push(first);
    this.#kept += first.length;
  }

  #line(time: number | undefined, open: boolean): Raw {
    return { number: this.#number, offset: this.#offset, length: this.#length, text: this.#joined(), style: this.#style, time, ...(open ? { open } : {}) };
  }

  #joined(): Uint8Array {
    if (this.#pending.length > 1) {
      const whole = new Uint8Array(this.#kept);
      let at = 0;
      for (const piece of this.#pending) {
        whole.set(piece, at);
        at += piece.length;
      }
      this.#pending = [whole];
    }
    return this.#pending[0] ?? new Uint8Array();
  }
}
