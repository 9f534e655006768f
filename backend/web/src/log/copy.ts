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

// Collects a file of any size and hands it to the browser's downloads. Blobs of a few megabytes are
// kept by the browser outside of the page, on disk if they are many.
export class Download {
  #pieces: BlobPart[] = [];
  #small: BlobPart[] = [];
  #smallSize = 0;
  size = 0;

  add(bytes: Uint8Array): void {
    this.#small.push(bytes as Uint8Array<ArrayBuffer>);
    this.#smallSize += bytes.length;
    this.size += bytes.length;
    if (this.#smallSize > 4 << 20) this.#flush();
  }

  save(name: string): void {
    this.#flush();
    const address = URL.createObjectURL(new Blob(this.#pieces, { type: "text/plain;charset=utf-8" }));
    const link = document.createElement("a");
    link.href = address;
    link.download = name;
    link.click();
    // The browser begins to read the address after this turn.
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  }

  #flush(): void {
    this.#pieces.push(new Blob(this.#small));
    this.#small = [];
    this.#smallSize = 0;
  }
}
