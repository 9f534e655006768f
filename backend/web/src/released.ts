// The library of the API keeps the result of each read of a stream until the stream ends, in a race
// with the end of the call. This takes the messages out of the results, so that a stream of hours, or
// of a log of 1 GB, does not fill the tab.
export async function* released<T>(messages: AsyncIterable<T>): AsyncGenerator<T> {
  const reads = messages[Symbol.asyncIterator]();
  for (;;) {
    const read: { done?: boolean; value?: T } = await reads.next();
    if (read.done) return;
    const message = read.value as T;
    delete read.value;
    yield message;
  }
}
