/**
 * Writes go to the peers that are up at once, batched per peer, one batch under way at a time.
 *
 * The queue holds KEYS, not entries. What a key holds is read when the batch is made, in the same step as the context that goes with
 * it: an entry from one moment with a context from a later one would say "I have seen that newer write and do not hold
 * it", which reads as a deletion. It also means that a hot key is sent once for many writes.
 *
 * The queue is bounded. When it is full it is emptied and the peer simply differs: a push is an optimisation, repair is the truth.
 */
import { includesDot, type Dot } from "../core/dot.ts";
import type { EntryKey } from "../core/layout.ts";
import type { Push, WireEntry } from "../core/message.ts";
import type { Store } from "../core/store.ts";

/** Bytes of entries in one batch. */
export const PUSH_BYTES = 256 * 1024;

/** Exceptions of the context that goes with a batch; it only has to be a lower bound. */
const PUSH_EXCEPTIONS = 16;

/** Gone dots of one key that are named; a peer that misses others keeps siblings until the next repair. */
const GONE_MAX = 1024;

interface Waiting {
  gone: Dot[];
  /** Clients' writes that want to know when the peer holds this key as it is now. */
  tickets: number[];
}

export interface InFlight {
  readonly exchange: number;
  readonly sentMs: number;
  readonly tickets: readonly number[];
}

export class PushQueue {
  readonly #keysMax: number;
  #waiting = new Map<EntryKey, Waiting>();
  #inFlight: InFlight | undefined;

  constructor(keysMax: number) {
    this.#keysMax = keysMax;
  }

  get size(): number {
    return this.#waiting.size;
  }

  get inFlight(): InFlight | undefined {
    return this.#inFlight;
  }

  /** Returns the number of keys given up when the queue was full, else 0. */
  add(key: EntryKey, gone: readonly Dot[], ticket: number | undefined): number {
    let waiting = this.#waiting.get(key);
    let givenUp = 0;
    if (waiting === undefined) {
      if (this.#waiting.size >= this.#keysMax) givenUp = this.clear();
      waiting = { gone: [], tickets: [] };
      this.#waiting.set(key, waiting);
    }
    for (const dot of gone) if (waiting.gone.length < GONE_MAX && !includesDot(waiting.gone, dot)) waiting.gone.push(dot);
    if (ticket !== undefined) waiting.tickets.push(ticket);
    return givenUp;
  }

  /** The next batch, when there is one and none is under way. */
  next(store: Store, nextExchange: () => number, monotonicMs: number): Push | undefined {
    if (this.#inFlight !== undefined || this.#waiting.size === 0) return undefined;
    const entries: WireEntry[] = [];
    const tickets: number[] = [];
    let bytes = 0;
    for (const [key, waiting] of this.#waiting) {
      if (bytes >= PUSH_BYTES) break;
      this.#waiting.delete(key);
      const entry = store.wireEntry(key, waiting.gone);
      bytes += key.length + entry.record.length + 16 * entry.gone.length;
      entries.push(entry);
      tickets.push(...waiting.tickets);
    }
    const exchange = nextExchange();
    this.#inFlight = { exchange, sentMs: monotonicMs, tickets };
    return { kind: "push", exchange, entries, context: store.context.lowerBound(PUSH_EXCEPTIONS).clone() };
  }

  /** The batch under way was answered, or given up. Returns it when the exchange is the right one. */
  finish(exchange: number): InFlight | undefined {
    if (this.#inFlight?.exchange !== exchange) return undefined;
    const finished = this.#inFlight;
    this.#inFlight = undefined;
    return finished;
  }

  /** Forgets what waits; returns how many keys that were. */
  clear(): number {
    const keys = this.#waiting.size;
    this.#waiting = new Map();
    return keys;
  }
}
