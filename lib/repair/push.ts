/**
 * Writes go to the peers that are up at once, batched per peer, one batch under way at a time. Under load the next batch waits until
 * some milliseconds after the last, because every batch costs either side a request and the peer a transaction.
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

/** Keys that are worth a batch whenever they have come together: some hundred KB. */
const KEYS_AT_ONCE = 512;

const NO_DOTS: readonly Dot[] = [];

interface Waiting {
  /** The caller's own list as long as one write is all there was. */
  gone: readonly Dot[];
  /** Clients' writes that want to know when the peer holds this key as it is now. */
  tickets: number[] | undefined;
}

/** A key's record, as the store holds it at this moment. */
export type RecordOf = (key: EntryKey) => Uint8Array;

export interface InFlight {
  readonly exchange: number;
  readonly sentMs: number;
  readonly tickets: readonly number[];
}

export class PushQueue {
  readonly #keysMax: number;
  #waiting = new Map<EntryKey, Waiting>();
  /** A client waits for something in the queue. */
  #urgent = false;
  #inFlight: InFlight | undefined;
  #sentMs = -Infinity;

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
      waiting = { gone: NO_DOTS, tickets: undefined };
      this.#waiting.set(key, waiting);
    }
    if (gone.length > 0) waiting.gone = waiting.gone.length === 0 && gone.length <= GONE_MAX ? gone : united(waiting.gone, gone);
    if (ticket === undefined) return givenUp;
    this.#urgent = true;
    if (waiting.tickets === undefined) waiting.tickets = [ticket];
    else waiting.tickets.push(ticket);
    return givenUp;
  }

  /**
   * When the next batch may go: at once after a pause, or when a client waits for it; else `everyMs` after the one before. Undefined
   * while one is under way, or when nothing waits.
   */
  dueMs(everyMs: number): number | undefined {
    if (this.#inFlight !== undefined || this.#waiting.size === 0) return undefined;
    return this.#urgent || this.#waiting.size >= KEYS_AT_ONCE ? -Infinity : this.#sentMs + everyMs;
  }

  /** The next batch, when there is one and none is under way. */
  next(store: Store, nextExchange: () => number, monotonicMs: number, recordOf = recordsOf(store)): Push | undefined {
    if (this.#inFlight !== undefined || this.#waiting.size === 0) return undefined;
    const entries: WireEntry[] = [];
    const tickets: number[] = [];
    let bytes = 0;
    for (const [key, waiting] of this.#waiting) {
      if (bytes >= PUSH_BYTES) break;
      this.#waiting.delete(key);
      const entry = { key, record: recordOf(key), gone: waiting.gone };
      bytes += key.length + entry.record.length + 16 * entry.gone.length;
      entries.push(entry);
      if (waiting.tickets !== undefined) tickets.push(...waiting.tickets);
    }
    if (this.#waiting.size === 0) this.#urgent = false;
    const exchange = nextExchange();
    this.#sentMs = monotonicMs;
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
    this.#urgent = false;
    return keys;
  }
}

export function recordsOf(store: Store): RecordOf {
  return (key) => store.wireEntry(key, NO_DOTS).record;
}

function united(known: readonly Dot[], more: readonly Dot[]): Dot[] {
  const all = [...known];
  for (const dot of more) if (all.length < GONE_MAX && !includesDot(all, dot)) all.push(dot);
  return all;
}
