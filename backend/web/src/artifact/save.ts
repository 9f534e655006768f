import { signal, type Signal } from "@preact/signals";
import { cancelled, client } from "../api";
import { Download } from "../download";
import { bytes } from "../format";
import { ExecutionService, type ArtifactFile } from "../gen/headrace/v1/execution_pb";
import { words } from "../words";
import { saveName } from "./list";

// A download that is under way. total is in bytes, and undefined until the server has verified the
// artifact.
export interface Running {
  name: string;
  done: number;
  total: number | undefined;
}

// The downloads of an artifact, one at a time.
export class Saver {
  readonly running: Signal<Running | undefined> = signal(undefined);
  readonly failure: Signal<unknown> = signal(undefined);
  readonly said = signal("");
  #abort: AbortController | undefined;

  constructor(
    private readonly execution: string,
    private readonly artifact: string,
    private readonly digest: string,
  ) {}

  // Downloads a file, or all of the artifact as a tar. It is saved once all of it has arrived.
  async save(file?: ArtifactFile): Promise<void> {
    if (this.running.value) return;
    const own = (this.#abort = new AbortController());
    const name = file ? saveName(file.path) : saveName(`${this.artifact}.tar`);
    const download = new Download();
    this.failure.value = undefined;
    this.said.value = "";
    this.running.value = { name, done: 0, total: undefined };
    try {
      await this.#read(file, download, name, own.signal);
      download.save(name, "application/octet-stream");
      this.said.value = words.artifacts.saved(name, bytes(download.size));
    } catch (error) {
      if (own.signal.aborted || cancelled(error)) this.said.value = words.artifacts.cancelled(name);
      else this.failure.value = error;
    } finally {
      this.running.value = undefined;
    }
  }

  cancel(): void {
    this.#abort?.abort();
  }

  async #read(file: ArtifactFile | undefined, download: Download, name: string, abort: AbortSignal): Promise<void> {
    const which = !file ? {} : file.rawPath.length > 0 ? { rawPath: file.rawPath } : { path: file.path };
    const answers = client(ExecutionService).getArtifact({ name: this.execution, artifact: this.artifact, digest: this.digest, ...which }, { signal: abort });
    let total: number | undefined;
    let shown = 0;
    for await (const answer of answers) {
      if (answer.content) {
        total = Number(answer.content.sizeBytes);
        this.running.value = { name, done: 0, total };
      }
      if (Number(answer.offset) !== download.size) break;
      download.add(answer.data);
      if (download.size - shown < 1 << 20) continue;
      shown = download.size;
      this.running.value = { name, done: shown, total };
    }
    if (download.size !== total) throw new Error(words.artifacts.incomplete(bytes(download.size), total === undefined ? words.unknown : bytes(total)));
  }
}
