import { useMemo } from "preact/hooks";
import { useState } from "preact/hooks";
import { useAsk } from "../ask";
import { bytes, number } from "../format";
import { Dialog } from "../parts/dialog";
import { Failure, Loading } from "../parts/page";
import { words } from "../words";
import { parseLine, states } from "./line";
import type { Raw } from "./lines";
import type { LogModel } from "./model";

// Bytes of a line that are shown at once.
const part = 64 << 10;

const mostStates = 500;

// A line that is too long for a row, or that was rewritten, in parts.
export function Whole({ raw, model, close }: { raw: Raw; model: LogModel; close: () => void }) {
  const parts = Math.ceil(raw.length / part);
  const rewritten = model.shown(raw).rewrites > 0;
  // Of a rewritten line the end is what counts.
  const [at, setAt] = useState(rewritten ? parts - 1 : 0);
  const from = at * part;
  const asked = useAsk(() => (raw.length <= raw.text.length ? Promise.resolve(raw.text) : model.linePart(raw, from, part)), `${raw.number} ${from}`);
  const content = useMemo(() => {
    if (!asked.value) return undefined;
    return rewritten ? states(asked.value, mostStates) : [parseLine(asked.value).text];
  }, [asked.value, rewritten]);
  const title = words.log.whole(number(raw.number));
  return (
    <Dialog label={title} close={close} class="log-whole">
      <header>
        <h2>{title}</h2>
        {parts > 1 && (
          <>
            <span class="meta">{words.log.wholePart(bytes(from), bytes(Math.min(raw.length, from + part)), bytes(raw.length))}</span>
            <button type="button" disabled={at === 0} onClick={() => setAt(at - 1)}>
              {words.log.previousPage}
            </button>
            <button type="button" disabled={at === parts - 1} onClick={() => setAt(at + 1)}>
              {words.log.nextPage}
            </button>
          </>
        )}
        <span class="grow" />
        <button type="button" onClick={close}>
          {words.action.close}
        </button>
      </header>
      {asked.error ? (
        <Failure error={asked.error} reload={asked.reload} />
      ) : !content ? (
        <Loading />
      ) : rewritten ? (
        // A region that scrolls must be reachable by keyboard.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <ol aria-label={words.log.states} tabIndex={0}>
          {content.map((state, i) => (
            <li key={i}>
              <bdi>{state}</bdi>
            </li>
          ))}
        </ol>
      ) : (
        // As above.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <pre tabIndex={0}>
          <bdi>{content[0]}</bdi>
        </pre>
      )}
    </Dialog>
  );
}
