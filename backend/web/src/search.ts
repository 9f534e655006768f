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

// The execution number that a text asks for: "12" or "#12".
export function executionNumber(text: string): bigint | undefined {
  const match = /^#?(\d{1,15})$/.exec(text.trim());
  return match?.[1] ? BigInt(match[1]) : undefined;
}
