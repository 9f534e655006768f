import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { client } from "../api";
import { useAsk, useSettled } from "../ask";
import { ExecutionService, type Execution } from "../gen/headrace/v1/execution_pb";
import { PipelineService } from "../gen/headrace/v1/pipeline_pb";
import type { Params } from "../lazy";
import { lastSegment, oneLine, pipelineOf, shortRevision } from "../names";
import { Dialog } from "../parts/dialog";
import { theme, zone } from "../preferences";
import { navigate, path } from "../router";
import { find, question, type Entry } from "../search";
import { dialog, leave } from "../shell";
import { statusWord } from "../status";
import { words } from "../words";

// Search over pipelines, newest executions and commands.
export default function Palette({ params }: { params: Params }) {
  const account = params.account ?? "";
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const pipelines = useAsk((signal) => pipelineEntries(account, signal), `pipelines ${account}`);
  const executions = useAsk((signal) => executionEntries(account, signal), `executions ${account}`);
  const settled = useSettled(text);
  const remote = useAsk((signal) => answers(account, settled, signal), `remote ${account} ${settled}`);
  const commands = useMemo(() => commandEntries(account), [account]);
  const entries = useMemo(() => [...(pipelines.value ?? []), ...(executions.value ?? []), ...commands], [pipelines.value, executions.value, commands]);
  const found = text.trim() ? merge(remote.value ?? [], find(entries, text)) : [...(pipelines.value ?? []).slice(0, 8), ...(executions.value ?? []).slice(0, 6), ...commands];
  const chosen = Math.min(at, found.length - 1);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  const close = () => (dialog.value = undefined);
  const run = (entry: Entry | undefined) => {
    if (!entry) return;
    close();
    if (typeof entry.to === "string") navigate(entry.to);
    else entry.to();
  };
  const press = (event: KeyboardEvent) => {
    const moves: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 };
    const by = moves[event.key];
    if (by !== undefined && found.length > 0) {
      event.preventDefault();
      setAt(Math.abs(by) === 1 ? (chosen + by + found.length) % found.length : Math.max(0, Math.min(found.length - 1, chosen + by)));
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(found[chosen]);
    }
  };
  return (
    <Dialog label={words.palette.title} close={close} class="palette">
      <input
        type="text"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found.length > 0 ? `palette-${chosen}` : undefined}
        aria-label={words.palette.placeholder}
        placeholder={words.palette.placeholder}
        autocomplete="off"
        spellcheck={false}
        // The dialog was opened to type here.
        autofocus
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={press}
      />
      <p class="hidden" role="status">
        {words.palette.results(found.length)}
      </p>
      <div id="palette-list" role="listbox" aria-label={words.palette.title} ref={list}>
        {found.map((entry, i) => (
          // The field handles the keyboard for all options.
          // eslint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus
          <div key={`${entry.group} ${entry.label} ${i}`} id={`palette-${i}`} role="option" aria-selected={i === chosen} onClick={() => run(entry)} onMouseMove={() => setAt(i)}>
            <bdi class="line">{entry.label}</bdi>
            <bdi class="line meta">{entry.detail}</bdi>
            <span class="meta group">{entry.group}</span>
          </div>
        ))}
      </div>
      {found.length === 0 && <p class="meta empty">{pipelines.loading ? words.loading : words.palette.noMatch}</p>}
    </Dialog>
  );
}

async function pipelineEntries(account: string, signal: AbortSignal): Promise<Entry[]> {
  const service = client(PipelineService);
  const found: Entry[] = [];
  let pageToken = "";
  do {
    const page = await service.listPipelines({ parent: `accounts/${account}`, pageSize: 1000, pageToken }, { signal });
    for (const pipeline of page.pipelines) {
      found.push({ label: lastSegment(pipeline.name), detail: oneLine(pipeline.definition?.description ?? "", 100), to: `/${pipeline.name}`, group: words.palette.pipelines });
    }
    pageToken = page.nextPageToken;
  } while (pageToken && found.length < 5000);
  return found;
}

async function executionEntries(account: string, signal: AbortSignal): Promise<Entry[]> {
  const page = await client(ExecutionService).listExecutions({ parent: `accounts/${account}/pipelines/-`, pageSize: 100 }, { signal });
  return page.executions.map(executionEntry);
}

function executionEntry(execution: Execution): Entry {
  return {
    label: `${lastSegment(pipelineOf(execution.name))} #${execution.number}`,
    detail: [
      statusWord(execution.status),
      ...execution.sourceRevisions.map((revision) => `${shortRevision(revision.revisionId)} ${oneLine(revision.revisionSummary, 80)}`),
      oneLine(execution.trigger?.principal ?? "", 60),
    ]
      .filter(Boolean)
      .join(" · "),
    to: `/${execution.name}`,
    group: words.palette.executions,
  };
}

// What the server finds for a text: an execution by its number, executions by their commit.
async function answers(account: string, text: string, signal: AbortSignal): Promise<Entry[]> {
  const shown = /^\/accounts\/[^/]+\/pipelines\/([^/]+)/.exec(path.peek())?.[1] ?? "";
  const asked = question(text, decodeURIComponent(shown));
  if (!asked) return [];
  const service = client(ExecutionService);
  const requests = [];
  if (asked.number !== undefined) requests.push({ parent: `accounts/${account}/pipelines/${asked.pipeline}`, number: asked.number, pageSize: 1 });
  if (asked.revision) requests.push({ parent: `accounts/${account}/pipelines/-`, revision: asked.revision, pageSize: 20 });
  // A pipeline of that name may not exist, which is an answer too.
  const pages = await Promise.all(requests.map((request) => service.listExecutions(request, { signal }).catch(() => undefined)));
  return pages.flatMap((page) => page?.executions ?? []).map(executionEntry);
}

// Both lists without what is in both.
function merge(first: readonly Entry[], second: readonly Entry[]): Entry[] {
  const known = new Set(first.map((entry) => entry.to));
  return [...first, ...second.filter((entry) => !known.has(entry.to))];
}

function commandEntries(account: string): Entry[] {
  const root = `/accounts/${encodeURIComponent(account)}`;
  const name = words.palette.commands_;
  const of: [string, Entry["to"]][] = [
    [name.pipelines, root],
    [name.executions, `${root}/executions`],
    [name.failed, `${root}/executions?status=failed`],
    [name.triggers, `${root}/triggers`],
    [name.decisions, `${root}/decisions`],
    [name.webhooks, `${root}/webhooks`],
    [name.deliveries, `${root}/deliveries`],
    [name.wall, `${root}?wall=1`],
    [name.zone, () => (zone.value = zone.value === "utc" ? "local" : "utc")],
    [name.light, () => (theme.value = "light")],
    [name.dark, () => (theme.value = "dark")],
    [name.system, () => (theme.value = "system")],
    [name.keys, () => (dialog.value = "keys")],
    [name.logout, () => void leave()],
  ];
  return of.map(([label, to]) => ({ label, detail: "", to, group: words.palette.commands }));
}
