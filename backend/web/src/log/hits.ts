// The lines that a search found, in their order.
export class Hits {
  readonly #lines: number[] = [];

  // Adds a line that was found; the server sends them in order.
  add(line: number): void {
    if (line > (this.#lines.at(-1) ?? 0)) this.#lines.push(line);
  }

  get count(): number {
    return this.#lines.length;
  }

  line(index: number): number | undefined {
    return this.#lines[index];
  }

  has(line: number): boolean {
    return this.#lines[this.from(line)] === line;
  }

  // Index of the first hit at or after a line; the count if there is none.
  from(line: number): number {
    let [low, high] = [0, this.#lines.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#lines[middle]! < line) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // The hit after or before that of the index, around the ends; undefined if nothing was found.
  step(index: number | undefined, by: 1 | -1, line: number): number | undefined {
    const { count } = this;
    if (count === 0) return undefined;
    if (index !== undefined) return (index + by + count) % count;
    const at = this.from(line);
    return by === 1 ? at % count : (at - 1 + count) % count;
  }
}

// What is searched for.
export interface Query {
  text: string;
  matchCase: boolean;
  wholeWord: boolean;
  regularExpression: boolean;
}

// Where plain text of a query is in a line: pairs of a begin and an end, at most 100. Regular
// expressions are matched by the server alone: a browser's may run for hours on a line, and their
// rows are marked instead.
export function matches(query: Query, text: string): [number, number][] {
  if (query.regularExpression || query.text === "") return [];
  const fold = (one: string) => (query.matchCase ? one : one.toLowerCase());
  const [line, wanted] = [fold(text), fold(query.text)];
  // Lower case of a few letters is longer.
  if (line.length !== text.length) return [];
  const found: [number, number][] = [];
  for (let at = line.indexOf(wanted); at >= 0 && found.length < 100; at = line.indexOf(wanted, at + Math.max(1, wanted.length))) {
    const to = at + wanted.length;
    if (query.wholeWord && (isWord(line[at - 1]) || isWord(line[to]))) continue;
    found.push([at, to]);
  }
  return found;
}

const isWord = (one: string | undefined) => one !== undefined && /\w/.test(one);
