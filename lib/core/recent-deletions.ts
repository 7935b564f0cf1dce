/**
 * The deletions of the last while, by key: a bounded cache, so that an ordinary outage is repaired by naming them.
 *
 * It is not needed to be right, and a restart forgets it. A deletion that is not in here shows when digests are compared after the
 * repair, and costs a full push instead of a line.
 */
import type { Dot, Incarnation } from "./dot.ts";
import type { EntryKey } from "./layout.ts";
import { Ring } from "./ring.ts";

/** Some 2 MB of keys. */
export const RECENT_DELETIONS_MAX = 16_384;

export interface RecentDeletion {
  readonly dot: Dot;
  readonly key: EntryKey;
}

export class RecentDeletions {
  readonly #deletions: Ring<RecentDeletion>;
  /** By incarnation, in the order of their counters; made when they are asked for. */
  #ordered: Map<Incarnation, RecentDeletion[]> | undefined;

  constructor(max: number) {
    this.#deletions = new Ring(max);
  }

  get size(): number {
    return this.#deletions.size;
  }

  /** Oldest first. */
  [Symbol.iterator](): Iterator<RecentDeletion> {
    return this.#deletions[Symbol.iterator]();
  }

  add(dot: Dot, key: EntryKey): void {
    this.#deletions.add({ dot, key });
    this.#ordered = undefined;
  }

  /** Those of one incarnation whose counters are in from..to, in order. Every page of a repair asks. */
  within(incarnation: Incarnation, from: number, to: number): readonly RecentDeletion[] {
    this.#ordered ??= inOrder(this.#deletions);
    const deletions = this.#ordered.get(incarnation) ?? NONE;
    if (deletions.length === 0) return NONE;
    return deletions.slice(firstFrom(deletions, from), firstFrom(deletions, to + 1));
  }
}

const NONE: readonly RecentDeletion[] = [];

function inOrder(deletions: Iterable<RecentDeletion>): Map<Incarnation, RecentDeletion[]> {
  const ordered = new Map<Incarnation, RecentDeletion[]>();
  for (const deletion of deletions) {
    const list = ordered.get(deletion.dot.incarnation);
    if (list === undefined) ordered.set(deletion.dot.incarnation, [deletion]);
    else list.push(deletion);
  }
  for (const list of ordered.values()) list.sort((a, b) => a.dot.counter - b.dot.counter);
  return ordered;
}

/** The first whose counter is not below. */
function firstFrom(deletions: readonly RecentDeletion[], counter: number): number {
  let low = 0;
  let high = deletions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (deletions[middle]!.dot.counter < counter) low = middle + 1;
    else high = middle;
  }
  return low;
}
