/**
 * The deletions of the last while, by key: a bounded cache, so that an ordinary outage is repaired by naming them.
 *
 * It also knows how far back it is complete. For each incarnation a horizon says: every deletion with a higher counter that this
 * replica has seen is in here. So an answer can state that it names ALL deletions that the asker has not seen; where it cannot,
 * the digests must tell whether any is missing, and if so a full push finds it.
 */
import type { Context } from "./context.ts";
import { dotKey, dotOfKey, type Dot, type DotKey, type Incarnation } from "./dot.ts";
import type { EntryKey } from "./layout.ts";

/** Some 2 MB of keys. */
export const RECENT_DELETIONS_MAX = 16_384;

export class RecentDeletions {
  readonly #max: number;
  readonly #keys = new Map<DotKey, EntryKey>();
  readonly #horizons = new Map<Incarnation, number>();

  /** `seen`: what the replica has seen already; which of it were deletions is not known. */
  constructor(max: number, seen: Context) {
    this.#max = max;
    this.raiseHorizons(seen);
  }

  get size(): number {
    return this.#keys.size;
  }

  /** Oldest first. */
  entries(): IterableIterator<[DotKey, EntryKey]> {
    return this.#keys.entries();
  }

  add(dot: Dot, key: EntryKey): void {
    this.#keys.set(dotKey(dot.incarnation, dot.counter), key);
    if (this.#keys.size > this.#max) this.#forgetOldest();
  }

  /** Dots that are seen from now on without being told which of them were deletions. */
  raiseHorizons(dots: Context): void {
    for (const incarnation of dots.incarnations()) this.#raise(incarnation, dots.highest(incarnation));
  }

  /** True when every deletion among these dots is in here. */
  isCompleteFor(dots: Context): boolean {
    for (const incarnation of dots.incarnations()) {
      if (dots.rangesOf(incarnation)[0]! <= (this.#horizons.get(incarnation) ?? 0)) return false;
    }
    return true;
  }

  #raise(incarnation: Incarnation, counter: number): void {
    if (counter > (this.#horizons.get(incarnation) ?? 0)) this.#horizons.set(incarnation, counter);
  }

  #forgetOldest(): void {
    for (const oldest of this.#keys.keys()) {
      this.#keys.delete(oldest);
      const { incarnation, counter } = dotOfKey(oldest);
      this.#raise(incarnation, counter);
      return;
    }
  }
}
