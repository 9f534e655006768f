import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { cancelled, client, Code, ConnectError, explainError } from "../api";
import { useSettled } from "../ask";
import { bytes, number } from "../format";
import { ExecutionService, type ArtifactFile } from "../gen/headrace/v1/execution_pb";
import { usePageKeys } from "../keys";
import type { Params } from "../lazy";
import { store, type LiveExecution } from "../live";
import { oneLine } from "../names";
import { Link } from "../parts/link";
import { Failure, Line } from "../parts/page";
import { query, setQuery } from "../router";
import { live as isLive } from "../status";
import { words } from "../words";
import { artifactPath, artifactsOf, filterFiles, findRow, pathText, type Place, type Row } from "./list";
import { Saver } from "./save";

// How many files are shown first, and how many more at a time. The server's pages are larger.
const filesShown = 200;
// How many of the actions that used an artifact are shown first.
const usersShown = 3;

// The artifacts of an execution, or the files of the one that the address names. It is part of the
// page of the execution, which the parameter "name" names.
export default function Artifacts({ params }: { params: Params }) {
  const name = params.name ?? "";
  const live = store.execution(name).value;
  return live ? <Known of={live} name={name} /> : null;
}

function Known({ of, name }: { of: LiveExecution; name: string }) {
  const rows = artifactsOf(of.shape.value.map(({ stage, actions }) => ({ stage, actions: actions.flatMap((id) => of.action(id)?.value ?? []) })));
  const execution = of.execution.value;
  const removed = execution.outputsRemoveTime !== undefined;
  const wanted = query.value.get("artifact") ?? "";
  const row = wanted && !removed ? findRow(rows, wanted, query.value.get("digest") ?? "") : undefined;
  const opened = useRef("");
  useEffect(() => {
    if (row) opened.current = linkId(row);
    else if (opened.current) {
      // Back in the list, the keyboard goes on where it left.
      document.getElementById(opened.current)?.focus();
      opened.current = "";
    }
  }, [row?.artifact.digest, row?.artifact.name]);
  if (row) return <Opened key={`${row.artifact.name} ${row.artifact.digest}`} row={row} execution={name} />;
  return (
    <>
      {wanted && !removed && (
        <p class="notice warn" role="alert">
          {words.errors.missing(words.artifacts.missing(oneLine(wanted, 100)))}
        </p>
      )}
      {rows.length === 0 ? <p class="notice">{isLive(execution.status) ? words.artifacts.empty : words.artifacts.none}</p> : <List rows={rows} execution={name} removed={removed} />}
    </>
  );
}

function linkId({ artifact, maker }: Row): string {
  return `artifact-${artifact.digest}-${maker?.id ?? ""}`;
}

