/**
 * The end of a repair that is verified: what the peer has dropped goes here as well, and then its context is joined, both in slices.
 *
 * Between two slices there may be writes, and an end: of each dot of that context it is known whether it is live, so it may be joined
 * whenever the others are. What has left the context meanwhile must not come back, so the session ends before that is gone on with.
 */
import type { MergeOutcome } from "../core/change.ts";
import type { Context } from "../core/context.ts";
import { partsOf } from "../core/context-parts.ts";
import type { Dot } from "../core/dot.ts";
import type { Store } from "../core/store.ts";
import type { PullCounts } from "./pull-counts.ts";

/** Drops of one step: some five milliseconds. */
const DROPS_PER_STEP = 256;

export interface Verified {
  readonly drops: readonly Dot[];
  /** All that the peer had seen. */
  readonly theirs: Context;
  /** Each deletion that was news was named. */
  readonly namesDeletions: boolean;
}

export class Settling {
  readonly #store: Store;
  readonly #verified: Verified;
  readonly #rangesMax: number;
  readonly #drops: Dot[];
  /** What is left of the news in their context; undefined while there is something to drop. */
  #parts: Context[] | undefined;

  /** `rangesMax`: ranges that one step joins. */
  constructor(store: Store, verified: Verified, rangesMax: number) {
    this.#store = store;
    this.#verified = verified;
    this.#rangesMax = rangesMax;
    this.#drops = [...verified.drops];
  }

  /** Returns true when it is done. */
  step(counts: PullCounts, merged: MergeOutcome[]): boolean {
    for (const dot of this.#drops.splice(0, DROPS_PER_STEP)) {
      const outcome = this.#store.drop(dot);
      if (outcome === undefined) continue;
      counts.dropped++;
      merged.push(outcome);
    }
    return this.#drops.length === 0 && this.#join(counts.dropped === 0);
  }

  #join(nothingDropped: boolean): boolean {
    if (this.#parts === undefined) {
      // One range of theirs may close all the gaps of ours, so it is the gaps that are counted.
      this.#parts = partsOf(this.#verified.theirs.minus(this.#store.context), this.#rangesMax);
      if (this.#parts.length > 1) return false;
    }
    const part = this.#parts.shift();
    if (part !== undefined) this.#store.joinContext(part, this.#verified.namesDeletions && nothingDropped);
    return this.#parts.length === 0;
  }
}
