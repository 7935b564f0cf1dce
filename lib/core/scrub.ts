/** What is told of a scrub: an audit of all that the storage holds (audit.ts), with what was done about what it found. */

/**
 * `open`: what a large store does by itself after its start. `scheduled`: by cron. `asked`: by an operator.
 * `damage`: a record turned out to be damaged when somebody wanted it.
 */
export type ScrubReason = "open" | "scheduled" | "asked" | "damage";

export interface ScrubCounts {
  /** Everything that was read: entries, indexes, contexts. */
  readonly records: number;
  readonly bytes: number;
  /** Records whose checksum or content did not match. */
  readonly damaged: number;
  /** Records that were made anew from others. */
  readonly remade: number;
  /** Keys whose value was taken out, and is refused until it is here again. */
  readonly lost: number;
}

export interface ScrubReport extends ScrubCounts {
  /** Counts the scrubs of this process, from 1. */
  readonly number: number;
  readonly reason: ScrubReason;
  /** When it began, by this machine's clock. */
  readonly startedMs: number;
  readonly tookMs: number;
  /** The sketch tables did not agree with the index, and were made anew. */
  readonly tablesWrong: boolean;
}

export interface ScrubView {
  /** The number of the scrub that runs. */
  readonly running: number | undefined;
  /** `refilled`: lost keys of any scrub that hold something again, or are known to be deleted, since this one began. */
  readonly last: (ScrubReport & { readonly refilled: number }) | undefined;
  /** Keys that still wait for a peer, or for a new write. */
  readonly waiting: number;
  /** Some of them. */
  readonly waitingKeys: readonly string[];
}
