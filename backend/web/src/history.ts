import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { ExecutionStatus, type ListExecutionsRequestSchema } from "./gen/headrace/v1/execution_pb";

// The filters of the history as they stand in the address.
export interface HistoryFilter {
  status: string;
  revision: string;
  principal: string;
  trigger: string;
  from: string;
  to: string;
}

// Names of statuses in addresses.
export const statusFilters: Record<string, readonly ExecutionStatus[]> = {
  running: [ExecutionStatus.IN_PROGRESS, ExecutionStatus.STOPPING],
  succeeded: [ExecutionStatus.SUCCEEDED],
  failed: [ExecutionStatus.FAILED],
  stopped: [ExecutionStatus.STOPPED, ExecutionStatus.CANCELLED, ExecutionStatus.ABANDONED],
  superseded: [ExecutionStatus.SUPERSEDED],
};

export function readFilter(query: URLSearchParams): HistoryFilter {
  const of = (key: string) => query.get(key) ?? "";
  return { status: of("status") in statusFilters ? of("status") : "", revision: of("revision"), principal: of("by"), trigger: of("trigger"), from: of("from"), to: of("to") };
}

// The request that the filter means. Days are whole days of the reader's zone. A revision that is
// too short or has other characters is left out, since the server refuses it while it is typed.
export function request(parent: string, filter: HistoryFilter, utc: boolean): MessageInitShape<typeof ListExecutionsRequestSchema> {
  const from = day(filter.from, 0, utc);
  const to = day(filter.to, 1, utc);
  return {
    parent,
    pageSize: 50,
    statuses: [...(statusFilters[filter.status] ?? [])],
    revision: /^[A-Za-z0-9._:+/=-]{4,200}$/.test(filter.revision.trim()) ? filter.revision.trim() : "",
    principal: filter.principal.trim().slice(0, 200),
    triggerTypes: filter.trigger ? [filter.trigger] : [],
    ...(from === undefined ? {} : { startTimeFrom: timestampFromMs(from) }),
    ...(to === undefined ? {} : { startTimeTo: timestampFromMs(to) }),
  };
}

// The beginning of a day such as 2026-12-01, or of the one `later` days after it.
function day(text: string, later: number, utc: boolean): number | undefined {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (!match) return undefined;
  const [year, month, date] = [Number(match[1]), Number(match[2]) - 1, Number(match[3]) + later];
  const ms = utc ? Date.UTC(year, month, date) : new Date(year, month, date).getTime();
  return Number.isNaN(ms) ? undefined : ms;
}
