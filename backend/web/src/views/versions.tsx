import { client } from "../api";
import { useAsk } from "../ask";
import { DefinitionChangeKind, PipelineService, type Action, type DefinitionChange, type PipelineVersion, type Stage } from "../gen/headrace/v1/pipeline_pb";
import type { Params } from "../lazy";
import { visible } from "../names";
import { Link } from "../parts/link";
import { Facts, Failure, Line, Loading } from "../parts/page";
import { Pages } from "../parts/pages";
import { PipelineHead } from "../parts/pipelinehead";
import { Shape } from "../parts/status";
import { Time } from "../parts/time";
import { query, setQuery } from "../router";
import type { Look } from "../status";
import { words } from "../words";

// The versions of a pipeline, or one of them with what it changed.
export default function Versions({ params }: { params: Params }) {
  const name = `accounts/${params.account}/pipelines/${params.pipeline}`;
  return (
    <>
      <PipelineHead name={name} title={params.pipeline ?? ""} />
      {params.version === undefined ? <List name={name} /> : params.version === "unpublished" ? <Unpublished name={name} /> : <One name={name} version={params.version} />}
    </>
  );
}

function List({ name }: { name: string }) {
  const ask = async (pageToken: string, signal?: AbortSignal) => {
    const page = await client(PipelineService).listPipelineVersions({ parent: name, pageSize: 50, pageToken }, signal ? { signal } : {});
    return { items: page.versions, next: page.nextPageToken };
  };
  return (
    <Pages<PipelineVersion> ask={ask} of={name}>
      {(versions) =>
        versions.length === 0 ? (
          <p class="notice">{words.versions.empty}</p>
        ) : (
          <div class="table-box">
            <table class="list" aria-label={words.versions.title}>
              <thead>
                <tr>
                  <th scope="col">{words.versions.version}</th>
                  <th scope="col">{words.versions.published}</th>
                  <th scope="col">{words.versions.by}</th>
                  <th scope="col">{words.versions.stages}</th>
                  <th scope="col">{words.versions.digest}</th>
                </tr>
              </thead>
              <tbody>
                {versions.map((version) => (
                  <tr key={version.name} data-row>
                    <td>
                      <Link to={`/${version.name}`} class="number-link">
                        v{String(version.version)}
                      </Link>
                    </td>
                    <td class="nowrap">
                      <Time at={version.createTime} face="both" />
                    </td>
                    <td>
                      <Line text={version.principal} limit={80} />
                    </td>
                    <td class="wide">
                      <Line text={version.definition?.stages.map((stage) => stage.name).join(" → ") ?? ""} />
                    </td>
                    <td>
                      <code title={version.digest}>{version.digest.slice(0, 12)}</code>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )
      }
    </Pages>
  );
}

function One({ name, version }: { name: string; version: string }) {
  const to = BigInt(/^\d{1,18}$/.test(version) ? version : "0");
  const wanted = query.value.get("from") ?? "";
  const from = /^\d{1,18}$/.test(wanted) ? BigInt(wanted) : to - 1n;
  const asked = useAsk((signal) => client(PipelineService).getPipelineVersion({ name: `${name}/versions/${version}` }, { signal }), `${name} ${version}`);
  const diff = useAsk(async (signal) => (from < 1n || from === to ? undefined : client(PipelineService).diffPipelineVersions({ name, fromVersion: from, toVersion: to }, { signal })), `${name} ${from} ${to}`);
  const shown = asked.value?.version;
  return (
    <>
      <h2>
        {words.versions.version} {version}
      </h2>
      {asked.error !== undefined && <Failure error={asked.error} reload={asked.reload} />}
      {shown && (
        <Facts
          of={[
            [words.versions.published, <Time key="time" at={shown.createTime} face="both" />],
            [words.versions.by, <Line key="by" text={shown.principal} limit={100} />],
            [words.versions.digest, <code key="digest">{shown.digest}</code>],
          ]}
        />
      )}
      <div class="section-head">
        <h2>{from >= 1n ? words.versions.diffTitle(from, to) : words.versions.first}</h2>
        {to > 1n && (
          <label>
            {words.versions.compare}{" "}
            <select value={String(from)} onChange={(event) => setQuery({ from: event.currentTarget.value })}>
              {Array.from({ length: Math.min(Number(to) - 1, 100) }, (_, i) => to - 1n - BigInt(i)).map((one) => (
                <option key={String(one)} value={String(one)}>
                  v{String(one)}
                </option>
              ))}
            </select>
          </label>
        )}
      </div>
      {diff.error !== undefined ? (
        <Failure error={diff.error} reload={diff.reload} />
      ) : diff.value ? (
        diff.value.changes.length === 0 ? (
          <p class="notice">{words.versions.noChanges}</p>
        ) : (
          <Changes of={diff.value.changes} />
        )
      ) : (
        diff.loading && <Loading />
      )}
      {shown?.definition && (
        <section class="below">
          <h2>{words.versions.definition}</h2>
          <Definition stages={shown.definition.stages} />
        </section>
      )}
    </>
  );
}

// What a publication of a composed pipeline would change now.
function Unpublished({ name }: { name: string }) {
  const diff = useAsk((signal) => client(PipelineService).diffPipelineVersions({ name, unpublished: true }, { signal }), `${name} unpublished`);
  return (
    <>
      <h2 class="section-head">{words.versions.unpublished}</h2>
      {diff.error !== undefined ? <Failure error={diff.error} reload={diff.reload} /> : !diff.value ? <Loading /> : diff.value.changes.length === 0 ? <p class="notice">{words.versions.noChanges}</p> : <Changes of={diff.value.changes} />}
    </>
  );
}

const kinds: Record<DefinitionChangeKind, { word: string; look: Look; sign: string }> = {
  [DefinitionChangeKind.UNSPECIFIED]: { word: "", look: "none", sign: "" },
  [DefinitionChangeKind.ADDED]: { word: words.versions.added, look: "succeeded", sign: "+" },
  [DefinitionChangeKind.REMOVED]: { word: words.versions.removed, look: "failed", sign: "−" },
  [DefinitionChangeKind.CHANGED]: { word: words.versions.changed, look: "waiting", sign: "~" },
  [DefinitionChangeKind.MOVED]: { word: words.versions.moved, look: "running", sign: "→" },
};

// Differences by what they are about, in the order of the definition.
function Changes({ of }: { of: readonly DefinitionChange[] }) {
  const blocks: { block: string; changes: DefinitionChange[] }[] = [];
  for (const change of of) {
    const last = blocks.at(-1);
    if (last && last.block === change.block) last.changes.push(change);
    else blocks.push({ block: change.block, changes: [change] });
  }
  return (
    <ul class="changes">
      {blocks.map(({ block, changes }, i) => (
        <li key={i}>
          <h3>
            <Line text={block || words.versions.pipelineItself} limit={200} />
          </h3>
          <ul>
            {changes.map((change, j) => (
              <li key={j} class={`change ${kinds[change.kind].look}`}>
                <span class="change-kind">
                  <span class="sign" aria-hidden="true">
                    {kinds[change.kind].sign}
                  </span>
                  {kinds[change.kind].word}
                </span>
                <code class="change-field">{visible(change.field)}</code>
                <span class="change-values">
                  <Values of={change.before} kind="before" />
                  <Values of={change.after} kind="after" />
                </span>
              </li>
            ))}
          </ul>
        </li>
      ))}
    </ul>
  );
}

function Values({ of, kind }: { of: readonly string[]; kind: "before" | "after" }) {
  if (of.length === 0) return null;
  const lines = of.map((value) => (value.length > 1000 ? value.slice(0, 1000) + "…" : value));
  const content = (
    <>
      <span class="hidden">{kind === "before" ? words.versions.before : words.versions.after}: </span>
      <code>{visible(lines.join("\n"))}</code>
    </>
  );
  return kind === "before" ? <del>{content}</del> : <ins>{content}</ins>;
}

function Definition({ stages }: { stages: readonly Stage[] }) {
  return (
    <ol class="definition">
      {stages.map((stage) => (
        <li key={stage.name}>
          <h3>
            <Line text={stage.name} limit={100} />
          </h3>
          <table class="list" aria-label={stage.name}>
            <tbody>
              {[...stage.actions]
                .sort((a, b) => (a.runOrder || 1) - (b.runOrder || 1))
                .map((action) => (
                  <ActionRow key={action.name} of={action} />
                ))}
            </tbody>
          </table>
          {stage.beforeEntry && <ConditionLine word={words.conditions[1]} rules={stage.beforeEntry.rules.map((rule) => rule.name)} result={stage.beforeEntry.result} />}
          {stage.onSuccess && <ConditionLine word={words.conditions[2]} rules={stage.onSuccess.rules.map((rule) => rule.name)} result={stage.onSuccess.result} />}
          {stage.onFailure && <ConditionLine word={words.conditions[3]} rules={stage.onFailure.condition?.rules.map((rule) => rule.name) ?? []} result={stage.onFailure.result || stage.onFailure.condition?.result || ""} />}
        </li>
      ))}
    </ol>
  );
}

function ActionRow({ of }: { of: Action }) {
  const details = [...of.commands, ...Object.entries(of.configuration).map(([key, value]) => `${key} = ${value}`)];
  return (
    <tr>
      <th scope="row">
        <Line text={of.name} limit={100} />
      </th>
      <td class="meta">
        {of.category}/{of.provider}
      </td>
      <td class="right meta" title={words.action.runOrder}>
        {of.runOrder || 1}
      </td>
      <td class="wide">
        <code>
          <Line text={details.join(" ; ")} />
        </code>
      </td>
    </tr>
  );
}

function ConditionLine({ word, rules, result }: { word: string; rules: readonly string[]; result: string }) {
  return (
    <p class="meta">
      <Shape of="none" /> {word}: <Line text={rules.join(", ")} limit={200} /> {result}
    </p>
  );
}
