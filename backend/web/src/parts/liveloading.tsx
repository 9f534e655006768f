import { stream } from "../live";
import { Loading } from "./page";

// Says that the live updates are on their way, unless the server refused them: the banner says so.
export function LiveLoading() {
  return stream.value.refused ? null : <Loading />;
}
