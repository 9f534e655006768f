import assert from "node:assert/strict";
import { test } from "node:test";
import { released } from "./released";

test("a result that is kept has no message after it was read", async () => {
  const kept: IteratorResult<string>[] = [];
  const words = ["one", "two"];
  const source: AsyncIterable<string> = {
    [Symbol.asyncIterator]: () => ({
      next: () => {
        const word = words.shift();
        const result: IteratorResult<string> = word === undefined ? { done: true, value: undefined } : { done: false, value: word };
        kept.push(result);
        return Promise.resolve(result);
      },
    }),
  };
  const read: string[] = [];
  for await (const word of released(source)) read.push(word);
  assert.deepEqual(read, ["one", "two"]);
  assert.deepEqual(kept.map(({ value }) => value), [undefined, undefined, undefined]);
});
