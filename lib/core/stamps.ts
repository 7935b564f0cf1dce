/** The clock of one replica: the latest stamp that it has issued or followed. How stamps are chosen stands in time.ts. */
import type { Siblings } from "./entry.ts";
import { followStamp, isFarAhead, nextStamp, STAMP_ZERO, type Stamp } from "./time.ts";

export class Stamps {
  #latest: Stamp;

  constructor(latest: Stamp = STAMP_ZERO) {
    this.#latest = latest;
  }

  get latest(): Stamp {
    return this.#latest;
  }

  /** The stamp of a new local event. */
  next(nowMs: number): Stamp {
    this.#latest = nextStamp(this.#latest, nowMs);
    return this.#latest;
  }

  /** Hears what a key holds after a merge. Returns how many of the siblings that are new are too far ahead to be followed. */
  hear(before: Siblings, after: Siblings, nowMs: number): number {
    let farAhead = 0;
    for (const sibling of after) {
      if (isFarAhead(sibling.stamp, nowMs) && !before.includes(sibling)) farAhead++;
      else this.#latest = followStamp(this.#latest, sibling.stamp, nowMs);
    }
    return farAhead;
  }
}
