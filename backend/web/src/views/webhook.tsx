import { client } from "../api";
import { useAsk } from "../ask";
import { WebhookService, type Webhook as WebhookMessage } from "../gen/headrace/v1/trigger_pb";
import type { Params } from "../lazy";
import { lastSegment, visible } from "../names";
import { DeliveryList } from "../parts/deliveries";
import { Link } from "../parts/link";
import { Facts, Failure, Heading, Line, Loading } from "../parts/page";
import { Shape } from "../parts/status";
import { Time } from "../parts/time";
import { words } from "../words";

// One webhook with its managed hooks and its deliveries.
export default function Webhook({ params }: { params: Params }) {
  const name = `accounts/${params.account}/webhooks/${params.webhook}`;
  const asked = useAsk((signal) => client(WebhookService).getWebhook({ name }, { signal }), name);
  const webhook = asked.value?.webhook;
  return (
    <>
      <Heading title={params.webhook ?? ""} kicker={<Link to={`/accounts/${params.account}/webhooks`}>{words.webhooks.title}</Link>} />
      {asked.error !== undefined ? <Failure error={asked.error} reload={asked.reload} /> : webhook ? <Known of={webhook} /> : <Loading />}
      {webhook && (
        <>
          <h2 class="section-head">{words.deliveries.title}</h2>
          <DeliveryList parent={name} webhooks={false} />
        </>
      )}
    </>
  );
}

function Known({ of }: { of: WebhookMessage }) {
  return (
    <>
      {of.description && <p class="summary">{visible(of.description)}</p>}
      <Facts
        of={[
          [words.webhooks.kind, words.webhooks.kinds[of.kind]],
          [words.webhooks.connection, of.connection && <Line key="connection" text={lastSegment(of.connection)} limit={100} />],
          [words.webhooks.address, of.url && <code key="url">{visible(of.url)}</code>],
          [words.webhooks.authentication, of.authentication?.method.case],
          [words.webhooks.last, of.lastDeliveryTime && <Time at={of.lastDeliveryTime} face="both" />],
          [words.webhooks.refusal, of.lastRefusalTime && <Time at={of.lastRefusalTime} face="both" />],
          [
            words.webhooks.secrets,
            of.secrets.length > 0 && (
              <ul key="secrets">
                {of.secrets.map((secret) => (
                  <li key={String(secret.version)}>
                    {String(secret.version)} <span class="meta">{words.webhooks.used}: {secret.lastUseTime ? <Time at={secret.lastUseTime} /> : words.webhooks.never}</span>
                  </li>
                ))}
              </ul>
            ),
          ],
        ]}
      />
      {of.managedHooks.length > 0 && (
        <section>
          <h2 class="section-head">{words.webhooks.managed}</h2>
          <div class="table-box">
            <table class="list" aria-label={words.webhooks.managed}>
              <tbody>
                {of.managedHooks.map((hook) => (
                  <tr key={hook.repository}>
                    <th scope="row">
                      <Line text={hook.repository} limit={120} />
                    </th>
                    <td>
                      <span class={`status ${hook.problem ? "failed" : hook.active ? "succeeded" : "none"}`}>
                        <Shape of={hook.problem ? "failed" : hook.active ? "succeeded" : "none"} />
                        {hook.active ? words.webhooks.active : words.webhooks.inactive}
                      </span>
                    </td>
                    <td class="wide">{visible(hook.problem)}</td>
                    <td class="meta nowrap">
                      <Time at={hook.checkTime} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      )}
    </>
  );
}
