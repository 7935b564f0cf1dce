/**
 * The deletions of the last while, by key: a bounded cache, so that an ordinary outage is repaired by naming them.
 *
 * It is not needed to be right, and a restart forgets it. A deletion that is not in here shows when digests are compared after the
 * repair, and costs a full push instead of a line.
 */
import { dotKey, type Dot, type DotKey } from "./dot.ts";
import type { EntryKey } from "./layout.ts";

/** Some 2 MB of keys. */
export const RECENT_DELETIONS_MAX = 16_384;

export class RecentDeletions {
  readonly #max: number;
  readonly #keys = new Map<DotKey, EntryKey>();

  constructor(max: number) {
    this.#max = max;
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
    if (this.#keys.size <= this.#max) return;
    for (const oldest of this.#keys.keys()) {
      this.#keys.delete(oldest);
      return;
    }
  }
}
