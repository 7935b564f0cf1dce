/**
 * One machine's clock. Its wall clock is wrong by whatever the plan says and may be set back at any moment; its monotonic clock never
 * is, which is the promise of the port.
 */
import type { Clock, Now } from "../core/ports.ts";
import type { Events } from "./events.ts";

/** When the virtual world begins, for wall clocks: a round number in 2033, far from zero so that an hour back is no special case. */
export const EPOCH_MS = 2_000_000_000_000;

export class MachineClock implements Clock {
  readonly #events: Events;
  #offsetMs = 0;
  /** The latest time that this clock ever showed. */
  #latestMs = 0;

  constructor(events: Events) {
    this.#events = events;
  }

  get latestMs(): number {
    return this.#latestMs;
  }

  set(offsetMs: number): void {
    this.#offsetMs = offsetMs;
  }

  now(): Now {
    const wallMs = EPOCH_MS + this.#events.nowMs + this.#offsetMs;
    if (wallMs > this.#latestMs) this.#latestMs = wallMs;
    return { wallMs, monotonicMs: this.#events.nowMs };
  }
}
