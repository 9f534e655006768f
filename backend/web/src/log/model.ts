import { batch, signal } from "@preact/signals";
import { cancelled, client } from "../api";
import { now } from "../clock";
import { millis } from "../format";
import { ExecutionService, type ReadLogResponse } from "../gen/headrace/v1/execution_pb";
import { Hits, type Query } from "./hits";
import { parseLine, styleAfter, type Line } from "./line";
import { Lines, longest, Tail, type Raw } from "./lines";
import type { LineRange } from "./range";
import { markerOf, markerPattern, sectionsOf, type Marked, type Section } from "./sections";
import { applySgr, plainStyle } from "./sgr";

// Up to this size the sections are looked for without being asked: the server reads the whole log
// for it.
export const sectionsUnasked = 96 << 20;

// Lines that a request asks for, and that are fetched around those that are shown.
const requestLines = 400;
const around = 150;

// Lines of a message of a log that grows which are kept: more than a window shows.
const tailLines = 120;

// A log that grows faster than this is not followed byte by byte, but read at its end.
const fastest = 8 << 20;

// So many bytes after the end of what was received the log is read at its end.
const behind = 4 << 20;

// The bounds of a copy.
export const copyLines = 100_000;
const copyBytes = 16 << 20;

// Of one line, in a copy or whole.
const wholeBytes = 1 << 20;

export type Searching = { query: Query; hits: Hits; at: number | undefined; running: boolean; incomplete: string; error: unknown };

// The log of one action execution: what the server says of it, the lines that are near those that
// are shown, and what was searched for. It holds a bounded part of the log.
export class LogModel {
  // Changes when something arrived, at most once a frame.
  readonly revision = signal(0);
  // How many lines the log has; undefined before it is known.
  readonly count = signal<number | undefined>(undefined);
  readonly bytes = signal(0);
  // The log grows no more.
  readonly done = signal(false);
  readonly error = signal<unknown>(undefined);
  readonly sections = signal<readonly Section[]>([]);
  // Whether sections are looked for: "no" before, and where it was not done.
  readonly sectionsState = signal<"no" | "running" | "known">("no");
  readonly search = signal<Searching | undefined>(undefined);

  readonly #request: { name: string; actionExecutionId: string };
  readonly #began: number | undefined;
  readonly #lines = new Lines();
  readonly #parsed = new WeakMap<Raw, Line>();
  readonly #ends = new Map<number, Line | null>();
  #life = new AbortController();
  #wanted: readonly number[] = [];
  #reading = false;
  #resting = false;
  #tail: AbortController | undefined;
  #frame = 0;
  // How long the log has become since the last frame.
  #grown: { count: number; bytes: number } | undefined;
  #markedMore = false;
  #markedAll = true;
  #marked: Marked[] = [];
  #searching: AbortController | undefined;
  #failed = false;
  // From which line on sections do not fold by themselves.
  #openFrom = Infinity;

  // began is when the action started, in milliseconds.
  constructor(execution: string, id: string, began: number | undefined) {
    this.#request = { name: execution, actionExecutionId: id };
    this.#began = began;
  }

