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

  // Saves the file. The address of the file is one of this origin: the type keeps a browser that
  // shows the file instead of saving it from running what is in it.
  save(name: string, type: "text/plain;charset=utf-8" | "application/octet-stream"): void {
    this.#flush();
    const address = URL.createObjectURL(new Blob(this.#pieces, { type }));
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
