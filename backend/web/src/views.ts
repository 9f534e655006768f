import type { Load } from "./lazy";
import type { Route } from "./routes";

// The pages. Their addresses are the names of the objects that they show. Each view is a part of
// its own, loaded when it is first shown.
export const views: readonly Route<Load>[] = [
  { pattern: "/accounts/:account", view: () => import("./views/overview") },
];
