import { effect, signal, type Signal } from "@preact/signals";
import type { Zone } from "./format";

// What a person chose for this browser. A browser without storage forgets it with the page.

export type Theme = "system" | "light" | "dark";

export const theme = kept<Theme>("headrace-theme", ["system", "light", "dark"]);
export const zone = kept<Zone>("headrace-zone", ["local", "utc"]);
// Whether single keys are commands.
export const keys = kept<"on" | "off">("headrace-keys", ["on", "off"]);
// Of logs: whether long lines are wrapped, and which times are beside the lines.
export const wrap = kept<"off" | "on">("headrace-log-wrap", ["off", "on"]);
export const times = kept<"off" | "elapsed" | "clock">("headrace-log-times", ["off", "elapsed", "clock"]);
// Name of the account that was looked at last.
export const lastAccount = stored("headrace-account");

effect(() => {
  const root = document.documentElement;
  if (theme.value === "system") root.removeAttribute("data-theme");
  else root.dataset.theme = theme.value;
});

function kept<T extends string>(key: string, values: readonly [T, ...T[]]): Signal<T> {
  const text = stored(key);
  const found = values.find((value) => value === text.peek()) ?? values[0];
  const chosen = signal<T>(found);
  let first = true;
  effect(() => {
    const value = chosen.value;
    if (!first) text.value = value;
    first = false;
  });
  return chosen;
}

function stored(key: string): Signal<string> {
  let initial = "";
  try {
    initial = localStorage.getItem(key) ?? "";
  } catch {
    // Storage is off.
  }
  const text = signal(initial);
  effect(() => {
    const value = text.value;
    try {
      if (value) localStorage.setItem(key, value);
    } catch {
      // As above.
    }
  });
  return text;
}
