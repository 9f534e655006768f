import { useEffect, useState } from "preact/hooks";
import { cancelled } from "./api";

// An answer of the server, or the lack of one.
export interface Asked<T> {
  value: T | undefined;
  error: unknown;
  loading: boolean;
  reload: () => void;
}

// Asks the server when the component appears and when a dependency changes. An earlier question
// is cancelled. The earlier answer stays until the new one arrives, unless the key changed.
export function useAsk<T>(ask: (signal: AbortSignal) => Promise<T>, key: string, refresh: unknown = undefined): Asked<T> {
  const [state, setState] = useState<{ key: string; value: T | undefined; error: unknown; loading: boolean }>({ key, value: undefined, error: undefined, loading: true });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    setState((before) => ({ key, value: before.key === key ? before.value : undefined, error: undefined, loading: true }));
    ask(abort.signal).then(
      (value) => {
        if (!abort.signal.aborted) setState({ key, value, error: undefined, loading: false });
      },
      (error: unknown) => {
        if (!abort.signal.aborted && !cancelled(error)) setState((before) => ({ ...before, error, loading: false }));
      },
    );
    return () => abort.abort();
  }, [key, round, refresh]);
  const current = state.key === key ? state : { value: undefined, error: undefined, loading: true };
  return { ...current, reload: () => setRound((n) => n + 1) };
}

// The value once it has not changed for a moment, so that typing does not ask with each letter.
export function useSettled(value: string): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), 250);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}
