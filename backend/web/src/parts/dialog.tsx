import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

// A dialog over the page. The browser keeps the focus in it, closes it by Esc, and returns the
// focus to where it was.
export function Dialog({ label, close, children, class: name }: { label: string; close: () => void; children: ComponentChildren; class?: string }) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    element.current?.showModal();
  }, []);
  return (
    // A click beside the dialog closes it, as Esc does for the keyboard.
    // eslint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-noninteractive-element-interactions
    <dialog ref={element} aria-label={label} class={name} onClose={close} onClick={(event) => event.target === event.currentTarget && element.current?.close()}>
      {children}
    </dialog>
  );
}
