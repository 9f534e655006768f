import { useLayoutEffect } from "preact/hooks";
import { keys } from "./preferences";
import { navigate, query, setQuery } from "./router";

type Dialog = "palette" | "keys";

// Keys of single pages, by their letter. A page registers them while it is shown.
const pageKeys = new Map<string, () => void>();

// Adds keys of a page while it is shown, from the moment that it is drawn. Nothing stands for none.
export function usePageKeys(of: Record<string, () => void> | undefined, changing: readonly unknown[]): void {
  useLayoutEffect(() => (of ? onKeys(of) : undefined), changing);
}

// Adds keys of a page. The returned function removes them.
function onKeys(of: Record<string, () => void>): () => void {
  for (const [key, act] of Object.entries(of)) pageKeys.set(key, act);
  return () => {
    for (const [key, act] of Object.entries(of)) if (pageKeys.get(key) === act) pageKeys.delete(key);
  };
}

// Listens to the keyboard until the returned function is called. Single keys act only outside of
// fields, and only while the person has not turned them off.
export function startKeys(open: (dialog: Dialog) => void, account: () => string): () => void {
  let goUntil = 0;
  const listen = (event: KeyboardEvent) => {
    if (event.defaultPrevented) return;
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      open("palette");
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") {
      if (query.value.get("wall") === "1") setQuery({ wall: undefined });
      else pageKeys.get("Escape")?.();
      return;
    }
    if (keys.value === "off" || typing(event.target)) return;
    const going = event.timeStamp < goUntil;
    goUntil = 0;
    const act = going ? goKeys(account())[event.key] : ({ "/": () => open("palette"), "?": () => open("keys"), j: () => moveRow(1), k: () => moveRow(-1), ...Object.fromEntries(pageKeys) } as Record<string, () => void>)[event.key];
    if (!going && event.key === "g") {
      goUntil = event.timeStamp + 1500;
      return;
    }
    if (!act) return;
    event.preventDefault();
    act();
  };
  document.addEventListener("keydown", listen);
  return () => document.removeEventListener("keydown", listen);
}

function goKeys(account: string): Record<string, () => void> {
  const root = `/accounts/${encodeURIComponent(account)}`;
  return {
    p: () => navigate(root),
    e: () => navigate(root + "/executions"),
    t: () => navigate(root + "/triggers"),
    w: () => navigate(root + "/webhooks"),
  };
}

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

// Moves the focus to the first link of the next or previous row of the page.
function moveRow(by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>("main [data-row]")].filter((row) => row.querySelector("a, button"));
  if (rows.length === 0) return;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by));
  rows[next]?.querySelector<HTMLElement>("a, button")?.focus();
}
