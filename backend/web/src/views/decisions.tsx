import { client } from "../api";
import { useSettled } from "../ask";
import { TriggerService, type TriggerDecision } from "../gen/headrace/v1/trigger_pb";
import type { Params } from "../lazy";
import { DecisionTable } from "../parts/decisions";
import { Heading } from "../parts/page";
import { Pages } from "../parts/pages";
import { PipelineHead } from "../parts/pipelinehead";
import { query, setQuery } from "../router";
import { words } from "../words";

// What the triggers of an account or a pipeline decided.
export default function Decisions({ params }: { params: Params }) {
  const parent = params.pipeline ? `accounts/${params.account}/pipelines/${params.pipeline}` : `accounts/${params.account}`;
  return (
    <>
      {params.pipeline ? <PipelineHead name={parent} title={params.pipeline} /> : <Heading title={words.decisions.title} />}
      <DecisionList parent={parent} pipelines={!params.pipeline} />
    </>
  );
}

// The decisions below a parent, filtered by what the address says.
export function DecisionList({ parent, pipelines }: { parent: string; pipelines: boolean }) {
  const commit = query.value.get("commit") ?? "";
  const ref = query.value.get("ref") ?? "";
  const of = useSettled(JSON.stringify([parent, commit, ref]));
  const ask = async (pageToken: string, signal?: AbortSignal) => {
    // A commit of fewer digits is refused; it filters once it is long enough.
    const usable = /^[0-9a-f]{7,64}$/.test(commit.trim()) ? commit.trim() : "";
    const page = await client(TriggerService).listTriggerDecisions({ parent, commit: usable, ref: ref.trim(), pageSize: 100, pageToken }, signal ? { signal } : {});
    return { items: page.decisions, next: page.nextPageToken };
  };
  return (
    <>
      <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
        <label>
          {words.decisions.commit}
          <input type="search" value={commit} placeholder={words.decisions.commitHelp} onInput={(event) => setQuery({ commit: event.currentTarget.value })} />
        </label>
        <label>
          {words.decisions.ref}
          <input type="search" value={ref} placeholder="refs/heads/main" onInput={(event) => setQuery({ ref: event.currentTarget.value })} />
        </label>
      </form>
      <Pages<TriggerDecision> ask={ask} of={of}>
        {(items) => <DecisionTable of={items} pipelines={pipelines} />}
      </Pages>
    </>
  );
}
