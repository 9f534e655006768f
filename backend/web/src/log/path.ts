// The address of the log of one attempt of an action: below the name of its execution. attempt
// counts from 1 in the order in which the attempts began.
export function logPath(execution: string, stage: string, action: string, attempt: number): string {
  return `/${execution}/log/${encodeURIComponent(stage)}/${encodeURIComponent(action)}/${attempt}`;
}

// Which attempt of its action an action execution is, from 1. ids are the actions of its stage in
// the order in which they began, and name returns the action of one of them.
export function attemptOf(id: string, ids: readonly string[], name: (id: string) => string | undefined): number {
  return ids.filter((one) => name(one) === name(id)).indexOf(id) + 1;
}

// A name for a file with the log, of letters that every system allows.
export function fileName(parts: readonly string[]): string {
  const name = parts.map((part) => part.replace(/[^A-Za-z0-9._-]+/g, "_").slice(0, 60)).join("-");
  return `${name.replace(/^[.-]+/, "") || "log"}.log`;
}
