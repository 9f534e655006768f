import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Timestamp } from "@bufbuild/protobuf/wkt";

// Which zone times are shown in.
export type Zone = "local" | "utc";

// Milliseconds since 1970 of a timestamp; undefined if it is absent.
export function millis(time: Timestamp | undefined): number | undefined {
  return time === undefined ? undefined : timestampMs(time);
}

const two = (n: number) => String(n).padStart(2, "0");

// A length of time in at most two units: 0.4 s, 12 s, 4 m 02 s, 1 h 04 m, 3 d 02 h.
export function duration(ms: number): string {
  if (ms < 0) ms = 0;
  if (ms < 9_950) return ms < 50 ? "0 s" : `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${two(seconds % 60)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} m`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
}

const relativeFormat = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "short" });

// How far a time is from now: 12 min. ago, in 3 hr. Under 5 seconds it is "now".
export function relative(at: number, now: number): string {
  const difference = at - now;
  const size = Math.abs(difference);
  if (size < 5_000) return "now";
  const units: [Intl.RelativeTimeFormatUnit, number][] = [
    ["day", 86_400_000],
    ["hour", 3_600_000],
    ["minute", 60_000],
    ["second", 1_000],
  ];
  for (const [unit, length] of units) {
    if (size >= length || unit === "second") {
      const count = Math.trunc(difference / length);
      return relativeFormat.format(count, unit).replace(".", "");
    }
  }
  return "now";
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: Zone, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = zone + JSON.stringify(options);
  let made = formats.get(key);
  if (!made) {
    made = new Intl.DateTimeFormat(undefined, { ...options, hourCycle: "h23", ...(zone === "utc" ? { timeZone: "UTC" } : {}) });
    formats.set(key, made);
  }
  return made;
}

// Date and time with its zone.
export function absolute(at: number, zone: Zone): string {
  return format(zone, { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" }).format(at);
}

// Time of day with its zone.
export function clock(at: number, zone: Zone): string {
  return format(zone, { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" }).format(at);
}

// Date and time without seconds and zone, for columns whose heading names the zone.
export function compact(at: number, zone: Zone): string {
  return format(zone, { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" }).format(at);
}

// Short name of the zone at a time, such as UTC or GMT+2.
export function zoneName(at: number, zone: Zone): string {
  return format(zone, { timeZoneName: "short" }).formatToParts(at).find((part) => part.type === "timeZoneName")?.value ?? "UTC";
}

const sizes = ["B", "KiB", "MiB", "GiB", "TiB"];

// A number of bytes: 512 B, 3.2 MiB.
export function bytes(count: number): string {
  let unit = 0;
  while (count >= 1024 && unit < sizes.length - 1) {
    count /= 1024;
    unit++;
  }
  return unit === 0 || count >= 100 ? `${Math.round(count)} ${sizes[unit]}` : `${count.toFixed(1)} ${sizes[unit]}`;
}

const numberFormat = new Intl.NumberFormat("en");

// A count with its noun: 1 action, 1,000 actions.
export function plural(count: number, one: string, many: string): string {
  return `${numberFormat.format(count)} ${count === 1 ? one : many}`;
}

export const number = (count: number | bigint): string => numberFormat.format(count);
