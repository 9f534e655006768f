import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { cancelled } from "../api";
import { useAsk } from "../ask";
import { words } from "../words";
import { Failure, Loading } from "./page";

interface Page<T> {
  items: readonly T[];
  // Token of the page after it; empty if there is none.
  next: string;
}

// A list that the server returns in pages: the first one, and more on demand. of says what is
// listed; another list begins again.
export function Pages<T>({ ask, of, children }: { ask: (pageToken: string, signal?: AbortSignal) => Promise<Page<T>>; of: string; children: (items: readonly T[]) => ComponentChildren }) {
  const first = useAsk((signal) => ask("", signal), of);
  const [later, setLater] = useState<{ of: string; page: Page<T> }>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  if (first.error !== undefined) return <Failure error={first.error} reload={first.reload} />;
  if (!first.value) return <Loading />;
  const page = later?.of === of ? later.page : first.value;
  const load = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const more = await ask(page.next);
      setLater({ of, page: { items: [...page.items, ...more.items], next: more.next } });
    } catch (failure) {
      if (!cancelled(failure)) setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      {children(page.items)}
      {error !== undefined && <Failure error={error} reload={() => void load()} />}
      {page.next && (
        <p class="more">
          <button type="button" disabled={busy} onClick={() => void load()}>
            {busy ? words.loading : words.more}
          </button>
        </p>
      )}
    </>
  );
}
