/**
 * Takes requests in slices of a few milliseconds, so that the event loop comes round often however many clients are waiting.
 *
 * One look at the sockets can bring nine hundred requests, and Node handles all of them before it does anything else: a tenth of a second
 * and more. Node 20 takes ONE new connection each time its loop comes round (measured), so whoever connects meanwhile, to ping for
 * instance, waited for minutes. What does not fit into a slice waits in order; what must be answered promptly does not wait. In a round that
 * brought a new connection there are probably more to come, and the slice is one request.
 */
export interface Slices<T> {
  /** Handles it now, or soon. */
  take(item: T): void;
  /** A connection has come. */
  hurry(): void;
  readonly waiting: number;
}

/** Several dozen reads, or a dozen writes: the loop's own round costs a hundredth of it. */
const SLICE_MS = 2;

/**
 * Requests of a round that brought a new connection. One costs about as much as the connection, so that at worst half of the time goes to
 * those who come. With four, a ping behind 1,200 other new connections took twice the processor time that it takes with one.
 */
const HURRIED_MAX = 1;

export function createSlices<T>(handle: (item: T) => void): Slices<T> {
  let waiting: T[] = [];
  let isScheduled = false;
  let endsMs = 0;
  let isHurried = false;

  const turn = (): void => {
    endsMs = performance.now() + SLICE_MS;
    let taken = 0;
    const takenMax = isHurried ? Math.min(HURRIED_MAX, waiting.length) : waiting.length;
    isHurried = false;
    while (taken < takenMax && performance.now() < endsMs) handle(waiting[taken++]!);
    waiting = taken === waiting.length ? [] : waiting.slice(taken);
    isScheduled = waiting.length > 0;
    if (isScheduled) setImmediate(turn);
  };

  const schedule = (): void => {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(turn);
    endsMs = performance.now() + SLICE_MS;
  };

  return {
    take(item) {
      schedule();
      if (waiting.length === 0 && !isHurried && performance.now() < endsMs) handle(item);
      else waiting.push(item);
    },
    hurry() {
      // Also when nobody waits yet: the requests of this round may come after the connection.
      schedule();
      isHurried = true;
    },
    get waiting() {
      return waiting.length;
    },
  };
}
