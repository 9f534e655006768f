import type { Params } from "../lazy";
import { DeliveryList } from "../parts/deliveries";
import { Heading } from "../parts/page";
import { words } from "../words";

// The deliveries of all webhooks of an account.
export default function Deliveries({ params }: { params: Params }) {
  return (
    <>
      <Heading title={words.deliveries.title} />
      <DeliveryList parent={`accounts/${params.account}`} webhooks />
    </>
  );
}
