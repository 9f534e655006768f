import { timestampMs } from "@bufbuild/protobuf/wkt";
import { cancelled, client, Code, ConnectError, explainError } from "../api";
import { WatchService, type WatchAccountResponse } from "../gen/headrace/v1/watch_pb";
import { serverTime } from "../clock";
import { sessionEnded } from "../session";
import { backoff, type Interest } from "./interest";

// The server sends a message at least every 10 seconds; a stream that is silent for longer than
// this is dead, although the connection may not say so.
const silence = 15_000;

// What the library keeps of each message is small, but it is kept until the stream ends. After so many
// messages another stream begins, with a snapshot.
const messagesOfStream = 2000;

// Whether updates arrive, when the last one did, and why the server refuses to send any; it is not
// asked again then.
export interface StreamState {
  live: boolean;
  lastUpdate: number | undefined;
  refused?: string;
}

// Keeps one stream of an account open until the signal aborts: connects again after each failure.
export async function keepStream(
  interest: Interest,
  signal: AbortSignal,
  deliver: (message: WatchAccountResponse) => void,
  report: (state: StreamState) => void,
): Promise<void> {
  const watch = client(WatchService);
  let failures = 0;
  let lastUpdate: number | undefined;
  while (!signal.aborted) {
    const attempt = new AbortController();
    const abort = () => attempt.abort();
    signal.addEventListener("abort", abort);
    let timer = setTimeout(abort, silence);
    let messages = 0;
    try {
      const { account, overview, pipelines, executions } = interest;
      for await (const message of watch.watchAccount({ parent: account, overview, pipelines: [...pipelines], executions: [...executions] }, { signal: attempt.signal })) {
        clearTimeout(timer);
        timer = setTimeout(abort, silence);
        failures = 0;
        lastUpdate = Date.now();
        if (message.time) serverTime(timestampMs(message.time));
        deliver(message);
        report({ live: true, lastUpdate });
        if (++messages >= messagesOfStream && !message.more) break;
      }
    } catch (error) {
      const code = ConnectError.from(error).code;
      // Trying again changes nothing.
      if (code === Code.Unauthenticated || code === Code.PermissionDenied || code === Code.NotFound || code === Code.InvalidArgument || code === Code.Unimplemented) {
        if (code === Code.Unauthenticated) sessionEnded();
        else if (!signal.aborted) report({ live: false, lastUpdate, refused: explainError(error) });
        return;
      }
      if (signal.aborted && cancelled(error)) return;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      attempt.abort();
    }
    if (signal.aborted) return;
    if (messages >= messagesOfStream) continue;
    report({ live: false, lastUpdate });
    await pause(backoff(failures++), signal);
  }
}

// Waits; ends early if the signal aborts or the browser is online again.
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener("online", end);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    addEventListener("online", end);
    signal.addEventListener("abort", end);
  });
}
