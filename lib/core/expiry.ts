/** Where the sweep finds a sibling that expires, in the order of time. */
import { dotKey } from "./dot.ts";
import type { Sibling } from "./entry.ts";
import { expiryAt } from "./layout.ts";
import type { StorageKey } from "./ports.ts";

/**
 * How long after its expiry a sibling is swept by a node that did not write it. The writer's clock set the time, so the writer sweeps
 * at once; a node whose clock is up to an hour ahead must not remove others' values early.
 */
export const SWEEP_FOREIGN_AFTER_MS = 3_600_000;

export function sweepAt(sibling: Sibling, ownName: string): StorageKey {
  const delayMs = sibling.writer === ownName ? 0 : SWEEP_FOREIGN_AFTER_MS;
  return expiryAt(sibling.expiresAtMs + delayMs, dotKey(sibling.dot.incarnation, sibling.dot.counter));
}
