/**
 * How often a node gives up its identity because a peer says so (rule 1). Each identity stays in every context for ever, so a peer that claims
 * one write too many after every write must not be able to fill them. It is a pace and not an end: what a liar has claimed, honest peers
 * remember too, and they are refused until the node goes on under a new identity.
 */

/** At once: nobody copies a running node so often. */
export const RENOUNCE_MAX = 16;

/** One more each hour: at that pace it takes seven years to fill a context, and honest peers wait an hour at the most. */
export const RENOUNCE_EVERY_MS = 3_600_000;

export class RenounceGuard {
  #nowMs = 0;
  /** When all of them may be taken at once again. */
  #fullMs = -Infinity;
  #untold = 0;

  /** To be told before anything is taken: by a clock that never runs backwards. */
  at(monotonicMs: number): void {
    this.#nowMs = monotonicMs;
  }

  /** Whether the identity may be given up now; then it is counted. */
  take(): boolean {
    const fullMs = Math.max(this.#fullMs, this.#nowMs) + RENOUNCE_EVERY_MS;
    if (fullMs - this.#nowMs > RENOUNCE_MAX * RENOUNCE_EVERY_MS) return false;
    this.#fullMs = fullMs;
    this.#untold++;
    return true;
  }

  /** How many were taken since this was last asked. */
  takeUntold(): number {
    const untold = this.#untold;
    this.#untold = 0;
    return untold;
  }
}
