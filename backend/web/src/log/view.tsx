import { useSignal, type Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { href } from "../base";
import { Download } from "../download";
import { bytes, millis, number } from "../format";
import type { ActionExecution } from "../gen/headrace/v1/execution_pb";
import { usePageKeys } from "../keys";
import type { Params } from "../lazy";
import { store, useLive, type LiveExecution } from "../live";
import { lastSegment, oneLine, pipelineOf } from "../names";
import { Link } from "../parts/link";
import { Failure, Heading, Line, Loading } from "../parts/page";
import { Status } from "../parts/status";
import { Took } from "../parts/time";
import { times, wrap } from "../preferences";
import { fragment, navigate, path, query, setQuery } from "../router";
import { look } from "../status";
import { words } from "../words";
import { toClipboard } from "./copy";
import { Find, findErrors } from "./find";
import { Grid, type Handle } from "./grid";
import { copyLines, LogModel, sectionsUnasked } from "./model";
import { fileName, logPath } from "./path";
import { Plain } from "./plain";
import { formatRange, parseRange, rangeOf, type LineRange } from "./range";
import { Whole } from "./whole";

// The log of one attempt of an action.
export default function LogView({ params }: { params: Params }) {
  const name = `accounts/${params.account}/pipelines/${params.pipeline}/executions/${params.execution}`;
  useLive({ account: `accounts/${params.account}`, executions: [name] });
  const live = store.execution(name).value;
  if (live === null) return <Missing what={words.log.execution} />;
  if (!live) return <Loading />;
  return <Known of={live} name={name} stage={params.stage ?? ""} action={params.action ?? ""} attempt={Number(params.attempt)} />;
}

function Missing({ what }: { what: string }) {
  return (
    <>
      <Heading title={words.errors.notFound} />
      <p>{words.errors.missing(what)}</p>
    </>
  );
}

function Known({ of, name, stage, action, attempt }: { of: LiveExecution; name: string; stage: string; action: string; attempt: number }) {
  const ids = of.shape.value.find((one) => one.stage === stage)?.actions.filter((id) => of.action(id)?.peek().action === action) ?? [];
  const found = ids[attempt - 1];
  const execution = of.execution.value;
  const one = found === undefined ? undefined : of.action(found)?.value;
  if (!one) return <Missing what={words.log.missing(oneLine(action, 100), String(attempt))} />;
  const pipeline = pipelineOf(name);
  return (
    <div class="log-page">
      <Heading
        title={words.log.title(oneLine(stage, 100), oneLine(action, 100))}
        kicker={
          <>
            <Link to={`/${pipeline}`}>
              <Line text={lastSegment(pipeline)} limit={100} />
            </Link>
            <span aria-hidden="true">/</span>
            <Link to={`/${name}`}>#{String(execution.number)}</Link>
          </>
        }
      >
        <Status of={one.status} />
        {one.startTime && <Took from={one.startTime} to={one.endTime} />}
        {ids.length > 1 && (
          <label class="log-attempt">
            {words.log.attempt}
            <select value={attempt} onChange={(event) => navigate(logPath(name, stage, action, Number(event.currentTarget.value)))}>
              {ids.map((id, i) => (
                <option key={id} value={i + 1}>
                  {i + 1}
                </option>
              ))}
            </select>
          </label>
        )}
      </Heading>
      {one.hasLog ? <Viewer key={one.id} name={name} action={one} file={fileName([lastSegment(pipeline), String(execution.number), stage, action, String(attempt)])} /> : <p class="notice">{one.startTime ? (look(one.status) === "running" ? words.log.waiting : words.log.none) : words.log.notStarted}</p>}
    </div>
  );
}

function Viewer({ name, action, file }: { name: string; action: ActionExecution; file: string }) {
  const began = millis(action.startTime);
  const model = useMemo(() => new LogModel(name, action.id, began), [name, action.id]);
  const asked = useMemo(() => parseRange(fragment.peek()), [model]);
  const follow = useSignal(look(action.status) === "running" && !asked);
  const current = useSignal(asked?.from ?? 1);
  const selected = useSignal<LineRange | undefined>(asked);
  const folded = useSignal<ReadonlyMap<number, boolean>>(new Map());
  const whole = useSignal<number | undefined>(undefined);
  const said = useSignal("");
  const handle = useRef<Handle | undefined>(undefined);
  const anchor = useRef(asked?.from ?? 1);
  const failed = look(action.status) === "failed";

  useEffect(() => model.start(), [model]);
  useEffect(() => model.setFailed(failed), [model, failed]);
  useFirstPlace(model, handle, asked, failed && !follow.peek());
  useAddress(selected, handle, follow);
  useCopy(model, selected, said);

  const select = (line: number, extend: boolean) => {
    // A selection goes on from the line where it began.
    if (!extend || !selected.value) anchor.current = extend ? current.value : line;
    selected.value = rangeOf(anchor.current, line);
  };
  const link = (line: number) => href(`${path.value}${location.search}#L${line}`);
  const plain = query.value.get("view") === "text";

  useEffect(() => {
    const find = (event: KeyboardEvent) => {
      const key = event.key.toLowerCase();
      const field = document.getElementById("log-find");
      if (key === "escape" && !event.defaultPrevented && !document.querySelector("dialog[open]")) {
        if (model.search.value) model.stopSearch();
        else selected.value = undefined;
        return;
      }
      // A second time it is the browser's own search.
      if (key !== "f" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || !(field instanceof HTMLInputElement) || document.activeElement === field) return;
      event.preventDefault();
      field.focus();
      field.select();
    };
    document.addEventListener("keydown", find);
    return () => document.removeEventListener("keydown", find);
  }, [model]);
  const stepHit = (by: 1 | -1) => {
    const line = model.step(by, by === 1 ? current.value + 1 : current.value);
    if (line !== undefined) handle.current?.show(line);
  };
  usePageKeys(
    {
      j: () => handle.current?.step(1),
      k: () => handle.current?.step(-1),
      n: () => stepHit(1),
      p: () => stepHit(-1),
      f: () => toggleFollow(model, follow, handle),
      w: () => (wrap.value = wrap.value === "on" ? "off" : "on"),
      c: () => void copyRange(model, selected.value, said),
      ":": () => document.getElementById("log-line")?.focus(),
    },
    [model],
  );

  const count = model.count.value;
  if (count === undefined) return model.error.value ? <Failure error={model.error.value} reload={() => model.retry()} /> : <Loading />;
  return (
    <>
      <div class="log-bar">
        {!plain && <Find model={model} current={current} show={(line) => handle.current?.show(line)} step={stepHit} focusRows={() => handle.current?.focus()} />}
        {!plain && <Places model={model} follow={follow} handle={handle} />}
        <span class="grow" />
        {!plain && (
          <>
            <button type="button" aria-pressed={wrap.value === "on"} onClick={() => (wrap.value = wrap.value === "on" ? "off" : "on")}>
              {words.log.wrap}
            </button>
            <select aria-label={words.log.times} value={times.value} onChange={(event) => (times.value = event.currentTarget.value as typeof times.value)}>
              {(["off", "elapsed", "clock"] as const).map((one) => (
                <option key={one} value={one}>
                  {words.log.timesOf[one]}
                </option>
              ))}
            </select>
            <Sections model={model} folded={folded} />
          </>
        )}
        <Save model={model} file={file} />
        {plain ? (
          <button type="button" onClick={() => setQuery({ view: undefined, from: undefined }, { push: true })}>
            {words.log.viewer}
          </button>
        ) : (
          <More>
            <button type="button" onClick={findErrors}>
              {words.log.findErrors}
            </button>
            <button type="button" disabled={!selected.value} onClick={() => void copyRange(model, selected.value, said)}>
              {words.log.copyLines}
            </button>
            <button type="button" onClick={() => void copyLink(said)}>
              {words.log.copyLink}
            </button>
            <button type="button" onClick={() => setQuery({ view: "text", from: String(handle.current?.first() ?? 1) }, { push: true })}>
              {words.log.plain}
            </button>
          </More>
        )}
      </div>
      {model.error.value !== undefined && <Failure error={model.error.value} reload={() => model.retry()} />}
      {plain ? (
        <Plain model={model} />
      ) : count === 0 ? (
        <p class="notice">{model.done.value ? words.log.empty : words.log.waiting}</p>
      ) : (
        <div class="log-place">
          <Grid model={model} follow={follow} current={current} selected={selected} folded={folded} label={words.log.region(oneLine(action.action, 100))} began={began} href={link} select={select} openWhole={(line) => (whole.value = line)} handle={handle} />
          <NewLines model={model} follow={follow} handle={handle} />
        </div>
      )}
      <div class="log-foot meta">
        <p role="status">{said.value}</p>
        <span>
          {words.log.lines(number(count))} · {bytes(model.bytes.value)}
        </span>
      </div>
      <Opened line={whole} model={model} />
    </>
  );
}

function Opened({ line, model }: { line: Signal<number | undefined>; model: LogModel }) {
  const raw = line.value === undefined ? undefined : model.raw(line.value);
  return raw ? <Whole key={raw.number} raw={raw} model={model} close={() => (line.value = undefined)} /> : null;
}

// The first place: the lines of the address, the end of what failed, or the start.
function useFirstPlace(model: LogModel, handle: { current: Handle | undefined }, asked: LineRange | undefined, atEnd: boolean): void {
  const known = model.count.value !== undefined;
  useEffect(() => {
    if (!known) return;
    if (asked) handle.current?.show(asked.from);
    else if (atEnd) handle.current?.end();
  }, [model, known]);
}

// The selection is in the address, and a change of the address selects.
function useAddress(selected: Signal<LineRange | undefined>, handle: { current: Handle | undefined }, follow: Signal<boolean>): void {
  const range = selected.value;
  const written = useRef(range && formatRange(range));
  useEffect(() => {
    const wanted = range ? formatRange(range) : "";
    if (wanted === (written.current ?? "")) return;
    // Browsers refuse many changes of the address in a short time.
    const timer = setTimeout(() => {
      written.current = wanted;
      navigate(`${path.peek()}${location.search}${wanted && "#" + wanted}`, { replace: true });
    }, 150);
    return () => clearTimeout(timer);
  }, [range?.from, range?.to]);
  const part = fragment.value;
  useEffect(() => {
    if (part === (written.current ?? "")) return;
    const found = parseRange(part);
    written.current = part;
    selected.value = found;
    if (found) {
      follow.value = false;
      handle.current?.show(found.from);
    }
  }, [part]);
}

// Copies the selected lines, those that are not shown too. The text is read when lines are
// selected, since a browser asks for it at once.
function useCopy(model: LogModel, selected: Signal<LineRange | undefined>, said: Signal<string>): void {
  const range = selected.value;
  useEffect(() => {
    if (!range) return;
    said.value = words.log.selected(number(range.from), number(range.to));
    let ready: { text: string; cut: boolean } | undefined;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      if (range.to - range.from < 5000) model.text(range, abort.signal).then((text) => (ready = text), () => undefined);
    }, 200);
    const copy = (event: ClipboardEvent) => {
      // A field and text that was selected by the mouse are copied as everywhere.
      if (event.defaultPrevented || event.target instanceof HTMLInputElement || getSelection()?.toString()) return;
      event.preventDefault();
      if (ready && event.clipboardData) {
        event.clipboardData.setData("text/plain", ready.text);
        said.value = ready.cut ? words.log.copiedCut : words.log.copied(number(range.to - range.from + 1));
      } else void copyRange(model, range, said);
    };
    document.addEventListener("copy", copy);
    return () => {
      clearTimeout(timer);
      abort.abort();
      document.removeEventListener("copy", copy);
    };
  }, [model, range?.from, range?.to]);
}

