import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Code, ConnectError, explainError } from "../api";
import { path } from "../router";
import { oneLine } from "../names";
import { words } from "../words";

let focusedPath: string | undefined;

// The heading of a page. When another page is shown the heading gets the focus, so that keyboards
// and screen readers begin there, and the window gets its title.
export function Heading({ title, children, kicker }: { title: string; children?: ComponentChildren; kicker?: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  const shown = path.value;
  useEffect(() => {
    document.title = `${oneLine(title, 100)} · ${words.product}`;
  }, [title]);
  useEffect(() => {
    // The first page keeps the focus where the browser put it.
    if (focusedPath !== undefined && focusedPath !== shown) {
      heading.current?.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
    focusedPath = shown;
  }, [shown]);
  return (
    <div class="heading">
      {kicker && <div class="kicker">{kicker}</div>}
      <div class="heading-line">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {children}
      </div>
    </div>
  );
}

// Says that something is on its way, after a moment: what takes less is not worth a flicker.
export function Loading() {
  return (
    <p class="loading" role="status">
      {words.loading}
    </p>
  );
}

// An error of the server, with what can be done.
export function Failure({ error, reload }: { error: unknown; reload?: () => void }) {
  const missing = ConnectError.from(error).code === Code.NotFound;
  return (
    <div class="notice bad" role="alert">
      <strong>{missing ? words.errors.notFound : words.errors.title}</strong>
      <p>{explainError(error)}</p>
      {reload && !missing && (
        <button type="button" onClick={reload}>
          {words.errors.retry}
        </button>
      )}
    </div>
  );
}

// Text that somebody outside wrote, on one line.
export function Line({ text, limit }: { text: string; limit?: number }) {
  return <bdi class="line">{oneLine(text, limit)}</bdi>;
}

// A list of terms and their values; entries without a value are left out.
export function Facts({ of }: { of: readonly (readonly [string, ComponentChildren])[] }) {
  const shown = of.filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false);
  if (shown.length === 0) return null;
  return (
    <dl class="facts">
      {shown.map(([term, value]) => (
        <div key={term}>
          <dt>{term}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
