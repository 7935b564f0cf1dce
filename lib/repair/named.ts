/**
 * What a peer named during one session as live, and which of that we have superseded meanwhile or before: it still holds those, we do
 * not, and the digests can only be compared when they are added back.
 */
import type { MergeOutcome } from "../core/change.ts";
import { Context } from "../core/context.ts";
import { sameDot, type Dot } from "../core/dot.ts";
import { dotsOf } from "../core/entry.ts";
import type { EntryKey } from "../core/layout.ts";
import type { WireEntry } from "../core/message.ts";
import type { Store } from "../core/store.ts";

export class Named {
  /** Every dot that they named, also those of which a later page said that they are gone. */
  readonly dots = new Context();
  readonly #store: Store;
  /** By key: dots that they hold and we do not. */
  readonly #superseded = new Map<EntryKey, Dot[]>();
  readonly #stopListening: () => void;
  /** Keys of which we removed something lately: before the session, or since. */
  readonly #removedFrom: Set<EntryKey>;
  /** Those of them of which they said what they hold. */
  readonly #keys = new Set<EntryKey>();
  #merging = false;

  constructor(store: Store) {
    this.#store = store;
    this.#removedFrom = store.recentRemovals.keys();
    this.#stopListening = store.listen((dot, live, key) => {
      if (!live) this.#removedFrom.add(key);
      if (!live && !this.#merging && this.dots.has(dot)) this.#supersede(key, dot);
    });
  }

  stop(): void {
    this.#stopListening();
  }

  /** We removed what they had named: counted here, and not once more as unheard. */
  #supersede(key: EntryKey, dot: Dot): void {
    this.#superseded.set(key, [...(this.#superseded.get(key) ?? []), dot]);
    this.#keys.add(key);
  }

  /** Merges one of their entries. It holds the key's whole live set, so it replaces what they said of the key before. */
  merge(entry: WireEntry, theirContext: Context, nowMs: number): MergeOutcome {
    this.#merging = true;
    try {
      const outcome = this.#store.merge(entry, theirContext, nowMs);
      for (const { dot } of outcome.theirs) this.dots.add(dot);
      if (this.#removedFrom.size > 0 && this.#removedFrom.has(entry.key)) this.#keys.add(entry.key);
      const superseded = outcome.theirs.filter(({ dot }) => !outcome.after.some((ours) => sameDot(ours.dot, dot)));
      if (superseded.length > 0) this.#superseded.set(entry.key, dotsOf(superseded));
      else if (this.#superseded.size > 0) this.#superseded.delete(entry.key);
      return outcome;
    } finally {
      this.#merging = false;
    }
  }

  /** The dots that they hold and we do not, as far as they named them. */
  superseded(): Dot[] {
    return [...this.#superseded.values()].flat();
  }

  /** The same of keys that they did not mention: what we removed by writes that they, with this context, have not heard of. */
  unheard(theirs: Context): Dot[] {
    return this.#store.recentRemovals.unheardBy(theirs, this.#keys);
  }
}
