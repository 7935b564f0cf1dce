/** The machine's clock: the wall's time for stamps and expiry, and one that never runs backwards for timeouts. */
import type { Clock } from "../core/ports.ts";

export function createSystemClock(): Clock {
  return { now: () => ({ wallMs: Date.now(), monotonicMs: performance.now() }) };
}
