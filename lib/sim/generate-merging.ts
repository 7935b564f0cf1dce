/** In some seeds clients count, and put elements into sets: writes that every node takes and none may lose, whatever they knew of each other. */
import { MERGING_KEYS } from "./merging.ts";
import type { PlannedOperation } from "./plan.ts";
import type { Prng } from "./prng.ts";

/** Above those of all other operations. */
const MERGING_IDS = 20_000;

export function generateMerging(prng: Prng, names: readonly string[], endMs: number): PlannedOperation[] {
  const count = prng.chance(0.4) ? prng.between(5, 40) : 0;
  let atMs = 0;
  return Array.from({ length: count }, (_, i): PlannedOperation => {
    // Now and then at nearly the same moment.
    atMs = prng.chance(0.5) ? prng.between(0, endMs - 1_000) : Math.min(endMs - 1, atMs + prng.between(0, 40));
    const key = prng.pick(MERGING_KEYS);
    const isTouch = prng.chance(0.1);
    const kind = isTouch ? "touch" : key.startsWith("count") ? "increment" : "add";
    const token = kind === "add" ? prng.pick(["here", "here", "old"] as const) : "none";
    const ttlMs = !isTouch && key.endsWith("expiring") ? prng.between(1, 40_000) : 0;
    const plain = { demand: "none", tokenNode: "", rewrite: false, valueBytes: 0 } as const;
    const copies = names.length > 1 && prng.chance(0.2) ? 2 : 1;
    return { id: MERGING_IDS + i, atMs, node: prng.pick(names), parts: [{ ...plain, key, kind, token, ttlMs }], copies };
  });
}
