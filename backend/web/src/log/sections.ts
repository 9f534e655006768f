// Sections of a log, found by the markers that programs print: of GitHub, GitLab and Buildkite, our
// own "--- text ---", and commands that a shell echoes as "$ command".

// What a line means for the sections.
export type Marker =
  | { kind: "start"; of: "group"; title: string; collapsed: boolean }
  | { kind: "start"; of: "named"; name: string; title: string; collapsed: boolean }
  | { kind: "start"; of: "step"; title: string; collapsed: boolean }
  | { kind: "start"; of: "command"; title: string; collapsed: boolean }
  | { kind: "end"; of: "group" }
  | { kind: "end"; of: "named"; name: string }
  // The section that is open opens itself: Buildkite's ^^^ +++.
  | { kind: "open" }
  // The line is an error as GitHub marks it.
  | { kind: "error"; title: string };

// A regular expression of the server (RE2) for lines that may be markers. Sequences for terminals
// and the time that GitHub writes may stand before them.
export const markerPattern = String.raw`^(\d{4}-\d\d-\d\dT[0-9:.]+Z )?(\x1b\[[0-9;]*[A-Za-z])*(##\[(group|endgroup|error)\]|::(group|endgroup|error)\b|section_(start|end):\d+:|--- \S|\+\+\+ \S|~~~ \S|\^\^\^ \+\+\+|\$ \S)`;

// Reads a line without sequences; of one that was rewritten its first state, and what it shows.
export function markerOf(first: string, shown: string): Marker | undefined {
  const text = first.replace(/^\d{4}-\d\d-\d\dT[0-9:.]+Z /, "");
  const github = /^(?:##\[(group|endgroup|error)\]|::(group|endgroup|error)(?: [^:]*)?::)(.*)$/s.exec(text);
  if (github) {
    const title = (github[3] ?? "").trim();
    switch (github[1] ?? github[2]) {
      case "group":
        return { kind: "start", of: "group", title, collapsed: true };
      case "endgroup":
        return { kind: "end", of: "group" };
      default:
        return { kind: "error", title };
    }
  }
  const gitlab = /^section_(start|end):\d+:([A-Za-z0-9_.-]{1,200})(\[[^\]]*\])?/.exec(text);
  if (gitlab) {
    const name = gitlab[2] ?? "";
    if (gitlab[1] === "end") return { kind: "end", of: "named", name };
    return { kind: "start", of: "named", name, title: shown === first ? name : shown.trim() || name, collapsed: /[[,]collapsed=true[,\]]/.test(gitlab[3] ?? "") };
  }
  if (/^\^\^\^ \+\+\+/.test(text)) return { kind: "open" };
  const step = /^(---|\+\+\+|~~~) (\S.*)$/s.exec(text);
  if (step) {
    const title = (step[2] ?? "").replace(/ ---$/, "").trim();
    // Results of Go's tests begin like a step, and sentences of the server about the log.
    const note = title !== (step[2] ?? "").trim() && (title.length > 48 || /: | bytes of the log /.test(title));
    if (!note && !/^(PASS|FAIL|SKIP|BENCH): /.test(title)) return { kind: "start", of: "step", title, collapsed: step[1] === "~~~" };
  }
  if (/^\$ \S/.test(text)) return { kind: "start", of: "command", title: text.trim(), collapsed: false };
  return undefined;
}

// A part of a log that can be folded: its first line says what it is.
export interface Section {
  // Number of the first line, from 1.
  start: number;
  // Number of the last line; Infinity while it is open.
  end: number;
  title: string;
  // How many sections it is in.
  depth: number;
  // Folded until somebody opens it.
  collapsed: boolean;
  // An error is in it.
  failed: boolean;
}

// A line that is a marker.
export interface Marked {
  line: number;
  marker: Marker;
}

// The sections of a log by the markers of its lines, in the order of their lines. lines is how many
// lines the log has. If the action failed, what was open at the end of the log counts as failed.
// Sections from the line openFrom on do not fold by themselves: somebody follows them.
export function sectionsOf(marked: readonly Marked[], lines: number, failed: boolean, openFrom = Infinity): Section[] {
  const found: Section[] = [];
  let open: { section: Section; of: string; name: string }[] = [];
  const close = (from: number, end: number) => {
    for (const one of open.slice(from)) one.section.end = end;
    open = open.slice(0, from);
  };
  for (const [i, { line, marker }] of marked.entries()) {
    if (isDiff(marked, i)) continue;
    if (marker.kind === "error") for (const one of open) one.section.failed = true;
    else if (marker.kind === "open") for (const one of open) one.section.collapsed = false;
    else if (marker.kind === "end") {
      const at = open.findLastIndex((one) => one.of === marker.of && (marker.of === "group" || one.name === marker.name));
      if (at >= 0) close(at, line);
    } else {
      const at = closes(open, marker);
      if (at >= 0) close(at, line - 1);
      const section: Section = { start: line, end: Infinity, title: marker.title, depth: open.length, collapsed: marker.collapsed && line < openFrom, failed: false };
      found.push(section);
      open.push({ section, of: marker.of, name: marker.of === "named" ? marker.name : "" });
    }
  }
  if (failed) for (const one of open) one.section.failed = true;
  // The last one that ended may be what failed: the program stops after it.
  const last = found.at(-1);
  if (failed && open.length === 0 && last && lines - last.end < 20) for (const section of found) if (section.start <= last.start && section.end >= last.end) section.failed = true;
  return found.filter((section) => section.end > section.start && (section.end !== Infinity || section.start < lines || section.start >= openFrom));
}

// From which of the open sections on a new one ends them: a step ends all but GitLab's, a group and
// a command end their like and what is inside of it.
function closes(open: readonly { of: string; name: string }[], marker: Marker & { kind: "start" }): number {
  if (marker.of === "named") return open.findIndex((one) => one.of === "named" && one.name === marker.name);
  const inside = open.findLastIndex((one) => one.of === "named") + 1;
  const at = open.slice(inside).findIndex((one) => (marker.of === "step" ? true : one.of === marker.of));
  return at < 0 ? -1 : inside + at;
}

// The lines "--- a" and "+++ b" in turn are the head of a diff.
function isDiff(marked: readonly Marked[], i: number): boolean {
  const step = (at: number) => {
    const one = marked[at];
    return one?.marker.kind === "start" && one.marker.of === "step" ? one : undefined;
  };
  const here = step(i);
  if (!here) return false;
  const path = (one: Marked | undefined) => one?.marker.kind === "start" && /^(a\/|b\/|\/dev\/null|\S+\.\S+(\s|$))/.test(one.marker.title);
  const next = step(i + 1);
  const before = step(i - 1);
  return (next?.line === here.line + 1 && path(here) && path(next)) || (before?.line === here.line - 1 && path(here) && path(before)) === true;
}

// Whether the section is folded, given what the reader changed: the first lines of sections that
// were opened or folded by hand, and lines that the reader asked for, which are never folded away.
export function isFolded(section: Section, changed: ReadonlyMap<number, boolean>, asked: readonly number[] = []): boolean {
  return changed.get(section.start) ?? (section.collapsed && !section.failed && !asked.some((line) => section.start < line && line <= section.end));
}
