// Ranking of what the palette finds, apart from the page.

// Something that can be found.
export interface Entry {
  // What it is found by, besides its label.
  label: string;
  detail: string;
  // Where it leads, or what it does.
  to: string | (() => void);
  group: string;
}

// The entries that have all words of the text, best first: those whose label begins with the text,
// then those whose label has it, then those whose detail has it.
export function find(entries: readonly Entry[], text: string, most = 40): Entry[] {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return entries.slice(0, most);
  const parts = wanted.split(/\s+/);
  return entries
    .map((entry, place) => ({ entry, place, score: score(entry, wanted, parts) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score || a.place - b.place)
    .slice(0, most)
    .map(({ entry }) => entry);
}

function score(entry: Entry, wanted: string, parts: readonly string[]): number {
  const label = entry.label.toLowerCase();
  const all = `${label} ${entry.detail.toLowerCase()}`;
  if (!parts.every((part) => all.includes(part))) return 0;
  if (label === wanted) return 5;
  if (label.startsWith(wanted)) return 4;
  if (label.includes(wanted)) return 3;
  return parts.every((part) => label.includes(part)) ? 2 : 1;
}

// What a text asks the server for, besides what is known here.
export interface Question {
  // Pipeline and number of an execution.
  pipeline?: string;
  number?: bigint;
  // Beginning of a commit or another revision.
  revision?: string;
}

// The question in a text: "web #12" or "web#12" for an execution, "#12" or "12" for one of the
// pipeline that is shown, hexadecimal digits for a commit. undefined if it asks for nothing.
export function question(text: string, shown: string): Question | undefined {
  const wanted = text.trim();
  const match = /^(?:([A-Za-z0-9.@_-]+?)\s*#|#)?(\d{1,15})$/.exec(wanted);
  const pipeline = match?.[1] ?? shown;
  const found: Question = {};
  if (match?.[2] && pipeline) {
    found.pipeline = pipeline;
    found.number = BigInt(match[2]);
  }
  if (/^[0-9a-f]{4,64}$/.test(wanted)) found.revision = wanted;
  return found.number !== undefined || found.revision ? found : undefined;
}
