/**
 * The deletions of the last while, by key: a bounded cache, so that an ordinary outage is repaired by naming them.
 *
 * It is not needed to be right, and a restart forgets it. A deletion that is not in here shows when digests are compared after the
 * repair, and costs a full push instead of a line.
 */
import type { Dot } from "./dot.ts";
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
  }
}
