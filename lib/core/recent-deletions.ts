/**
 * The deletions of the last while, by key: a bounded cache, so that an ordinary outage is repaired by naming them.
 *
 * It is not needed to be right, and a restart forgets it. A deletion that is not in here shows when digests are compared after the
 * repair, and costs a sketch instead of a line. So that nobody has to wait for that comparison, this also knows what it may have
 * forgotten: whoever has not seen some of THAT is told at once that deletions may be missing.
 */
import type { Context } from "./context.ts";
import type { Dot, Incarnation } from "./dot.ts";
import type { EntryKey } from "./layout.ts";
import { Ring } from "./ring.ts";

/** Some 2 MB of keys. */
export const RECENT_DELETIONS_MAX = 16_384;

/** Exceptions of what may be forgotten: a MB. With more, everything so far counts as forgotten. */
const FORGOTTEN_EXCEPTIONS_MAX = 65_536;

export interface RecentDeletion {
  readonly dot: Dot;
  readonly key: EntryKey;
}

export class RecentDeletions {
  readonly #deletions: Ring<RecentDeletion>;
  readonly #seen: Context;
  #forgotten: Context;
  /** By incarnation, in the order of their counters; made when they are asked for. */
  #ordered: Map<Incarnation, RecentDeletion[]> | undefined;

  /** `seen`: the store's own context, of whose dots so far nothing is known here. */
  constructor(max: number, seen: Context) {
    this.#deletions = new Ring(max);
    this.#seen = seen;
    this.#forgotten = seen.clone();
  }

  get size(): number {
    return this.#deletions.size;
  }

  /** Oldest first. */
  [Symbol.iterator](): Iterator<RecentDeletion> {
    return this.#deletions[Symbol.iterator]();
  }

  add(dot: Dot, key: EntryKey): void {
    const gone = this.#deletions.add({ dot, key });
    this.#ordered = undefined;
    if (gone === undefined) return;
    this.#forgotten.add(gone.dot);
    if (this.#forgotten.exceptionCount > FORGOTTEN_EXCEPTIONS_MAX) this.#forgotten = this.#seen.clone();
  }

  /** Those of one incarnation whose counters are in from..to, in order. Every page of a repair asks. */
  within(incarnation: Incarnation, from: number, to: number): readonly RecentDeletion[] {
    this.#ordered ??= inOrder(this.#deletions);
    const deletions = this.#ordered.get(incarnation) ?? NONE;
    if (deletions.length === 0) return NONE;
    return deletions.slice(firstFrom(deletions, from), firstFrom(deletions, to + 1));
  }

  /** These dots were learned of as a whole: which of them are deletions, and of what, is not known here. */
  forget(dots: Context): void {
    this.#forgotten.join(dots);
  }

  /** Whether every deletion among these dots is in here. */
  namesAll(dots: Context): boolean {
    return !dots.overlaps(this.#forgotten);
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