function List({ rows, execution, removed }: { rows: readonly Row[]; execution: string; removed: boolean }) {
  return (
    <div class="table-box">
      <table class="list" aria-label={words.execution.artifacts}>
        <thead>
          <tr>
            <th scope="col">{words.artifacts.artifact}</th>
            <th scope="col">{words.artifacts.madeBy}</th>
            <th scope="col">{words.artifacts.usedBy}</th>
            <th scope="col" class="right">
              {words.artifacts.size}
            </th>
            <th scope="col">{words.artifacts.digest}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={linkId(row)} data-row>
              <th scope="row">
                {removed ? (
                  <Line text={row.artifact.name} limit={100} />
                ) : (
                  <Link to={artifactPath(execution, row.artifact)} id={linkId(row)}>
                    <Line text={row.artifact.name} limit={100} />
                  </Link>
                )}
                {" "}
                {row.replaced && <span class="tag">{words.artifacts.replaced}</span>}
                {" "}
                {removed && <span class="tag">{words.artifacts.removed}</span>}
              </th>
              <td>{row.maker ? <ByAction of={row.maker} /> : <span class="meta">{words.artifacts.otherExecution}</span>}</td>
              <td>
                <Users of={row.users} />
              </td>
              <td class="right nowrap">{bytes(Number(row.artifact.sizeBytes))}</td>
              <td>
                <code title={row.artifact.digest}>{row.artifact.digest.slice(0, 12)}</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function ByAction({ of }: { of: Place }) {
  return (
    <button type="button" class="plain" onClick={() => setQuery({ action: of.id })}>
      <Line text={`${of.stage} / ${of.action}`} limit={120} />
    </button>
  );
}

function Users({ of }: { of: readonly Place[] }) {
  const [all, setAll] = useState(false);
  if (of.length === 0) return <span class="meta">{words.artifacts.nobody}</span>;
  const shown = all ? of : of.slice(0, usersShown);
  return (
    <>
      {shown.map((place) => (
        <ByAction key={place.id} of={place} />
      ))}
      {shown.length < of.length && (
        <button type="button" class="plain" onClick={() => setAll(true)}>
          {words.artifacts.show(of.length - shown.length)}
        </button>
      )}
    </>
  );
}

const back = () => setQuery({ artifact: undefined, digest: undefined, files: undefined }, { push: true });

function Opened({ row, execution }: { row: Row; execution: string }) {
  const { artifact } = row;
  const saver = useMemo(() => new Saver(execution, artifact.name, artifact.digest), []);
  useEffect(() => () => saver.cancel(), [saver]);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  usePageKeys({ Escape: () => query.peek().get("action") || back() }, []);
  const filter = query.value.get("files") ?? "";
  const settled = useSettled(filter);
  const [limit, setLimit] = useState(filesShown);
  const files = useFiles(execution, artifact.name, artifact.digest, settled ? Infinity : limit);
  const found = filterFiles(files.known, settled);
  const shown = found.slice(0, limit);
  const busy = saver.running.value !== undefined;
  const count = files.count ?? 0;
  return (
    <section class="artifact" aria-labelledby="artifact">
      <p>
        <button type="button" onClick={back}>
          <span aria-hidden="true">‹ </span>
          {words.artifacts.back}
        </button>
      </p>
      <h3 id="artifact" ref={heading} tabIndex={-1}>
        {words.artifacts.files(oneLine(artifact.name, 100))}
      </h3>
      <p class="meta artifact-about">
        {row.maker ? <Line text={`${row.maker.stage} / ${row.maker.action}`} limit={120} /> : words.artifacts.otherExecution} · {bytes(Number(artifact.sizeBytes))} · {words.artifacts.digest} <code>{artifact.digest}</code>
      </p>
      {row.replaced && <p class="notice">{words.artifacts.replaced}</p>}
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <label>
          {words.artifacts.filter}
          <input type="search" value={filter} onInput={(event) => (setLimit(filesShown), setQuery({ files: event.currentTarget.value }))} />
        </label>
        <button type="button" disabled={busy} onClick={() => void saver.save()}>
          {words.artifacts.saveAll}
        </button>
      </form>
      <Progress of={saver} />
      {files.error !== undefined && <Damage error={files.error} title={words.artifacts.damagedList} reload={files.reload} />}
      {shown.length > 0 && <Files of={shown} busy={busy} label={words.artifacts.files(oneLine(artifact.name, 100))} save={(file) => void saver.save(file)} />}
      <p class="meta" role="status">
        {files.loading ? words.loading : files.count === undefined ? "" : count === 0 ? words.artifacts.noFiles : settled && found.length === 0 ? words.artifacts.noHits : settled ? words.artifacts.hits(number(shown.length), number(found.length)) : words.artifacts.shown(number(shown.length), number(count))}
      </p>
      {!files.loading && (shown.length < found.length || files.more) && files.error === undefined && (
        <p class="more">
          <button type="button" onClick={() => setLimit(limit + filesShown)}>
            {words.more}
          </button>
        </p>
      )}
      {files.unlisted > 0 && !files.more && shown.length === found.length && <p class="notice">{words.artifacts.unlisted(number(files.unlisted))}</p>}
    </section>
  );
}

function Files({ of, busy, label, save }: { of: readonly ArtifactFile[]; busy: boolean; label: string; save: (file: ArtifactFile) => void }) {
  return (
    <div class="table-box">
      <table class="list artifact-files" aria-label={label}>
        <thead>
          <tr>
            <th scope="col">{words.artifacts.path}</th>
            <th scope="col" class="right">
              {words.artifacts.size}
            </th>
            <th scope="col">
              <span class="hidden">{words.artifacts.save}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {of.map((file, i) => (
            <tr key={i} data-row>
              <td class="artifact-path">
                <bdi>
                  <code>
                    {pathText(file.path)}
                    {file.directory && !file.path.endsWith("/") && "/"}
                  </code>
                </bdi>
                {file.linkTarget && (
                  <span class="meta">
                    {" → "}
                    <bdi>{pathText(file.linkTarget)}</bdi>
                  </span>
                )}
              </td>
              <td class="right nowrap">{file.directory ? <span class="hidden">{words.artifacts.directory}</span> : !file.linkTarget && bytes(Number(file.sizeBytes))}</td>
              <td>
                {!file.directory && !file.linkTarget && (
                  <button type="button" disabled={busy} onClick={() => save(file)}>
                    {words.artifacts.save}
                    <span class="hidden"> {pathText(file.path).slice(0, 200)}</span>
                  </button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

// The download that is under way, and how the last one ended. The focus is on Cancel while there
// is one, and then again where it was.
function Progress({ of }: { of: Saver }) {
  const running = of.running.value;
  const stop = useRef<HTMLButtonElement>(null);
  const before = useRef<Element | null>(null);
  const active = running !== undefined;
  if (active && !stop.current) before.current = document.activeElement;
  useEffect(() => {
    if (active) stop.current?.focus();
    else if (document.activeElement === document.body && before.current instanceof HTMLElement) before.current.focus();
  }, [active]);
  return (
    <>
      {running && (
        <div class="artifact-progress">
          <Line text={words.artifacts.saving(running.name)} limit={120} />
          <progress aria-label={words.artifacts.saving(oneLine(running.name, 100))} {...(running.total === undefined ? {} : { value: running.done, max: Math.max(running.total, 1) })} />
          <span class="meta">{running.total === undefined ? words.artifacts.preparing : words.artifacts.progress(bytes(running.done), bytes(running.total))}</span>
          <button type="button" ref={stop} onClick={() => of.cancel()}>
            {words.artifacts.cancel}
          </button>
        </div>
      )}
      <p class="meta artifact-said" role="status">
        {oneLine(of.said.value)}
      </p>
      {of.failure.value !== undefined && <Damage error={of.failure.value} title={words.artifacts.damaged} />}
    </>
  );
}

// An error; of an artifact that is damaged with what that means.
function Damage({ error, title, reload }: { error: unknown; title: string; reload?: () => void }) {
  if (ConnectError.from(error).code !== Code.DataLoss) return <Failure error={error} {...(reload ? { reload } : {})} />;
  return (
    <div class="notice bad" role="alert">
      <strong>{title}</strong>
      <p class="artifact-error">{explainError(error)}</p>
    </div>
  );
}

interface Listed {
  known: readonly ArtifactFile[];
  // Token of the page after the known ones; empty if there is none.
  next: string;
  // How many files the artifact has, and how many of them no page holds.
  count: number | undefined;
  unlisted: number;
}

// The files of an artifact, at least as many as wanted if it has so many.
function useFiles(execution: string, artifact: string, digest: string, wanted: number): Listed & { more: boolean; loading: boolean; error: unknown; reload: () => void } {
  const [listed, setListed] = useState<Listed>({ known: [], next: "", count: undefined, unlisted: 0 });
  const [error, setError] = useState<unknown>();
  const [round, setRound] = useState(0);
  const more = listed.count === undefined || listed.next !== "";
  const loading = more && listed.known.length < wanted && error === undefined;
  useEffect(() => {
    if (!loading) return;
    const abort = new AbortController();
    client(ExecutionService)
      .listArtifactFiles({ name: execution, artifact, digest, pageToken: listed.next }, { signal: abort.signal })
      .then(
        (answer) => {
          if (!abort.signal.aborted) setListed({ known: [...listed.known, ...answer.files], next: answer.nextPageToken, count: Number(answer.fileCount), unlisted: Number(answer.unlistedCount) });
        },
        (failure: unknown) => {
          if (!abort.signal.aborted && !cancelled(failure)) setError(failure);
        },
      );
    return () => abort.abort();
  }, [loading, listed, round]);
  const reload = () => {
    setError(undefined);
    setRound(round + 1);
  };
  return { ...listed, more: more && listed.count !== undefined, loading, error, reload };
}
