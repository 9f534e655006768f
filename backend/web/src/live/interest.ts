// What the pages of one tab want to see live.
export interface Interest {
  // accounts/{account}.
  account: string;
  overview: boolean;
  pipelines: readonly string[];
  executions: readonly string[];
}

// The most objects of each kind that the server sends in one stream.
export const mostObjects = 20;

// All that the interests name, in one account. What is more than the server sends is left out.
export function union(interests: readonly Interest[], account: string): Interest {
  const mine = interests.filter((interest) => interest.account === account);
  const all = (names: (interest: Interest) => readonly string[]) => [...new Set(mine.flatMap(names))].sort().slice(0, mostObjects);
  return {
    account,
    overview: mine.some((interest) => interest.overview),
    pipelines: all((interest) => interest.pipelines),
    executions: all((interest) => interest.executions),
  };
}

// Whether the first interest has all that the second names.
export function covers(wide: Interest, narrow: Interest): boolean {
  return (
    wide.account === narrow.account &&
    (wide.overview || !narrow.overview) &&
    narrow.pipelines.every((name) => wide.pipelines.includes(name)) &&
    narrow.executions.every((name) => wide.executions.includes(name))
  );
}

// Whether it names nothing.
export function empty(interest: Interest): boolean {
  return !interest.overview && interest.pipelines.length === 0 && interest.executions.length === 0;
}

// How long to wait before the next try to connect, in milliseconds: a random part of a range that
// doubles with each failure, up to 2.5 seconds, so that browsers do not all return at once.
export function backoff(failures: number, random: () => number = Math.random): number {
  const range = Math.min(2500, 200 * 2 ** Math.min(failures, 10));
  return range * (0.3 + 0.7 * random());
}
