import type { Load } from "./lazy";
import type { Route } from "./routes";

// The pages. Their addresses are the names of the objects that they show. Each view is a part of
// its own, loaded when it is first shown.
export const views: readonly Route<Load>[] = [
  { pattern: "/accounts/:account", view: () => import("./views/overview") },
  { pattern: "/accounts/:account/executions", view: () => import("./views/history") },
  { pattern: "/accounts/:account/pipelines/:pipeline", view: () => import("./views/pipeline") },
  { pattern: "/accounts/:account/pipelines/:pipeline/executions", view: () => import("./views/history") },
  { pattern: "/accounts/:account/pipelines/:pipeline/executions/:execution", view: () => import("./views/execution") },
  { pattern: "/accounts/:account/pipelines/:pipeline/versions", view: () => import("./views/versions") },
  { pattern: "/accounts/:account/pipelines/:pipeline/versions/:version", view: () => import("./views/versions") },
  { pattern: "/accounts/:account/pipelines/:pipeline/triggers/:trigger", view: () => import("./views/trigger") },
  { pattern: "/accounts/:account/pipelines/:pipeline/decisions", view: () => import("./views/decisions") },
  { pattern: "/accounts/:account/triggers", view: () => import("./views/triggers") },
  { pattern: "/accounts/:account/triggers/:trigger", view: () => import("./views/trigger") },
  { pattern: "/accounts/:account/decisions", view: () => import("./views/decisions") },
  { pattern: "/accounts/:account/webhooks", view: () => import("./views/webhooks") },
  { pattern: "/accounts/:account/webhooks/:webhook", view: () => import("./views/webhook") },
  { pattern: "/accounts/:account/webhooks/:webhook/deliveries/:delivery", view: () => import("./views/delivery") },
  { pattern: "/accounts/:account/deliveries", view: () => import("./views/deliveries") },
  { pattern: "/accounts/:account/pipelines/:pipeline/executions/:execution/log/:stage/:action/:attempt", view: () => import("./log/view") },
];
