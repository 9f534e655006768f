import type { Signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { explainError } from "../api";
import { number } from "../format";
import { query as addressQuery, setQuery } from "../router";
import { words } from "../words";
import type { Query } from "./hits";
import type { LogModel } from "./model";

// The search in the log, by the server. Enter searches, and then goes to the next hit.
export function Find({ model, current, show, step, focusRows }: { model: LogModel; current: Signal<number>; show: (line: number) => void; step: (by: 1 | -1) => void; focusRows: () => void }) {
  const [text, setText] = useState(addressQuery.peek().get("find") ?? "");
  const flags = addressQuery.value.get("options") ?? "";
  const query = { text, matchCase: flags.includes("c"), wholeWord: flags.includes("w"), regularExpression: flags.includes("r") };
  const state = model.search.value;
  const same = state !== undefined && sameQuery(state.query, query);
  const search = () => {
    setQuery({ find: text });
    void model.find(query, current.peek(), show);
  };
  // The address says what is searched for: when the page opens, an option changes, or errors are
  // looked for.
  const asked = addressQuery.value.get("find") ?? "";
  useEffect(() => {
    const known = model.search.peek()?.query;
    if (asked === "" || (known && sameQuery(known, { ...query, text: asked }))) return;
    setText(asked);
    void model.find({ ...query, text: asked }, current.peek(), show);
  }, [model, asked, flags]);
  const toggle = (flag: string) => setQuery({ options: flags.includes(flag) ? flags.replace(flag, "") : flags + flag });
  const clear = () => {
    model.stopSearch();
    setText("");
    setQuery({ find: undefined });
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === "Escape") {
      event.preventDefault();
      clear();
      focusRows();
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (!same) search();
      else step(event.shiftKey ? -1 : 1);
    } else if (event.key === "F3") {
      event.preventDefault();
      step(event.shiftKey ? -1 : 1);
    }
  };
  const options = [
    ["c", "matchCase", query.matchCase],
    ["w", "wholeWord", query.wholeWord],
    ["r", "regularExpression", query.regularExpression],
  ] as const;
  return (
    <div class="log-find" role="search">
      <input id="log-find" type="text" autocomplete="off" spellcheck={false} aria-label={words.log.find} placeholder={words.log.find} value={text} onInput={(event) => setText(event.currentTarget.value)} onKeyDown={press} />
      <div class="log-options" role="group" aria-label={words.log.findOptions}>
        {options.map(([flag, name, on]) => (
          <button key={flag} type="button" aria-pressed={on} title={words.log[name]} onClick={() => toggle(flag)}>
            <Sign of={words.log.short[name]} name={words.log[name]} />
          </button>
        ))}
      </div>
      {state && (
        <>
          <button type="button" title={words.log.previous} disabled={state.hits.count === 0} onClick={() => step(-1)}>
            <Sign of="↑" name={words.log.previous} />
          </button>
          <button type="button" title={words.log.next} disabled={state.hits.count === 0} onClick={() => step(1)}>
            <Sign of="↓" name={words.log.next} />
          </button>
          <Count model={model} />
          <button type="button" title={words.log.stop} onClick={clear}>
            <Sign of="✕" name={words.log.stop} />
          </button>
        </>
      )}
    </div>
  );
}

const sameQuery = (a: Query, b: Query) => a.text === b.text && a.matchCase === b.matchCase && a.wholeWord === b.wholeWord && a.regularExpression === b.regularExpression;

// Searches for what most programs print when they fail. Plain text: expressions with many words take
// the server a hundred times as long.
export function findErrors(): void {
  setQuery({ find: "error", options: undefined });
}

// A sign on a button, and its name for those who do not see it.
function Sign({ of, name }: { of: string; name: string }) {
  return (
    <>
      <span aria-hidden="true">{of}</span>
      <span class="hidden">{name}</span>
    </>
  );
}

// How many lines were found; it grows while the search runs.
function Count({ model }: { model: LogModel }) {
  // Hits arrive without a change of the state.
  void model.revision.value;
  const state = model.search.value;
  if (!state) return null;
  if (state.error !== undefined) {
    return (
      <span class="log-count bad" role="alert">
        {explainError(state.error)}
      </span>
    );
  }
  const { count } = state.hits;
  const most = count >= 10_000 ? words.log.most : state.incomplete;
  const text = count === 0 ? (state.running ? words.log.searching : words.log.noHits) : state.at === undefined ? words.log.hitCount(number(count)) : words.log.hits(number(state.at + 1), number(count));
  return (
    <span class="log-count" role="status" title={most}>
      {text}
      {state.running && count > 0 && "…"}
      {!state.running && most && "+"}
    </span>
  );
}
