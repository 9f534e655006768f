import { signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { Hub } from "./hub";
import { union, type Interest } from "./interest";
import { Store } from "./store";
import type { StreamState } from "./stream";

// What is known from the live updates.
export const store = new Store();

// Whether updates arrive, and when the last one did.
export const stream = signal<StreamState>({ live: false, lastUpdate: undefined });

const interests = new Set<Interest>();
let hub: Hub | undefined;
let account = "";
let scheduled = false;

// Joins the live updates of this browser. Called once, after the login.
export function startLive(): void {
  hub ??= new Hub(
    (message, interest) => {
      if (interest.account === account) store.apply(message, interest.overview);
    },
    (state) => (stream.value = state),
  );
  schedule();
}

// Starts the streams again, on a new session.
export function restartLive(): void {
  hub?.restart();
}

// Pages come and go in one turn of the browser; the stream changes once for all of them.
function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  setTimeout(() => {
    scheduled = false;
    const last = [...interests].at(-1);
    if (last && last.account !== account) {
      account = last.account;
      store.clear();
      stream.value = { live: false, lastUpdate: undefined };
    }
    hub?.want(last ? union([...interests], last.account) : null);
  });
}

// Watches while the component is shown. Names may change from one rendering to the next.
export function useLive(of: { account: string; overview?: boolean; pipelines?: readonly string[]; executions?: readonly string[] }): void {
  const key = JSON.stringify([of.account, of.overview ?? false, of.pipelines ?? [], of.executions ?? []]);
  const interest = useMemo<Interest>(() => {
    const [name, overview, pipelines, executions] = JSON.parse(key) as [string, boolean, string[], string[]];
    return { account: name, overview, pipelines, executions };
  }, [key]);
  useEffect(() => {
    interests.add(interest);
    schedule();
    return () => {
      interests.delete(interest);
      schedule();
    };
  }, [interest]);
}

export type { LiveExecution, LiveStage } from "./store";
