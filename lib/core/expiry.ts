/** Where the sweep finds a sibling that expires, in the order of time. */
import { dotKey, dotOfKey, type Dot } from "./dot.ts";
import type { Sibling } from "./entry.ts";
import { dotAtEnd, EXPIRY, expiryAfter, expiryAt, keyOfRow, type EntryKey } from "./layout.ts";
import type { Overlay } from "./overlay.ts";
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

/** What is to be swept. Its rows go even when the sibling is no longer there, or a stale row would be found for ever. */
export function takeDue(overlay: Overlay, beforeMs: number, limit: number): { readonly key: EntryKey; readonly dot: Dot }[] {
  const { rows } = overlay.range(EXPIRY, expiryAfter(beforeMs), limit);
  for (const row of rows) overlay.set(row.key, undefined);
  return rows.map((row) => ({ key: keyOfRow(row.value), dot: dotOfKey(dotAtEnd(row.key)) }));
}
