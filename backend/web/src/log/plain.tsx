import { useAsk } from "../ask";
import { number } from "../format";
import { Failure, Loading } from "../parts/page";
import { query, setQuery } from "../router";
import { words } from "../words";
import type { LogModel } from "./model";

// Lines of a page.
const page = 500;

// The log as pages of plain text, for assistive programs and for those who want the browser's own
// search and selection.
export function Plain({ model }: { model: LogModel }) {
  const count = model.count.value ?? 0;
  const asked = Number(query.value.get("from") ?? "1");
  const from = Number.isSafeInteger(asked) ? Math.max(1, Math.min(asked, Math.max(1, count))) : 1;
  const to = Math.min(count, from + page - 1);
  const text = useAsk((signal) => (count === 0 ? Promise.resolve({ text: "", cut: false }) : model.text({ from, to }, signal)), `${from} ${to}`);
  const go = (line: number) => setQuery({ from: line <= 1 ? undefined : String(line) }, { push: true });
  return (
    <section class="log-plain" aria-labelledby="log-plain">
      <div class="log-bar">
        <h2 id="log-plain">{words.log.plainLines(number(Math.min(from, count)), number(to), number(count))}</h2>
        <button type="button" disabled={from <= 1} onClick={() => go(Math.max(1, from - page))}>
          {words.log.previousPage}
        </button>
        <button type="button" disabled={to >= count} onClick={() => go(to + 1)}>
          {words.log.nextPage}
        </button>
      </div>
      {text.error ? (
        <Failure error={text.error} reload={text.reload} />
      ) : text.value ? (
        // A region that scrolls must be reachable by keyboard.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <pre tabIndex={0}>{text.value.text}</pre>
      ) : (
        <Loading />
      )}
    </section>
  );
}
