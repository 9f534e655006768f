// Puts text on the clipboard. Pages over plain HTTP from another machine have no clipboard of their
// own; there an element that is selected for a moment is copied. Returns whether it worked.
export async function toClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyByEvent(text);
  }
}

function copyByEvent(text: string): boolean {
  let taken = false;
  const take = (event: ClipboardEvent) => {
    event.clipboardData?.setData("text/plain", text);
    event.preventDefault();
    event.stopImmediatePropagation();
    taken = true;
  };
  document.addEventListener("copy", take, { capture: true });
  try {
    document.execCommand("copy");
  } finally {
    document.removeEventListener("copy", take, { capture: true });
  }
  return taken;
}