async function copyRange(model: LogModel, range: LineRange | undefined, said: Signal<string>): Promise<void> {
  if (!range) said.value = words.log.copyNothing;
  else if (range.to - range.from >= copyLines) said.value = words.log.copyTooMany;
  else {
    said.value = words.log.copying;
    try {
      const { text, cut } = await model.text(range);
      said.value = !(await toClipboard(text)) ? words.log.copyFailed : cut ? words.log.copiedCut : words.log.copied(number(range.to - range.from + 1));
    } catch {
      said.value = words.log.copyFailed;
    }
  }
}

async function copyLink(said: Signal<string>): Promise<void> {
  said.value = (await toClipboard(location.href)) ? words.log.copiedLink : words.log.copyFailed;
}

function toggleFollow(model: LogModel, follow: Signal<boolean>, handle: { current: Handle | undefined }): void {
  if (follow.value) follow.value = false;
  else if (!model.done.value) {
    handle.current?.end();
    follow.value = true;
  }
}

function Places({ model, follow, handle }: { model: LogModel; follow: Signal<boolean>; handle: { current: Handle | undefined } }) {
  const [line, setLine] = useState("");
  return (
    <div class="log-places">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const wanted = Number(line.replace(/[\s,._']/g, ""));
          if (!Number.isSafeInteger(wanted) || wanted < 1) return;
          handle.current?.show(wanted);
          handle.current?.focus();
        }}
      >
        <input id="log-line" type="text" inputMode="numeric" class="log-line" aria-label={words.log.goTo} placeholder={words.log.line} value={line} onInput={(event) => setLine(event.currentTarget.value)} />
      </form>
      <button type="button" onClick={() => handle.current?.start()}>
        {words.log.start}
      </button>
      <button type="button" onClick={() => handle.current?.end()}>
        {words.log.end}
      </button>
      {!model.done.value && (
        <button type="button" aria-pressed={follow.value} onClick={() => toggleFollow(model, follow, handle)}>
          {words.log.follow}
        </button>
      )}
    </div>
  );
}

// A menu that closes when something in it was chosen, or the focus leaves it.
function More({ children }: { children: ComponentChildren }) {
  const menu = useRef<HTMLDetailsElement>(null);
  const close = () => {
    if (menu.current) menu.current.open = false;
  };
  return (
    <details ref={menu} class="log-menu" onFocusOut={(event) => event.relatedTarget instanceof Node && !menu.current?.contains(event.relatedTarget) && close()}>
      <summary>{words.log.more}</summary>
      {/* The buttons in it are what acts; the menu only closes after them. */}
      {/* eslint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-static-element-interactions */}
      <div class="menu" onClick={close}>
        {children}
      </div>
    </details>
  );
}

// How many lines came since the view left the end.
function NewLines({ model, follow, handle }: { model: LogModel; follow: Signal<boolean>; handle: { current: Handle | undefined } }) {
  const count = model.count.value ?? 0;
  const left = useRef(count);
  if (follow.value) left.current = count;
  const added = count - left.current;
  if (follow.value || added <= 0 || model.done.value) return null;
  return (
    <button type="button" class="log-new primary" onClick={() => (handle.current?.end(), (follow.value = true))}>
      {words.log.newLines(number(added))}
    </button>
  );
}

function Sections({ model, folded }: { model: LogModel; folded: Signal<ReadonlyMap<number, boolean>> }) {
  const sections = model.sections.value;
  if (model.sectionsState.value === "no" && model.bytes.value > sectionsUnasked) {
    return (
      <button type="button" onClick={() => void model.findSections()}>
        {words.log.findSections}
      </button>
    );
  }
  if (model.sectionsState.value === "running" && model.bytes.value > sectionsUnasked) return <span class="meta">{words.log.findingSections}</span>;
  if (sections.length === 0) return null;
  const all = (value: boolean) => (folded.value = new Map(sections.map((section) => [section.start, value])));
  const open = sections.some((section) => folded.value.get(section.start) === false || (!section.collapsed && folded.value.get(section.start) !== true));
  return (
    <button type="button" onClick={() => all(open)}>
      {open ? words.log.foldAll : words.log.unfoldAll}
    </button>
  );
}

function Save({ model, file }: { model: LogModel; file: string }) {
  const [size, setSize] = useState<number>();
  const [failure, setFailure] = useState<unknown>();
  const abort = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => abort.current?.abort(), []);
  const save = async () => {
    const own = (abort.current = new AbortController());
    const download = new Download();
    setFailure(undefined);
    setSize(0);
    let told = 0;
    try {
      await model.download((piece) => {
        download.add(piece);
        if (download.size - told < 1 << 20) return;
        told = download.size;
        setSize(told);
      }, own.signal);
      download.save(file, "text/plain;charset=utf-8");
    } catch (error) {
      if (!own.signal.aborted) setFailure(error);
    }
    setSize(undefined);
  };
  if (size === undefined) {
    return (
      <>
        <button type="button" onClick={() => void save()}>
          {words.log.download}
        </button>
        {failure !== undefined && <Failure error={failure} />}
      </>
    );
  }
  return (
    <span class="log-saving">
      {words.log.downloading(bytes(size))}
      <button type="button" onClick={() => abort.current?.abort()}>
        {words.log.cancel}
      </button>
    </span>
  );
}
