import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

// Rows beyond the window that are kept, so that a fast scroll shows rows and not emptiness.
const spare = 20;

// The rows of a long list that are within the window; the others are only space. All rows have
// the same height in CSS pixels. Short lists are shown whole.
export function Virtual({ count, height, children }: { count: number; height: number; children: (index: number) => ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState({ from: 0, to: 200 });
  const whole = count <= 200;
  useEffect(() => {
    if (whole) return;
    let frame = 0;
    const measure = () => {
      frame = 0;
      const top = box.current?.getBoundingClientRect().top ?? 0;
      const from = Math.max(0, Math.floor(-top / height) - spare);
      const to = Math.min(count, Math.ceil((innerHeight - top) / height) + spare);
      setRange((before) => (before.from === from && before.to === to ? before : { from, to }));
    };
    const later = () => (frame ||= requestAnimationFrame(measure));
    measure();
    addEventListener("scroll", later, { passive: true });
    addEventListener("resize", later);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener("scroll", later);
      removeEventListener("resize", later);
    };
  }, [whole, count, height]);
  const from = whole ? 0 : Math.min(range.from, count);
  const to = whole ? count : Math.min(range.to, count);
  const shown = [];
  for (let i = from; i < to; i++) shown.push(children(i));
  return (
    <div ref={box} role="rowgroup" class="virtual" style={{ paddingBlockStart: from * height, paddingBlockEnd: (count - to) * height }}>
      {shown}
    </div>
  );
}
