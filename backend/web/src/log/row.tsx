import type { JSX } from "preact";
import { bytes, clock, duration, number } from "../format";
import type { Zone } from "../format";
import { words } from "../words";
import { paint } from "./colors";
import { matches, type Query } from "./hits";
import type { Line, Run } from "./line";
import { longest, type Raw } from "./lines";
import type { Section } from "./sections";

// What a row shows beside its line.
export interface RowLook {
  line: number;
  raw: Raw | undefined;
  shown: Line | undefined;
  lost: boolean;
  href: string;
  selected: boolean;
  current: boolean;
  hit: "no" | "hit" | "now";
  query: Query | undefined;
  section: Section | undefined;
  folded: number;
  depth: number;
  time: string | undefined;
  digits: number;
}

// One line of the log. Clicks are handled by the grid, by the attributes data-line and data-act.
export function Row({ of }: { of: RowLook }) {
  const { line, raw, shown, section } = of;
  const name = `log-row${of.selected ? " selected" : ""}${of.current ? " current" : ""}${of.hit === "no" ? "" : of.hit === "now" ? " hit now" : " hit"}${section ? " section" : ""}${section?.failed ? " failed" : ""}`;
  return (
    <div role="row" id={`line-${line}`} aria-rowindex={line} aria-selected={of.selected} class={name}>
      <div role="rowheader" class="log-number" style={{ inlineSize: `calc(${of.digits}ch + 20px)` }}>
        <a href={of.href} tabIndex={-1} data-line={line}>
          {line}
        </a>
      </div>
      {of.time !== undefined && (
        <div role="gridcell" class="log-time" title={of.time && words.log.timeHelp}>
          {of.time}
        </div>
      )}
      <div role="gridcell" class="log-text" style={of.depth > 0 ? { paddingInlineStart: `${8 + of.depth * 14}px` } : undefined}>
        {section && (
          <button type="button" class="log-fold" tabIndex={-1} data-act="fold" data-line={line} aria-expanded={of.folded === 0} aria-label={of.folded ? words.log.unfold(section.title) : words.log.fold(section.title)}>
            <svg viewBox="0 0 16 16" width="10" height="10" aria-hidden="true">
              <path d={of.folded ? "M5 2l7 6-7 6Z" : "M2 5l6 7 6-7Z"} fill="currentColor" />
            </svg>
          </button>
        )}
        {of.lost ? <span class="log-lost">{words.log.lost}</span> : section ? <Title of={section} shown={shown} query={of.query} /> : shown ? <Runs of={shown.runs} query={of.query} text={shown.text} /> : <span class="log-blank" aria-hidden="true" />}
        {of.folded > 0 && <span class="log-note">{words.log.folded(number(of.folded))}</span>}
        {raw && shown && raw.length > longest && (
          <button type="button" class="log-more" tabIndex={-1} data-act="whole" data-line={line}>
            {words.log.showAll(bytes(raw.length))}
          </button>
        )}
        {shown && shown.rewrites > 0 && !(section && shown.first !== shown.text) && (
          <button type="button" class="log-more" tabIndex={-1} data-act="whole" data-line={line}>
            {words.log.rewrites(number(shown.rewrites))}
          </button>
        )}
      </div>
    </div>
  );
}

// The title of a section, in the colors of its line if it is all that the line shows.
function Title({ of, shown, query }: { of: Section; shown: Line | undefined; query: Query | undefined }) {
  const whole = shown && shown.text.trim() === of.title ? shown : undefined;
  return (
    <strong>
      <Runs of={whole ? whole.runs : [{ text: of.title, style: {} }]} query={query} text={whole ? whole.text : of.title} />
      {of.failed && <span class="log-failed">{words.log.failedSection}</span>}
    </strong>
  );
}

function Runs({ of, query, text }: { of: readonly Run[]; query: Query | undefined; text: string }) {
  const marks = query ? matches(query, text) : [];
  if (marks.length === 0) return <bdi>{of.map((run, i) => <Piece key={i} run={run} text={run.text} />)}</bdi>;
  const pieces: JSX.Element[] = [];
  let start = 0;
  let next = 0;
  for (const run of of) {
    const end = start + run.text.length;
    for (let at = start; at < end; ) {
      while (next < marks.length && marks[next]![1] <= at) next++;
      const mark = marks[next];
      const within = mark !== undefined && mark[0] <= at;
      const to = Math.min(end, mark === undefined ? end : within ? mark[1] : mark[0]);
      const piece = <Piece key={`${at}`} run={run} text={text.slice(at, to)} />;
      pieces.push(within ? <mark key={`m${at}`}>{piece}</mark> : piece);
      at = to;
    }
    start = end;
  }
  return <bdi>{pieces}</bdi>;
}

// Text of one look. Text in the look of the page needs no element.
function Piece({ run, text }: { run: Run; text: string }) {
  const { style, link } = run;
  const { color, background } = paint(style);
  const name = [style.bold && "b", style.italic && "i", style.underline && "u", style.strike && "s"].filter(Boolean).join(" ");
  if (link) {
    return (
      <a href={link} target="_blank" rel="noopener noreferrer nofollow" tabIndex={-1} title={link} class={name || undefined} style={background ? { color, background } : undefined}>
        {text}
      </a>
    );
  }
  if (!color && !background && !name) return <>{text}</>;
  return (
    <span class={name || undefined} style={color || background ? { color, background } : undefined}>
      {text}
    </span>
  );
}

// The time beside a line: empty if the line before has the same one.
export function timeOf(mode: "off" | "elapsed" | "clock", time: number | undefined, before: number | undefined, began: number | undefined, zone: Zone): string | undefined {
  if (mode === "off") return undefined;
  if (time === undefined || (before !== undefined && Math.floor(time / 1000) === Math.floor(before / 1000))) return "";
  if (mode === "clock") return clock(time, zone).replace(/\s.*$/, "");
  return began === undefined ? "" : duration(Math.max(0, time - began));
}
