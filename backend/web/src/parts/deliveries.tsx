import { client } from "../api";
import { useSettled } from "../ask";
import { DeliveryStatus, WebhookService, type Delivery } from "../gen/headrace/v1/trigger_pb";
import { number } from "../format";
import { lastSegment, segment } from "../names";
import { query, setQuery } from "../router";
import type { Look } from "../status";
import { words } from "../words";
import { Link } from "./link";
import { Line } from "./page";
import { Pages } from "./pages";
import { Shape } from "./status";
import { Time } from "./time";

const looks: Record<DeliveryStatus, Look> = {
  [DeliveryStatus.UNSPECIFIED]: "none",
  [DeliveryStatus.ACCEPTED]: "succeeded",
  [DeliveryStatus.IGNORED]: "skipped",
  [DeliveryStatus.REFUSED]: "failed",
};

// What was done with a delivery.
export function DeliveryWord({ of }: { of: DeliveryStatus }) {
  const face = looks[of] ?? "none";
  return (
    <span class={`status ${face}`}>
      <Shape of={face} />
      {words.deliveries.statuses[of]}
    </span>
  );
}

// The deliveries of an account or a webhook, newest first, filtered by what the address says.
export function DeliveryList({ parent, webhooks }: { parent: string; webhooks: boolean }) {
  const chosen = Number(query.value.get("status") ?? "0");
  const status: DeliveryStatus = chosen >= 1 && chosen <= 3 ? chosen : DeliveryStatus.UNSPECIFIED;
  const of = useSettled(JSON.stringify([parent, status]));
  const ask = async (pageToken: string, signal?: AbortSignal) => {
    const page = await client(WebhookService).listDeliveries({ parent, status, pageSize: 100, pageToken }, signal ? { signal } : {});
    return { items: page.deliveries, next: page.nextPageToken };
  };
  return (
    <>
      <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
        <label>
          {words.deliveries.status}
          <select value={String(status)} onChange={(event) => setQuery({ status: event.currentTarget.value === "0" ? "" : event.currentTarget.value })}>
            <option value="0">{words.deliveries.any}</option>
            {[1, 2, 3].map((one) => (
              <option key={one} value={String(one)}>
                {words.deliveries.statuses[one]}
              </option>
            ))}
          </select>
        </label>
      </form>
      <Pages<Delivery> ask={ask} of={of}>
        {(items) => <Table of={items} webhooks={webhooks} />}
      </Pages>
    </>
  );
}

function Table({ of, webhooks }: { of: readonly Delivery[]; webhooks: boolean }) {
  if (of.length === 0) return <p class="notice">{words.deliveries.empty}</p>;
  return (
    <div class="table-box">
      <table class="list" aria-label={words.deliveries.title}>
        <thead>
          <tr>
            <th scope="col">{words.deliveries.time}</th>
            <th scope="col">{words.deliveries.status}</th>
            <th scope="col">{words.deliveries.event}</th>
            {webhooks && <th scope="col">{words.deliveries.webhook}</th>}
            <th scope="col">{words.deliveries.repository}</th>
            <th scope="col">{words.deliveries.message}</th>
            <th scope="col" class="right">
              {words.deliveries.count}
            </th>
          </tr>
        </thead>
        <tbody>
          {of.map((delivery) => (
            <tr key={delivery.name} data-row>
              <td class="nowrap">
                <Link to={`/${delivery.name}`}>
                  <Time at={delivery.receiveTime} face="compact" />
                </Link>{" "}
                <span class="meta">
                  <Time at={delivery.receiveTime} />
                </span>
              </td>
              <td>
                <DeliveryWord of={delivery.status} />
              </td>
              <td>
                <Line text={delivery.event} limit={60} />
              </td>
              {webhooks && (
                <td>
                  <Line text={segment(delivery.name, "webhooks")} limit={60} />
                </td>
              )}
              <td>
                <Line text={delivery.repository} limit={80} />
              </td>
              <td class="wide">
                <Line text={delivery.message || delivery.decisions.map((decision) => `${lastSegment(decision.trigger)}: ${words.decisions.outcomes[decision.outcome]}`).join(", ")} />
              </td>
              <td class="right">{number(delivery.count > delivery.attempts ? delivery.count : delivery.attempts)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

