import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { minutes, now } from "../clock";
import { absolute, clock, compact, duration, millis, relative } from "../format";
import { zone } from "../preferences";

type Face = "relative" | "compact" | "absolute" | "clock" | "both";

// A time, as the browser and assistive programs understand it. The tooltip has the whole time
// with its zone.
export function Time({ at, face = "relative" }: { at: Timestamp | number | undefined; face?: Face }) {
  const ms = typeof at === "number" ? at : millis(at);
  if (ms === undefined) return null;
  const whole = absolute(ms, zone.value);
  return (
    <time dateTime={new Date(ms).toISOString()} title={whole}>
      {text(ms, face)}
    </time>
  );
}

function text(ms: number, face: Face): string {
  switch (face) {
    case "relative":
      return relative(ms, nowFor(ms));
    case "compact":
      return compact(ms, zone.value);
    case "clock":
      return clock(ms, zone.value);
    case "absolute":
      return absolute(ms, zone.value);
    case "both":
      return `${absolute(ms, zone.value)} (${relative(ms, nowFor(ms))})`;
  }
}

// The clock in the steps in which the distance to a time is shown, so that a page of old times is
// not rendered each second.
function nowFor(ms: number): number {
  return Math.abs(now.peek() - ms) > 75_000 ? minutes.value : now.value;
}

// How long something took, or has taken so far. It reads the clock only if there is no end.
export function Took({ from, to }: { from: Timestamp | undefined; to: Timestamp | undefined }) {
  const start = millis(from);
  if (start === undefined) return null;
  const end = millis(to) ?? now.value;
  return <span class="took">{duration(end - start)}</span>;
}
