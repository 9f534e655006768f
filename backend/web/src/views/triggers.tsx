import { client } from "../api";
import { TriggerService, type DeclaredTrigger } from "../gen/headrace/v1/trigger_pb";
import type { Params } from "../lazy";
import { lastSegment, visible } from "../names";
import { Outcome } from "../parts/decisions";
import { Link } from "../parts/link";
import { Heading, Line } from "../parts/page";
import { Pages } from "../parts/pages";
import { Shape } from "../parts/status";
import { Time } from "../parts/time";
import { sourceText } from "../triggers";
import { words } from "../words";

// The triggers of an account, those that belong to pipelines too.
export default function Triggers({ params }: { params: Params }) {
  const parent = `accounts/${params.account}`;
  const ask = async (pageToken: string, signal?: AbortSignal) => {
    const page = await client(TriggerService).listTriggers({ parent, pageSize: 100, pageToken }, signal ? { signal } : {});
    return { items: page.triggers, next: page.nextPageToken };
  };
  return (
    <>
      <Heading title={words.triggers.title} />
      <Pages<DeclaredTrigger> ask={ask} of={parent}>
        {(triggers) => (triggers.length === 0 ? <p class="notice">{words.triggers.empty}</p> : <Table of={triggers} />)}
      </Pages>
    </>
  );
}

function Table({ of }: { of: readonly DeclaredTrigger[] }) {
  return (
    <div class="table-box">
      <table class="list" aria-label={words.triggers.title}>
        <thead>
          <tr>
            <th scope="col">{words.triggers.name}</th>
            <th scope="col">{words.triggers.pipeline}</th>
            <th scope="col">{words.triggers.source}</th>
            <th scope="col">{words.triggers.latest}</th>
          </tr>
        </thead>
        <tbody>
          {of.map((trigger) => (
            <tr key={trigger.name} data-row>
              <td>
                <Link to={`/${trigger.name}`}>
                  <Line text={lastSegment(trigger.name)} limit={80} />
                </Link>
                {trigger.inline && <span class="meta"> {words.triggers.inline}</span>}
                {trigger.pause && (
                  <p class="status waiting" title={visible(trigger.pause.reason)}>
                    <Shape of="stopping" />
                    {words.triggers.pausedBy} <Line text={trigger.pause.principal} limit={60} />, <Time at={trigger.pause.pauseTime} />
                  </p>
                )}
                {trigger.warnings.length > 0 && (
                  <p class="status waiting" title={trigger.warnings.map((warning) => visible(warning.message)).join("\n")}>
                    {words.triggers.warnings}: {trigger.warnings.length}
                  </p>
                )}
              </td>
              <td>
                <Link to={`/${trigger.pipeline}`}>
                  <Line text={lastSegment(trigger.pipeline)} limit={80} />
                </Link>
              </td>
              <td class="wide">
                <Line text={sourceText(trigger)} />
              </td>
              <td>
                {trigger.latestDecision ? (
                  <>
                    <Outcome of={trigger.latestDecision.outcome} /> <span class="meta"><Time at={trigger.latestDecision.decideTime} /></span>
                  </>
                ) : (
                  <span class="meta">{words.none}</span>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