  // Reads and follows the log until the returned function is called.
  start(): () => void {
    this.#life = new AbortController();
    const seen = () => {
      if (document.visibilityState === "visible") void this.#follow();
      else this.#tail?.abort();
    };
    document.addEventListener("visibilitychange", seen);
    void this.#begin();
    return () => {
      document.removeEventListener("visibilitychange", seen);
      this.#life.abort();
      this.#tail?.abort();
      this.#searching?.abort();
      cancelAnimationFrame(this.#frame);
    };
  }

  // Tries again after an error.
  retry(): void {
    this.error.value = undefined;
    void this.#begin();
  }

  // The line, if it is known: then want it.
  raw(line: number): Raw | undefined {
    return this.#lines.get(line);
  }

  isLost(line: number): boolean {
    return this.#lines.isLost(line);
  }

  // What a line shows.
  shown(raw: Raw): Line {
    let line = this.#parsed.get(raw);
    if (!line) {
      line = parseLine(raw.text, raw.style);
      this.#parsed.set(raw, line);
    }
    // Of a long line that was rewritten the last state is at its end.
    if (raw.length > longest && line.rewrites > 0) {
      const end = this.#ends.get(raw.number);
      if (end) return end;
      if (end === undefined) void this.#readEnd(raw, line);
    }
    return line;
  }

  // Fetches those of the lines that are not known, and some before and after them. Lines are in
  // order, and may have gaps where others are folded.
  want(lines: readonly number[]): void {
    this.#wanted = lines;
    void this.#read();
  }

  // Tells whether the action failed, which opens the section where it did.
  setFailed(failed: boolean): void {
    if (this.#failed === failed) return;
    this.#failed = failed;
    this.#makeSections();
  }

  async #begin(): Promise<void> {
    try {
      const stat = await client(ExecutionService).statLog(this.#request, { signal: this.#life.signal });
      this.bytes.value = Number(stat.sizeBytes);
      this.done.value = stat.done;
      this.count.value = Number(stat.lineCount);
      if (this.bytes.value <= sectionsUnasked) void this.findSections();
      if (!stat.done) void this.#follow();
      void this.#read();
    } catch (error) {
      if (!cancelled(error)) this.error.value = error;
    }
  }

  async #read(): Promise<void> {
    if (this.#reading || this.count.value === undefined || this.#resting) return;
    this.#reading = true;
    try {
      for (let next = this.#next(); next !== undefined; next = this.#next()) {
        const answer = await this.#lineRange(next.from, next.count, this.#life.signal);
        const lines = this.#raws(answer);
        // Without lines, all up to the end were lost, or the log is shorter than it was.
        this.#lines.add(lines, next.from, lines.length === 0 ? next.from + next.count : undefined);
        this.error.value = undefined;
        this.#changed();
      }
    } catch (error) {
      if (!cancelled(error)) {
        this.error.value = error;
        void this.#rest();
      }
    } finally {
      this.#reading = false;
    }
  }

  // After an error nothing is read for a moment.
  async #rest(): Promise<void> {
    this.#resting = true;
    await pause(2000, this.#life.signal);
    this.#resting = false;
    if (!this.#life.signal.aborted) void this.#read();
  }

  // What to ask for: the first line that is shown and not known, with those that follow; then lines
  // after and before those that are shown.
  #next(): { from: number; count: number } | undefined {
    const last = this.count.value ?? 0;
    const wanted = this.#wanted;
    const [first, end] = [wanted[0], wanted.at(-1)];
    if (first === undefined || end === undefined || last === 0 || this.#life.signal.aborted) return undefined;
    for (const [i, line] of wanted.entries()) {
      if (line > last || this.#lines.get(line) || this.#lines.isLost(line)) continue;
      // Where a section is folded the next line that is shown is far: it costs a request of its own.
      let count = 1;
      while (i + count < wanted.length && wanted[i + count] === line + count) count++;
      return { from: line, count: i + count === wanted.length ? Math.max(count, requestLines) : count };
    }
    const after = this.#lines.missing(Math.min(end, last), Math.min(end + around, last));
    if (after !== undefined) return { from: after, count: requestLines };
    const before = this.#lines.missing(Math.max(1, first - around), Math.min(first, last));
    return before === undefined ? undefined : { from: before, count: Math.max(1, first - before) };
  }

  #lineRange(from: number, count: number, abort: AbortSignal): Promise<ReadLogResponse> {
    return client(ExecutionService).readLog({ ...this.#request, start: { case: "lineNumber", value: BigInt(from) }, maxLines: Math.min(5000, count) }, { signal: abort });
  }

  #raws(answer: ReadLogResponse): Raw[] {
    const time = millis(answer.writeTime) ?? this.#began;
    return answer.lines.map((line) => ({
      number: Number(line.number),
      offset: Number(line.offset),
      length: Number(line.length),
      // A copy: the answer's buffer would stay as a whole.
      text: line.text.slice(),
      style: line.sgr ? applySgr(plainStyle, line.sgr) : plainStyle,
      time,
    }));
  }

  async #readEnd(raw: Raw, line: Line): Promise<void> {
    this.#ends.set(raw.number, null);
    if (this.#ends.size > 2000) this.#ends.clear();
    try {
      const data = await this.#bytes(raw.offset + raw.length - longest / 2, longest / 2);
      const last = parseLine(data);
      // The first state is only the rest of one.
      if (last.rewrites > 0) this.#ends.set(raw.number, { ...last, first: line.first, rewrites: Math.max(line.rewrites, last.rewrites) });
      this.#changed();
    } catch {
      // The first part of the line stays.
    }
  }

  async #bytes(offset: number, length: number): Promise<Uint8Array> {
    const found: Uint8Array[] = [];
    let size = 0;
    while (size < length) {
      const answer = await client(ExecutionService).readLog({ ...this.#request, start: { case: "offset", value: BigInt(offset + size) }, maxBytes: Math.min(262_144, length - size) }, { signal: this.#life.signal });
      if (answer.data.length === 0) break;
      found.push(answer.data);
      size += answer.data.length;
    }
    const whole = new Uint8Array(size);
    let at = 0;
    for (const piece of found) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }

  // Bytes of a line, from a place in it on.
  linePart(raw: Raw, from: number, length: number): Promise<Uint8Array> {
    return this.#bytes(raw.offset + from, Math.min(length, raw.length - from));
  }

  // The text of a range of lines as it is shown, one a line. It is cut at 16 MiB.
  async text(range: LineRange, abort: AbortSignal = this.#life.signal): Promise<{ text: string; cut: boolean }> {
    const found: string[] = [];
    let size = 0;
    for (let from = range.from; from <= range.to; ) {
      let lines: Raw[] = [];
      // What is known needs no request.
      for (let line = from; line <= range.to && line < from + 1000; line++) {
        const known = this.#lines.get(line);
        if (!known || known.open) break;
        lines.push(known);
      }
      if (lines.length === 0) lines = this.#raws(await this.#lineRange(from, range.to - from + 1, abort));
      if (lines.length === 0) break;
      for (const raw of lines) {
        const text = raw.length > longest ? parseLine(await this.linePart(raw, 0, wholeBytes), raw.style).text : this.shown(raw).text;
        size += text.length + 1;
        found.push(text);
        if (size > copyBytes) return { text: found.join("\n"), cut: true };
      }
      from = lines.at(-1)!.number + 1;
    }
    return { text: found.join("\n"), cut: false };
  }

  // Streams the log as it was written to the function, until the end that it has now.
  async download(take: (bytes: Uint8Array) => void, abort: AbortSignal): Promise<void> {
    for await (const piece of client(ExecutionService).tailLog(this.#request, { signal: abort })) take(piece.data);
  }

  // Follows the log while it grows and the page is visible.
  async #follow(): Promise<void> {
    if (this.done.value || document.visibilityState !== "visible" || this.#life.signal.aborted) return;
    this.#tail?.abort();
    const abort = (this.#tail = new AbortController());
    for (let wait = 250; !abort.signal.aborted && !this.done.value; wait = Math.min(wait * 2, 3000)) {
      const began = Date.now();
      try {
        await this.#tailOnce(abort.signal);
        await this.#restat(abort.signal);
      } catch {
        // Whatever it was: the server may be restarting.
        if (abort.signal.aborted) return;
      }
      if (Date.now() - began > 5000) wait = 250;
      if (!this.done.value) await pause(wait / 2 + (Math.random() * wait) / 2, abort.signal);
    }
  }

  async #tailOnce(abort: AbortSignal): Promise<void> {
    const last = await client(ExecutionService).readLog({ ...this.#request, start: { case: "lineNumber", value: -1n } }, { signal: abort });
    const line = last.lines.at(-1);
    const tail = new Tail(line ? { number: Number(line.number), offset: Number(line.offset), style: line.sgr ? applySgr(plainStyle, line.sgr) : plainStyle } : { number: 1, offset: Number(last.offset) }, styleAfter);
    let second = Date.now();
    let received = 0;
    let turn = performance.now();
    for await (const piece of client(ExecutionService).tailLog({ ...this.#request, offset: BigInt(tail.next), follow: true }, { signal: abort })) {
      // A part was lost: read again where the log is.
      if (Number(piece.offset) !== tail.next) return;
      const lines = tail.add(piece.data, now.value, tailLines);
      const first = lines[0];
      if (first) {
        this.#lines.add(lines, first.number);
        this.#mark(lines);
      }
      this.#grown = { count: tail.count, bytes: tail.next };
      this.#changed();
      received += piece.data.length;
      if (received > fastest) return;
      if (Date.now() - second > 1000) {
        // What comes slower than it is written is given up for the end of the log.
        if (received > behind / 4 && (await this.#size(abort)) - tail.next > behind) return;
        [second, received] = [Date.now(), 0];
      }
      // The page is drawn, and answers to its reader, between the messages.
      if (performance.now() - turn > 10) {
        await nextFrame();
        turn = performance.now();
      }
    }
  }

  async #size(abort: AbortSignal): Promise<number> {
    return Number((await client(ExecutionService).statLog(this.#request, { signal: abort })).sizeBytes);
  }

  async #restat(abort: AbortSignal): Promise<void> {
    const stat = await client(ExecutionService).statLog(this.#request, { signal: abort });
    // The last line may have been read before its end was there.
    this.#applyGrown();
    if (this.count.value !== undefined) this.#lines.forget(this.count.value);
    this.bytes.value = Number(stat.sizeBytes);
    this.count.value = Number(stat.lineCount);
    if (stat.done) {
      this.done.value = true;
      if (this.bytes.value <= sectionsUnasked || this.sectionsState.value === "known") void this.findSections();
    }
    this.#changed();
    void this.#read();
  }

  #mark(lines: readonly Raw[]): void {
    if (this.sectionsState.value !== "known" || !this.#markedAll) return;
    for (const raw of lines) {
      if (raw.open || raw.number <= (this.#marked.at(-1)?.line ?? 0)) continue;
      const line = this.shown(raw);
      const marker = markerOf(line.first, line.text);
      if (!marker) continue;
      this.#marked.push({ line: raw.number, marker });
      this.#markedMore = true;
    }
  }

  #makeSections(): void {
    if (this.sectionsState.value !== "known") return;
    const lines = this.count.value ?? 0;
    if (!this.done.value && this.#openFrom === Infinity) {
      // What runs when the reader comes stays open, and all that comes after it.
      const open = sectionsOf(this.#marked, lines, false).find((section) => section.end === Infinity && section.collapsed);
      this.#openFrom = open?.start ?? lines + 1;
    }
    const found = sectionsOf(this.#marked, lines, this.#failed, this.#openFrom).filter((section) => !this.done.value || section.start < lines);
    // Where not all markers are known nobody knows where the last sections end.
    this.sections.value = this.#markedAll ? found : found.filter((section) => section.end !== Infinity);
  }

  // Looks for the sections of the whole log on the server.
  async findSections(): Promise<void> {
    if (this.sectionsState.value === "running") return;
    this.sectionsState.value = "running";
    const marked: Marked[] = [];
    let incomplete = false;
    try {
      const answers = client(ExecutionService).searchLogs({ parent: this.#request.name, actionExecutionId: this.#request.actionExecutionId, pattern: markerPattern, regularExpression: true, maxMatches: 10_000 }, { signal: this.#life.signal });
      for await (const { result } of answers) {
        if (result.case === "summary") incomplete = result.value.incomplete !== "";
        if (result.case !== "match") continue;
        const line = parseLine(result.value.line);
        const marker = markerOf(line.first, line.text);
        if (marker) marked.push({ line: Number(result.value.lineNumber), marker });
      }
      this.#marked = marked;
      this.#markedAll = !incomplete;
      this.sectionsState.value = "known";
      this.#makeSections();
    } catch {
      // The log is shown without sections; the button to find them stays.
      this.sectionsState.value = "no";
    }
    this.#changed();
  }

  // Searches the log on the server. found is called with the first hit at or after a line, or the
  // first one at all.
  async find(query: Query, from: number, found: (line: number) => void): Promise<void> {
    this.stopSearch();
    if (query.text === "") return;
    const abort = (this.#searching = new AbortController());
    const hits = new Hits();
    const state: Searching = { query, hits, at: undefined, running: true, incomplete: "", error: undefined };
    const tell = (more: Partial<Searching>) => {
      if (this.#searching !== abort) return;
      this.search.value = { ...(this.search.value ?? state), ...more };
    };
    this.search.value = state;
    const show = (last: boolean) => {
      if (this.search.value?.at !== undefined || hits.count === 0) return;
      const at = hits.from(from);
      if (at === hits.count && !last) return;
      tell({ at: at % hits.count });
      found(hits.line(at % hits.count) ?? 1);
    };
    try {
      const answers = client(ExecutionService).searchLogs(
        { parent: this.#request.name, actionExecutionId: this.#request.actionExecutionId, pattern: query.text, regularExpression: query.regularExpression, ignoreCase: !query.matchCase, wholeWord: query.wholeWord, maxMatches: 10_000 },
        { signal: abort.signal },
      );
      for await (const { result } of answers) {
        if (result.case === "match") {
          hits.add(Number(result.value.lineNumber));
          show(false);
          this.#changed();
        } else if (result.case === "summary") tell({ incomplete: result.value.incomplete });
      }
      show(true);
    } catch (error) {
      if (!cancelled(error)) tell({ error });
    }
    tell({ running: false });
  }

  // Ends the search and forgets its hits.
  stopSearch(): void {
    this.#searching?.abort();
    this.#searching = undefined;
    this.search.value = undefined;
  }

  // Goes to the next or previous hit, and returns its line.
  step(by: 1 | -1, line: number): number | undefined {
    const state = this.search.value;
    const at = state?.hits.step(state.at, by, line);
    if (!state || at === undefined) return undefined;
    this.search.value = { ...state, at };
    return state.hits.line(at);
  }

  #applyGrown(): void {
    if (!this.#grown) return;
    this.bytes.value = this.#grown.bytes;
    this.count.value = Math.max(this.count.value ?? 0, this.#grown.count);
    this.#grown = undefined;
  }

  #changed(): void {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      batch(() => {
        this.#applyGrown();
        if (this.#markedMore) this.#makeSections();
        this.#markedMore = false;
        this.revision.value++;
      });
    });
  }
}

// Waits until the page was drawn; a page that is not visible is not drawn.
function nextFrame(): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 200);
    requestAnimationFrame(() => {
      clearTimeout(timer);
      setTimeout(resolve);
    });
  });
}

function pause(ms: number, abort: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    abort.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
