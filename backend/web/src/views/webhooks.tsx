import { client } from "../api";
import { WebhookService, type Webhook } from "../gen/headrace/v1/trigger_pb";
import type { Params } from "../lazy";
import { lastSegment } from "../names";
import { Link } from "../parts/link";
import { Heading, Line } from "../parts/page";
import { Pages } from "../parts/pages";
import { Shape } from "../parts/status";
import { Time } from "../parts/time";
import { words } from "../words";

// The webhooks of an account.
export default function Webhooks({ params }: { params: Params }) {
  const parent = `accounts/${params.account}`;
  const ask = async (pageToken: string, signal?: AbortSignal) => {
    const page = await client(WebhookService).listWebhooks({ parent, pageSize: 100, pageToken }, signal ? { signal } : {});
    return { items: page.webhooks, next: page.nextPageToken };
  };
  return (
    <>
      <Heading title={words.webhooks.title} />
      <Pages<Webhook> ask={ask} of={parent}>
        {(webhooks) =>
          webhooks.length === 0 ? (
            <p class="notice">{words.webhooks.empty}</p>
          ) : (
            <div class="table-box">
              <table class="list" aria-label={words.webhooks.title}>
                <thead>
                  <tr>
                    <th scope="col">{words.webhooks.name}</th>
                    <th scope="col">{words.webhooks.kind}</th>
                    <th scope="col">{words.webhooks.connection}</th>
                    <th scope="col">{words.webhooks.last}</th>
                    <th scope="col">{words.webhooks.refusal}</th>
                    <th scope="col">{words.webhooks.managed}</th>
                  </tr>
                </thead>
                <tbody>
                  {webhooks.map((webhook) => {
                    const problems = webhook.managedHooks.filter((hook) => hook.problem).length;
                    return (
                      <tr key={webhook.name} data-row>
                        <td>
                          <Link to={`/${webhook.name}`}>
                            <Line text={lastSegment(webhook.name)} limit={80} />
                          </Link>
                        </td>
                        <td>{words.webhooks.kinds[webhook.kind]}</td>
                        <td>
                          <Line text={lastSegment(webhook.connection)} limit={80} />
                        </td>
                        <td>{webhook.lastDeliveryTime ? <Time at={webhook.lastDeliveryTime} /> : <span class="meta">{words.none}</span>}</td>
                        <td>{webhook.lastRefusalTime ? <Time at={webhook.lastRefusalTime} /> : <span class="meta">{words.none}</span>}</td>
                        <td>
                          {webhook.manage && webhook.managedHooks.length - problems}
                          {problems > 0 && (
                            <span class="status failed">
                              <Shape of="failed" />
                              {words.webhooks.problems(problems)}
                            </span>
                          )}
                        </td>
                      </tr>
                    );
                  })}
                </tbody>
              </table>
            </div>
          )
        }
      </Pages>
    </>
  );
}
