import { client } from "../api";
import { useSettled } from "../ask";
import { ExecutionService, type Execution } from "../gen/headrace/v1/execution_pb";
import { readFilter, request, statusFilters } from "../history";
import type { Params } from "../lazy";
import { ExecutionTable } from "../parts/executions";
import { Heading } from "../parts/page";
import { Pages } from "../parts/pages";
import { PipelineHead } from "../parts/pipelinehead";
import { zone } from "../preferences";
import { query, setQuery } from "../router";
import { words } from "../words";

// The executions of a pipeline or of all pipelines of an account. All filters stand in the address.
export default function History({ params }: { params: Params }) {
  const pipeline = params.pipeline;
  const parent = `accounts/${params.account}/pipelines/${pipeline ?? "-"}`;
  const filter = readFilter(query.value);
  const of = JSON.stringify([parent, filter, zone.value]);
  const calm = useSettled(of);
  const ask = async (pageToken: string, signal?: AbortSignal) => {
    const page = await client(ExecutionService).listExecutions({ ...request(parent, filter, zone.value === "utc"), pageToken }, signal ? { signal } : {});
    return { items: page.executions, next: page.nextPageToken };
  };
  const filtered = Object.values(filter).some(Boolean);
  return (
    <>
      {pipeline ? <PipelineHead name={parent} title={pipeline} /> : <Heading title={words.history.title} />}
      <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
        <label>
          {words.history.status}
          <select value={filter.status} onChange={(event) => setQuery({ status: event.currentTarget.value })}>
            <option value="">{words.history.any}</option>
            {Object.keys(statusFilters).map((name) => (
              <option key={name} value={name}>
                {words.history.statuses[name]}
              </option>
            ))}
          </select>
        </label>
        <label>
          {words.history.revision}
          <input type="search" value={filter.revision} placeholder={words.history.revisionHelp} onInput={(event) => setQuery({ revision: event.currentTarget.value })} />
        </label>
        <label>
          {words.history.trigger}
          <input type="search" value={filter.principal} placeholder={words.history.personHelp} onInput={(event) => setQuery({ by: event.currentTarget.value })} />
        </label>
        <label>
          {words.history.kind}
          <select value={filter.trigger} onChange={(event) => setQuery({ trigger: event.currentTarget.value })}>
            <option value="">{words.history.anyKind}</option>
            {Object.entries(words.triggerTypes).map(([type, word]) => (
              <option key={type} value={type}>
                {word}
              </option>
            ))}
          </select>
        </label>
        <label>
          {words.history.from}
          <input type="date" value={filter.from} onInput={(event) => setQuery({ from: event.currentTarget.value })} />
        </label>
        <label>
          {words.history.to}
          <input type="date" value={filter.to} onInput={(event) => setQuery({ to: event.currentTarget.value })} />
        </label>
        {filtered && (
          <button type="button" onClick={() => setQuery({ status: "", revision: "", by: "", trigger: "", from: "", to: "" })}>
            {words.history.clear}
          </button>
        )}
      </form>
      <Pages<Execution> ask={ask} of={calm}>
        {(items) => <ExecutionTable of={items} label={words.history.title} pipelines={!pipeline} />}
      </Pages>
    </>
  );
}
