import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { WatchAccountResponseSchema, type WatchAccountResponse } from "../gen/headrace/v1/watch_pb";
import { base } from "../base";
import { covers, empty, union, type Interest } from "./interest";
import { keepStream, type StreamState } from "./stream";

// Browsers allow 6 connections to a server over HTTP/1.1, shared by all tabs: a stream in each tab
// would block the seventh. So the visible tabs of a browser share one stream. The tab that holds
// the lock reads it and passes what it reads on; hidden tabs neither read nor hold the lock. The name
// has the base path, since another server may be behind another path of the same origin.
const lockName = `headrace-watch ${base.pathname}`;

type Wire =
  | { kind: "want"; tab: string; interest: Interest | null }
  | { kind: "leader" }
  | { kind: "message"; interest: Interest; bytes: Uint8Array }
  | { kind: "state"; account: string; state: StreamState };

// Connects this tab to the live updates of its browser.
export class Hub {
  readonly #tab = crypto.getRandomValues(new Uint32Array(4)).join("-");
  readonly #channel = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel(lockName);
  readonly #deliver: (message: WatchAccountResponse, interest: Interest) => void;
  readonly #report: (state: StreamState) => void;
  #interest: Interest | null = null;
  // Ends this tab's turn or its wait for the lock.
  #turn: AbortController | undefined;
  #leading = false;
  // What other tabs want, known to the leader only.
  readonly #wants = new Map<string, Interest>();
  #streams = new Map<string, { interest: Interest; abort: AbortController }>();

  constructor(deliver: (message: WatchAccountResponse, interest: Interest) => void, report: (state: StreamState) => void) {
    this.#deliver = deliver;
    this.#report = report;
    if (this.#channel) this.#channel.onmessage = (event: MessageEvent<Wire>) => this.#hear(event.data);
    document.addEventListener("visibilitychange", () => this.#visibility());
    addEventListener("pagehide", () => this.#leave());
    addEventListener("pageshow", () => this.#visibility());
  }

  // Changes what this tab wants; null for nothing.
  want(interest: Interest | null): void {
    const next = interest && !empty(interest) ? interest : null;
    if (JSON.stringify(next) === JSON.stringify(this.#interest)) return;
    this.#interest = next;
    this.#visibility();
  }

  // Starts all streams again, for instance after a login.
  restart(): void {
    this.#leave();
    this.#visibility();
  }

  #visibility(): void {
    if (document.visibilityState !== "visible" || !this.#interest) {
      this.#leave();
      return;
    }
    this.#say({ kind: "want", tab: this.#tab, interest: this.#interest });
    if (this.#leading) this.#restream(this.#interest);
    else if (!this.#turn) void this.#queue();
  }

  // Waits for the lock, then leads until this tab is hidden.
  async #queue(): Promise<void> {
    const turn = new AbortController();
    this.#turn = turn;
    const lead = () =>
      new Promise<void>((resolve) => {
        if (turn.signal.aborted) return resolve();
        turn.signal.addEventListener("abort", () => resolve());
        this.#lead();
      });
    // Without locks, which insecure origins lack, each visible tab has a stream of its own.
    if (!navigator.locks || !this.#channel) return lead();
    try {
      await navigator.locks.request(lockName, { signal: turn.signal }, lead);
    } catch (error) {
      if (!turn.signal.aborted) throw error;
    }
  }

  #lead(): void {
    this.#leading = true;
    this.#wants.clear();
    // The other tabs answer with what they want.
    this.#say({ kind: "leader" });
    if (this.#interest) this.#restream(this.#interest);
  }

  #leave(): void {
    this.#turn?.abort();
    this.#turn = undefined;
    this.#leading = false;
    for (const stream of this.#streams.values()) stream.abort.abort();
    this.#streams.clear();
    this.#say({ kind: "want", tab: this.#tab, interest: null });
  }

  #hear(wire: Wire): void {
    switch (wire.kind) {
      case "leader":
        if (this.#interest && document.visibilityState === "visible") this.#say({ kind: "want", tab: this.#tab, interest: this.#interest });
        return;
      case "want":
        if (!this.#leading) return;
        if (!wire.interest) {
          this.#wants.delete(wire.tab);
          this.#prune();
          return;
        }
        this.#wants.set(wire.tab, wire.interest);
        this.#restream(wire.interest);
        return;
      case "message":
        if (!this.#leading && this.#interest && covers(wire.interest, this.#interest)) {
          this.#deliver(fromBinary(WatchAccountResponseSchema, wire.bytes), wire.interest);
        }
        return;
      case "state":
        if (!this.#leading && wire.account === this.#interest?.account) this.#report(wire.state);
    }
  }

  // Streams of accounts that no tab wants any more end.
  #prune(): void {
    const accounts = new Set(this.#interests().map((interest) => interest.account));
    for (const [account, stream] of this.#streams) {
      if (accounts.has(account)) continue;
      stream.abort.abort();
      this.#streams.delete(account);
    }
  }

  #interests(): Interest[] {
    return [...this.#wants.values(), ...(this.#interest ? [this.#interest] : [])];
  }

  // Starts the stream of the account of a new interest again, so that a snapshot of it arrives.
  #restream(added: Interest): void {
    this.#prune();
    this.#streams.get(added.account)?.abort.abort();
    const interest = union(this.#interests(), added.account);
    const abort = new AbortController();
    this.#streams.set(added.account, { interest, abort });
    void keepStream(
      interest,
      abort.signal,
      (message) => {
        if (abort.signal.aborted) return;
        if (this.#interest?.account === interest.account) this.#deliver(message, interest);
        if (this.#wants.size > 0) this.#say({ kind: "message", interest, bytes: toBinary(WatchAccountResponseSchema, message) });
      },
      (state) => {
        if (abort.signal.aborted) return;
        if (this.#interest?.account === interest.account) this.#report(state);
        this.#say({ kind: "state", account: interest.account, state });
      },
    );
  }

  #say(wire: Wire): void {
    this.#channel?.postMessage(wire);
  }
}
