/**
 * The breaker: how much of a store may vanish by absence.
 *
 * Whoever deletes or replaces a value takes a new dot for it, and an entry that tells of it shows that dot (claims.ts). Such a removal is
 * explained and not counted: deleting a million keys on one node replicates like a million writes. What remains is a removal by
 * absence: the peer has seen the value's dot, does not hold it, and shows nothing that took its place. That is how a deletion looks of
 * which nobody remembers the key any more, and it is also how every loss of data on a peer looks, and every lie about what was seen.
 * It happens only at the end of a repair that has been verified, and only up to a share of the store in a day, from all peers
 * together, because one that is broken may have many addresses. Beyond it the store keeps what it has, and says so.
 *
 * It is no defence against whoever holds a node's key and means harm: they can delete key by key, with a dot for each, as a client can.
 */

export interface RemovalLimits {
  /** The largest share of the siblings that may go in one window. */
  readonly dropShareMax: number;
  /** What may always go, so that a small store is not bound by a share. */
  readonly dropsAllowed: number;
}

/** A day: long enough for a person to look, and for two outages not to add up. */
export const REMOVALS_WINDOW_MS = 86_400_000;

export class RemovalGuard {
  #limits: RemovalLimits = { dropShareMax: 1, dropsAllowed: Infinity };
  #nowMs = 0;
  #windowMs = -Infinity;
  #removed = 0;
  /** What was held when the window began. */
  #heldAtFirst = 0;
  #refused = 0;

  /** For checks: what was held when the window began. */
  get heldAtFirst(): number {
    return this.#heldAtFirst;
  }

  /** Until it is told, everything may go. */
  limit(limits: RemovalLimits): void {
    this.#limits = limits;
    this.#windowMs = -Infinity;
  }

  /** To be told before anything is taken: by a clock that never runs backwards. */
  at(monotonicMs: number): void {
    this.#nowMs = monotonicMs;
  }

  /** Whether so many of the `held` siblings may go; then they are counted. */
  take(removals: number, held: number): boolean {
    if (removals === 0) return true;
    if (this.#nowMs - this.#windowMs >= REMOVALS_WINDOW_MS) {
      this.#windowMs = this.#nowMs;
      this.#removed = 0;
      this.#heldAtFirst = held;
    }
    // A store that has grown since may lose a share of what it holds now; one that has shrunk, of what it held.
    const whole = Math.max(this.#heldAtFirst, held + this.#removed);
    if (this.#removed + removals > Math.max(this.#limits.dropsAllowed, this.#limits.dropShareMax * whole)) {
      this.#refused += removals;
      return false;
    }
    this.#removed += removals;
    return true;
  }

  /** So many were not even tried to be removed. */
  keep(siblings: number): void {
    this.#refused += siblings;
  }

  /** Siblings that were to vanish and did not, each as often as it was tried. */
  get refused(): number {
    return this.#refused;
  }
}
