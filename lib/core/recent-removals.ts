/**
 * What this replica lately superseded or deleted, and by which write: a bounded cache, oldest out first.
 *
 * A peer that has not heard of that write still holds what it removed. To compare digests with such a peer those dots are added back;
 * without this cache a node under steady writes could never verify anybody, because some write is always on its way.
 */
import type { Context } from "./context.ts";
import { includesDot, type Dot } from "./dot.ts";
import type { EntryKey } from "./layout.ts";
import type { Stamp } from "./time.ts";
import { Ring } from "./ring.ts";

/** Some 3 MB. With more removals than this while a peer is away, that peer has to repair first. */
export const RECENT_REMOVALS_MAX = 16_384;

/** Who wrote what was removed, and when by that node's clock: for people who ask why (Kv.why). */
export interface Written {
  readonly writer: string;
  readonly stamp: Stamp;
}

export interface Removal {
  readonly dot: Dot;
  readonly key: EntryKey;
  /** The write, or the dots of the entry through which it was heard of. */
  readonly by: readonly Dot[];
  readonly written: Written | undefined;
}

export class RecentRemovals {
  readonly #max: number;
  #removals: Ring<Removal>;

  constructor(max: number) {
    this.#max = max;
    this.#removals = new Ring(max);
  }

  get size(): number {
    return this.#removals.size;
  }

  add(dot: Dot, key: EntryKey, by: readonly Dot[], written?: Written): void {
    // Not the sibling itself, which would keep its value in memory.
    this.#removals.add({ dot, key, by, written: written && { writer: written.writer, stamp: written.stamp } });
  }

  /** The disk has lost these writes: to name one as a reason would be to say that it was removed. */
  forget(lost: readonly Dot[]): void {
    if (lost.length === 0) return;
    const removals = [...this.#removals];
    this.#removals = new Ring(this.#max);
    for (const removal of removals) this.#removals.add({ ...removal, by: removal.by.filter((write) => !includesDot(lost, write)) });
  }

  /** What is remembered of one key, oldest first. It looks at all of them. */
  of(wanted: EntryKey): Removal[] {
    return [...this.#removals].filter(({ key }) => key === wanted);
  }

  /** The keys of which something was removed. */
  keys(): Set<EntryKey> {
    const keys = new Set<EntryKey>();
    for (const { key } of this.#removals) keys.add(key);
    return keys;
  }

  /** Dots that a peer with this context has seen and whose removal it has not heard of, apart from those of some keys. */
  unheardBy(theirs: Context, except: ReadonlySet<EntryKey>): Dot[] {
    const unheard: Dot[] = [];
    for (const { dot, key, by } of this.#removals) {
      if (theirs.has(dot) && !except.has(key) && by.some((write) => !theirs.has(write))) unheard.push(dot);
    }
    return unheard;
  }
}
