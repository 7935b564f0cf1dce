/**
 * What this replica lately superseded or deleted, and by which write: a bounded cache, oldest out first.
 *
 * A peer that has not heard of that write still holds what it removed. To compare digests with such a peer those dots are added back;
 * without this cache a node under steady writes could never verify anybody, because some write is always on its way.
 */
import { dotKey, dotOfKey, type Dot, type DotKey } from "./dot.ts";
import type { Context } from "./context.ts";
import type { EntryKey } from "./layout.ts";

/** Some 3 MB. With more removals than this while a peer is away, that peer has to repair first. */
export const RECENT_REMOVALS_MAX = 16_384;

interface Removal {
  readonly key: EntryKey;
  /** The write, or the dots of the entry through which it was heard of. */
  readonly by: readonly Dot[];
}

export class RecentRemovals {
  readonly #max: number;
  readonly #removals = new Map<DotKey, Removal>();
  /** How many removals of each key are in here. */
  readonly #keys = new Map<EntryKey, number>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#removals.size;
  }

  hasKey(key: EntryKey): boolean {
    return this.#keys.has(key);
  }

  add(removed: Dot, key: EntryKey, by: readonly Dot[]): void {
    this.#removals.set(dotKey(removed.incarnation, removed.counter), { key, by });
    this.#keys.set(key, (this.#keys.get(key) ?? 0) + 1);
    if (this.#removals.size > this.#max) this.#forgetOldest();
  }

  /** Dots that a peer with this context has seen and whose removal it has not heard of, apart from those of some keys. */
  unheardBy(theirs: Context, except: ReadonlySet<EntryKey>): Dot[] {
    const unheard: Dot[] = [];
    for (const [removed, { key, by }] of this.#removals) {
      const dot = dotOfKey(removed);
      if (theirs.has(dot) && !except.has(key) && by.some((write) => !theirs.has(write))) unheard.push(dot);
    }
    return unheard;
  }

  #forgetOldest(): void {
    for (const [oldest, { key }] of this.#removals) {
      this.#removals.delete(oldest);
      const left = this.#keys.get(key)! - 1;
      if (left === 0) this.#keys.delete(key);
      else this.#keys.set(key, left);
      return;
    }
  }
}
