/**
 * Randomness from the operating system. Incarnations must never meet by accident, also not between machines cloned from one image,
 * so a generator that is seeded from the time would not do. A block at a time, because each call into the system costs microseconds.
 */
import { randomFillSync } from "node:crypto";
import type { Random } from "../core/ports.ts";

const BLOCK = 256;

export function createSystemRandom(): Random {
  const block = new Uint32Array(BLOCK);
  let used = BLOCK;
  return {
    uint32() {
      if (used === BLOCK) {
        randomFillSync(block);
        used = 0;
      }
      return block[used++] as number;
    },
  };
}
