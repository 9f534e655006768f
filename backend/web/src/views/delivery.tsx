import { client } from "../api";
import { useAsk } from "../ask";
import { Pairs } from "../execution/detail";
import { bytes, number } from "../format";
import { WebhookService, type Delivery as DeliveryMessage } from "../gen/headrace/v1/trigger_pb";
import type { Params } from "../lazy";
import { visible } from "../names";
import { DecisionTable } from "../parts/decisions";
import { DeliveryWord } from "../parts/deliveries";
import { Link } from "../parts/link";
import { Facts, Failure, Heading, Line, Loading } from "../parts/page";
import { Time } from "../parts/time";
import { words } from "../words";

// How much of a body is shown. A delivery may have megabytes.
const most = 64 * 1024;

// One delivery: what it was, what each trigger decided, and its body for those who may see it.
export default function Delivery({ params }: { params: Params }) {
  const webhook = `accounts/${params.account}/webhooks/${params.webhook}`;
  const name = `${webhook}/deliveries/${params.delivery}`;
  const asked = useAsk((signal) => client(WebhookService).getDelivery({ name }, { signal }), name);
  const delivery = asked.value?.delivery;
  return (
    <>
      <Heading
        title={`${words.deliveries.one} ${delivery?.event ?? ""}`.trim()}
        kicker={
          <>
            <Link to={`/accounts/${params.account}/webhooks`}>{words.webhooks.title}</Link> / <Link to={`/${webhook}`}>{params.webhook}</Link>
          </>
        }
      >
        {delivery && <DeliveryWord of={delivery.status} />}
      </Heading>
      {asked.error !== undefined ? <Failure error={asked.error} reload={asked.reload} /> : delivery ? <Known of={delivery} /> : <Loading />}
    </>
  );
}

function Known({ of }: { of: DeliveryMessage }) {
  return (
    <>
      {of.message && <p class="notice">{visible(of.message)}</p>}
      <Facts
        of={[
          [words.deliveries.time, of.receiveTime && <Time at={of.receiveTime} face="both" />],
          [words.deliveries.repository, of.repository && <Line key="repository" text={of.repository} limit={120} />],
          [words.deliveries.by, of.pusher && <Line key="pusher" text={[of.pusher, of.forge].filter(Boolean).join(" · ")} limit={120} />],
          [words.deliveries.attempts, of.attempts > 1n && number(of.attempts)],
          [words.deliveries.count, of.count > 1n && number(of.count)],
          [words.decisions.reason, of.reason && <code key="reason">{of.reason}</code>],
          [words.deliveries.address, of.address && <code key="address">{visible(of.address)}</code>],
          [words.deliveries.id, of.externalId && <code key="id">{visible(of.externalId)}</code>],
        ]}
      />
      <h2 class="section-head">{words.triggers.decisions}</h2>
      <DecisionTable of={of.decisions} />
      <Pairs title={words.deliveries.headers} of={of.headers} />
      <section>
        <h2 class="section-head">{words.deliveries.body}</h2>
        {of.body.length === 0 ? (
          <p class="meta">{words.deliveries.bodyHidden}</p>
        ) : (
          <>
            {of.body.length > most && <p class="meta">{words.deliveries.bodyCut(bytes(most), bytes(of.body.length))}</p>}
            {/* The focus is needed to scroll it by keyboard. */}
            {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
            <pre class="body" tabIndex={0} aria-label={words.deliveries.body}>
              {bodyText(of.body)}
            </pre>
          </>
        )}
      </section>
    </>
  );
}

// JSON with line breaks, other text as it is.
function bodyText(body: Uint8Array): string {
  const text = new TextDecoder().decode(body.subarray(0, most));
  if (body.length > most) return visible(text, most + 1);
  try {
    return visible(JSON.stringify(JSON.parse(text), null, 2), 4 * most);
  } catch {
    return visible(text, most + 1);
  }
}
