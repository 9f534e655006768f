import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Loading } from "./parts/page";
import { words } from "./words";

export type Params = Record<string, string>;
export type View = ComponentType<{ params: Params }>;
export type Load = () => Promise<{ default: View }>;

const loaded = new Map<Load, View>();

// Shows a view that is loaded when it is first needed.
export function Lazy({ load, params }: { load: Load; params: Params }) {
  const [, setReady] = useState<Load>();
  const [failed, setFailed] = useState<Load>();
  const view = loaded.get(load);
  useEffect(() => {
    if (loaded.has(load)) return;
    let gone = false;
    load().then(
      (module) => {
        loaded.set(load, module.default);
        if (!gone) setReady(() => load);
      },
      () => {
        if (!gone) setFailed(() => load);
      },
    );
    return () => {
      gone = true;
    };
  }, [load]);
  if (view) {
    const Loaded = view;
    return <Loaded params={params} />;
  }
  if (failed !== load) return <Loading />;
  return (
    <div class="notice bad" role="alert">
      <p>{words.errors.chunk}</p>
      <button type="button" onClick={() => location.reload()}>
        {words.errors.reload}
      </button>
    </div>
  );
}
