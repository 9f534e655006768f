import { batch, useComputed, useSignal, type ReadonlySignal, type Signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { number } from "../format";
import { times, wrap, zone } from "../preferences";
import { words } from "../words";
import { Folds } from "./folds";
import type { LogModel } from "./model";
import { barSize, before, end, fromBar, isExact, moveBy, reveal, showRow, toBar, top, type Position, type Rows } from "./position";
import { holds, type LineRange } from "./range";
import { Row, timeOf } from "./row";
import { isFolded, type Section } from "./sections";

// Height of a row that is not wrapped, as the style sheet has it.
export const rowHeight = 19;

// What the page around the rows can do with them.
export interface Handle {
  // Shows a line, and opens the sections that it is in.
  show(line: number, share?: number): void;
  start(): void;
  end(): void;
  focus(): void;
  // Moves the line that keys act on.
  step(by: number): void;
  // The first line that is shown.
  first(): number;
}

// What the rows show and change.
export interface Shared {
  model: LogModel;
  follow: Signal<boolean>;
  // The line that keys act on.
  current: Signal<number>;
  selected: ReadonlySignal<LineRange | undefined>;
  // Sections that were folded (true) or opened by hand.
  folded: Signal<ReadonlyMap<number, boolean>>;
}

interface Props extends Shared {
  label: string;
  began: number | undefined;
  href: (line: number) => string;
  select: (line: number, extend: boolean) => void;
  openWhole: (line: number) => void;
  handle: { current: Handle | undefined };
}

// The rows of the log: as many elements as fit the window, over a scroller that only stands for
// the length.
export function Grid({ model, follow, current, selected, folded, label, began, href, select, openWhole, handle }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const rowsBox = useRef<HTMLDivElement>(null);
  const at = useSignal<Position>(top);
  const size = useSignal({ height: 600, width: 800 });
  const measured = useSignal(0);
  // Heights of wrapped lines by their number, for one width.
  const heights = useRef(new Map<number, number>());
  const lastBar = useRef(0);
  const widest = useRef(0);

  const wrapped = wrap.value === "on";
  const count = model.count.value ?? 0;
  const revision = model.revision.value;
  const sections = model.sections.value;
  // Lines that were shown on request, the newest last: sections that are found later leave them open.
  const asked = useSignal<readonly number[]>([]);
  const foldsAndHeads = useComputed(() => {
    const found = model.sections.value;
    const changed = folded.value;
    const open = asked.value;
    const heads = new Map<number, Section>(found.map((section) => [section.start, section]));
    const hidden = found.filter((section) => isFolded(section, changed, open)).map((section) => ({ from: section.start + 1, to: section.end === Infinity ? Number.MAX_SAFE_INTEGER : section.end }));
    return { folds: new Folds(hidden), heads };
  });
  const { folds, heads } = foldsAndHeads.value;
  const view = Math.max(rowHeight, size.value.height);
  const rows = useMemo(
    (): Rows => ({ count: folds.rows(count), fixed: wrapped ? undefined : rowHeight, height: wrapped ? (row) => heights.current.get(folds.line(row)) ?? rowHeight : () => rowHeight }),
    [folds, count, wrapped, measured.value],
  );
  const total = barSize(rows, rowHeight, view);
  const now = { rows, total, view, folds };
  const latest = useRef(now);
  latest.current = now;

  // The line at the upper edge, which stays there when sections are folded.
  const edge = useRef({ folds, line: 1 });
  const setPlace = (next: Position) => {
    at.value = next;
    edge.current = { folds: latest.current.folds, line: latest.current.folds.line(next.row) };
  };
  // Moves the view, and the bar with it.
  const place = (next: Position) => {
    const { rows: all, total: whole, view: height } = latest.current;
    setPlace(next);
    const element = scroller.current;
    if (!element) return;
    const wanted = toBar(all, next, whole, height);
    if (Math.abs(element.scrollTop - wanted) > 0.5) element.scrollTop = wanted;
    lastBar.current = element.scrollTop;
  };
  // After the reader moved: at the end of a log that grows the view sticks to it.
  const moved = (next: Position) => {
    const { rows: all, view: height } = latest.current;
    follow.value = !model.done.value && !before(next, end(all, height));
    place(next);
  };
  const unfold = (line: number) => {
    if (!latest.current.folds.hides(line)) {
      if (model.sectionsState.value !== "known") asked.value = [...asked.value, line].slice(-200);
      return;
    }
    const opened = new Map(folded.value);
    for (const section of model.sections.value) if (section.start < line && line <= section.end) opened.delete(section.start);
    batch(() => {
      folded.value = opened;
      asked.value = [...asked.value, line].slice(-200);
    });
    const after = foldsAndHeads.value.folds;
    latest.current = { ...latest.current, folds: after, rows: { ...latest.current.rows, count: after.rows(model.count.value ?? 0), height: wrapped ? (row) => heights.current.get(after.line(row)) ?? rowHeight : () => rowHeight } };
  };
  handle.current = {
    show: (line, share = 0.3) => {
      if (scroller.current?.scrollLeft === 0) widest.current = 0;
      unfold(line);
      const { rows: all, view: height, folds: lines } = latest.current;
      current.value = Math.max(1, Math.min(line, model.count.value ?? 1));
      moved(showRow(all, lines.row(current.value), height, share));
      if (line < (model.count.value ?? 0)) follow.value = false;
    },
    start: () => {
      current.value = 1;
      moved(top);
    },
    end: () => {
      current.value = Math.max(1, model.count.value ?? 1);
      moved(end(latest.current.rows, latest.current.view));
    },
    focus: () => scroller.current?.focus({ preventScroll: true }),
    step: (by) => move(stepped(by), false),
    first: () => latest.current.folds.line(at.value.row),
  };

  // The size of the window.
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const observer = new ResizeObserver(() => {
      const next = { height: element.clientHeight, width: element.clientWidth };
      if (next.width !== size.value.width) heights.current.clear();
      size.value = next;
    });
    observer.observe(element);
    size.value = { height: element.clientHeight, width: element.clientWidth };
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    heights.current.clear();
    widest.current = 0;
    measured.value++;
  }, [wrapped, times.value]);

  useLayoutEffect(() => {
    if (edge.current.folds === folds || follow.value) return;
    const { line } = edge.current;
    const row = folds.row(line);
    place(moveBy(rows, { row, px: folds.hides(line) ? 0 : Math.min(at.value.px, rows.height(row) - 1) }, 0, view));
  }, [folds]);

  // The end of a log that grows, and the bar after a change of the length.
  useLayoutEffect(() => {
    if (follow.value) place(end(rows, view));
    else {
      const last = end(rows, view);
      place(before(last, at.value) ? last : at.value);
    }
  }, [rows, total, view, follow.value]);

  // What is shown.
  const first = at.value.row;
  const shownRows: number[] = [];
  for (let row = first, y = -at.value.px; row < rows.count && y < view; row++) {
    shownRows.push(row);
    // Rows that were not measured may be low: a few more than enough.
    y += rows.height(row);
  }
  const lines = shownRows.map((row) => folds.line(row));
  // The first line of a folded section is known by its title.
  const wanted = lines.filter((line) => !heads.has(line) || !isFolded(heads.get(line)!, folded.value, asked.value));
  const wantedKey = `${lines[0]} ${lines.at(-1)} ${lines.length} ${wanted.length}`;
  useEffect(() => {
    if (count > 0) model.want(wanted);
  }, [model, wantedKey, count, revision]);

  // Heights of wrapped rows are corrected as they are known, and the width of the longest row.
  useLayoutEffect(() => {
    const box = rowsBox.current;
    if (!box) return;
    if (!wrapped) {
      if (widest.current === 0) box.style.minInlineSize = "";
      if (box.scrollWidth > widest.current) {
        widest.current = box.scrollWidth;
        box.style.minInlineSize = `max(100%, ${widest.current}px)`;
      }
      return;
    }
    box.style.minInlineSize = "";
    if (heights.current.size > 20_000) heights.current.clear();
    let changed = false;
    for (const element of box.children) {
      const line = Number(element.id.slice(5));
      const height = element.getBoundingClientRect().height;
      if (height > 0 && Math.abs((heights.current.get(line) ?? rowHeight) - height) > 0.1) {
        heights.current.set(line, height);
        changed = true;
      }
    }
    if (changed) measured.value++;
  });

  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    // Where a pixel of the bar is more than one of the rows, the wheel moves by its own pixels.
    const wheel = (event: WheelEvent) => {
      const { rows: all, view: height } = latest.current;
      if (event.deltaY < 0) follow.value = false;
      if (isExact(all) || event.ctrlKey || event.shiftKey || event.deltaY === 0) return;
      event.preventDefault();
      const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? rowHeight : event.deltaMode === WheelEvent.DOM_DELTA_PAGE ? height : 1;
      moved(moveBy(all, at.value, event.deltaY * unit, height));
      if (event.deltaX) element.scrollLeft += event.deltaX * unit;
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  }, []);

  const scrolled = () => {
    const element = scroller.current;
    if (!element) return;
    const bar = element.scrollTop;
    const by = bar - lastBar.current;
    if (Math.abs(by) < 0.6) return;
    lastBar.current = bar;
    const { rows: all, total: whole, view: height } = latest.current;
    // A finger moves by less than a window at a time, the bar by far more.
    const exact = isExact(all);
    const finger = !exact && Math.abs(by) <= height && bar > 0 && bar < whole - height;
    const next = finger ? moveBy(all, at.value, by, height) : fromBar(all, bar, whole, height);
    setPlace(next);
    follow.value = !model.done.value && !before(next, exact ? moveBy(all, end(all, height), -2, height) : end(all, height));
  };
  const settled = () => place(at.value);

  const move = (line: number, extend: boolean) => {
    const { folds: known } = latest.current;
    const clipped = Math.max(1, Math.min(line, model.count.value ?? 1));
    if (extend) select(clipped, true);
    current.value = clipped;
    const { rows: all, view: height } = latest.current;
    moved(reveal(all, at.value, known.row(clipped), height));
  };
  const stepped = (by: number) => {
    const { folds: known, rows: all, view: height } = latest.current;
    // The keys go on from what is seen, wherever the view was moved to.
    const row = known.row(current.value);
    const seen = row >= at.value.row && row <= at.value.row + Math.ceil(height / rowHeight);
    const next = seen ? row + by : at.value.row + (at.value.px > 0 ? 1 : 0);
    return known.line(Math.max(0, Math.min(all.count - 1, next)));
  };
  const page = (sign: 1 | -1, extend: boolean) => {
    const { rows: all, view: height, folds: known } = latest.current;
    const next = moveBy(all, at.value, sign * Math.max(rowHeight, height - 2 * rowHeight), height);
    const row = known.row(current.value) + (next.row - at.value.row);
    const line = known.line(Math.max(0, Math.min(all.count - 1, row)));
    if (extend) select(line, true);
    current.value = line;
    moved(next);
  };
  const toggle = (line: number) => {
    const section = heads.get(line);
    if (!section) return;
    folded.value = new Map(folded.value).set(line, !isFolded(section, folded.value, asked.value));
  };
  const press = (event: KeyboardEvent) => {
    if (event.altKey || ((event.ctrlKey || event.metaKey) && event.key !== "Home" && event.key !== "End")) return;
    const acts: Record<string, () => void> = {
      ArrowDown: () => move(stepped(1), event.shiftKey),
      ArrowUp: () => move(stepped(-1), event.shiftKey),
      PageDown: () => page(1, event.shiftKey),
      PageUp: () => page(-1, event.shiftKey),
      " ": () => page(event.shiftKey ? -1 : 1, false),
      Home: () => {
        if (event.shiftKey) select(1, true);
        handle.current?.start();
      },
      End: () => {
        if (event.shiftKey) select(model.count.value ?? 1, true);
        handle.current?.end();
      },
      Enter: () => (heads.has(current.value) ? toggle(current.value) : select(current.value, event.shiftKey)),
      ArrowLeft: () => {
        const section = heads.get(current.value);
        if (section && !isFolded(section, folded.value, asked.value)) toggle(current.value);
        else scroller.current?.scrollBy({ left: -80 });
      },
      ArrowRight: () => {
        const section = heads.get(current.value);
        if (section && isFolded(section, folded.value, asked.value)) toggle(current.value);
        else scroller.current?.scrollBy({ left: 80 });
      },
    };
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };
  const click = (event: MouseEvent) => {
    const target = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-line]") : null;
    if (!target || event.ctrlKey || event.metaKey || event.button !== 0) return;
    event.preventDefault();
    const line = Number(target.dataset.line);
    current.value = line;
    if (target.dataset.act === "fold") toggle(line);
    else if (target.dataset.act === "whole") openWhole(line);
    else select(line, event.shiftKey);
  };

  const search = model.search.value;
  const hitNow = search?.at === undefined ? undefined : search.hits.line(search.at);
  const digits = Math.max(3, String(count).length);
  let lastTime: number | undefined;
  return (
    <div role="log" aria-live="off" aria-label={label} class="log-region">
      <div
        ref={scroller}
        class={`log-scroller${wrapped ? " wrapped" : ""}`}
        role="grid"
        aria-readonly="true"
        aria-multiselectable="true"
        aria-label={label}
        aria-describedby="log-help"
        aria-rowcount={count}
        aria-activedescendant={lines.includes(current.value) ? `line-${current.value}` : undefined}
        tabIndex={0}
        onScroll={scrolled}
        onScrollEnd={settled}
        onKeyDown={press}
        onClick={click}
      >
        <div class="log-space" style={{ blockSize: `${total}px` }}>
          <div class="log-window" style={{ blockSize: `${Math.min(view, total)}px` }}>
            <div ref={rowsBox} class="log-rows" role="rowgroup" style={{ transform: `translateY(${-at.value.px}px)` }}>
              {lines.map((line) => {
                const raw = model.raw(line);
                const section = heads.get(line);
                const time = timeOf(times.value, raw?.time, lastTime, began, zone.value);
                lastTime = raw?.time ?? lastTime;
                return (
                  <Row
                    key={line}
                    of={{
                      line,
                      raw,
                      shown: raw && model.shown(raw),
                      lost: !raw && model.isLost(line),
                      href: href(line),
                      selected: holds(selected.value, line),
                      current: line === current.value,
                      hit: hitNow === line ? "now" : search?.hits.has(line) ? "hit" : "no",
                      query: search?.query,
                      section,
                      folded: section && isFolded(section, folded.value, asked.value) ? Math.min(section.end, count) - section.start : 0,
                      depth: section ? section.depth : depthOf(sections, line),
                      time,
                      digits,
                    }}
                  />
                );
              })}
            </div>
          </div>
        </div>
      </div>
      <p id="log-help" class="hidden">
        {words.log.help} {words.log.lines(number(count))}
      </p>
    </div>
  );
}

// In how many sections a line is.
function depthOf(sections: readonly Section[], line: number): number {
  let [low, high] = [0, sections.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sections[middle]!.start < line) low = middle + 1;
    else high = middle;
  }
  // The innermost one is the last that began before and has not ended.
  for (let i = low - 1; i >= 0 && i > low - 50; i--) if (sections[i]!.end >= line) return sections[i]!.depth + 1;
  return 0;
}
