import type { ExecutionStatus } from "../gen/headrace/v1/execution_pb";
import { look, statusWord, type Look } from "../status";
import { words } from "../words";

// One path for each look, in a box of 16 by 16. Shapes differ, not only colors: a circle with a
// check, an octagon with a cross, a ring, an hourglass, squares, arrows.
const shapes: Record<Look, string> = {
  succeeded: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm3.7 5.2-4.2 5a.8.8 0 0 1-1.2 0L4.3 9.1l1.1-1.1 1.5 1.5 3.6-4.3Z",
  failed: "M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1Zm.3 3.2L4.2 5.4 6.8 8l-2.6 2.6 1.2 1.2L8 9.2l2.6 2.6 1.2-1.2L9.2 8l2.6-2.6-1.2-1.2L8 6.8Z",
  running: "M8 1a7 7 0 0 1 7 7h-2.2A4.8 4.8 0 0 0 8 3.2Zm0 4.6a2.4 2.4 0 1 1 0 4.8 2.4 2.4 0 0 1 0-4.8ZM1 8a7 7 0 0 0 7 7v-2.2A4.8 4.8 0 0 1 3.2 8Z",
  waiting: "M3 1h10v2.6L9.4 8l3.6 4.4V15H3v-2.6L6.6 8 3 3.6Zm2 2 3 3.7L11 3Zm0 10h6L8 9.3Z",
  stopping: "M1 1h14v14H1Zm2 2v10h10V3Zm2.5 2.5h5v5h-5Z",
  stopped: "M2 2h12v12H2Z",
  superseded: "M2 3l5 5-5 5Zm6 0 5 5-5 5Z",
  skipped: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 2a5 5 0 1 1 0 10A5 5 0 0 1 8 3ZM5 7.1h6v1.8H5Z",
  overridden: "M8 1 15 8l-7 7-7-7Zm0 2.9L3.9 8 8 12.1 12.1 8Z",
  none: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 1.8a5.2 5.2 0 1 1 0 10.4A5.2 5.2 0 0 1 8 2.8Z",
};

// The shape of a look. A word stands beside it or in its label.
export function Shape({ of, label }: { of: Look; label?: string }) {
  return (
    <svg class={`shape ${of}`} viewBox="0 0 16 16" width="14" height="14" role={label ? "img" : undefined} aria-label={label} aria-hidden={label ? undefined : "true"}>
      <path d={shapes[of]} fill="currentColor" fill-rule="evenodd" />
    </svg>
  );
}

// A status with its shape and word. waiting says that what is in progress waits for something, so
// that nothing runs.
export function Status({ of, waiting = false, terse = false }: { of: ExecutionStatus; waiting?: boolean; terse?: boolean }) {
  const face = waiting && look(of) === "running" ? "waiting" : look(of);
  const word = face === "waiting" ? words.waiting : statusWord(of);
  return (
    <span class={`status ${face}`}>
      <Shape of={face} {...(terse ? { label: word } : {})} />
      {!terse && <span>{word}</span>}
    </span>
  );
}
