/**
 * What a test gives a node instead of the world: dice that fall the same way for the same seed, and a clock that only a test moves.
 */
import type { Clock, Now, Random } from "../../lib/core/ports.ts";

/** splitmix32. The seed is scattered first: seeds that follow each other would else give one sequence, shifted by one. */
export function createRandom(seed: number): Random {
  let state = scatter(seed ^ 0x5bf03635);
  return {
    uint32() {
      state = (state + 0x9e3779b9) >>> 0;
      return scatter(state);
    },
  };
}

function scatter(bits: number): number {
  let mixed = Math.imul(bits ^ (bits >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

/** Gives these numbers first, then those of a seed. */
export function createLoadedRandom(first: readonly number[]): Random {
  const rest = createRandom(1);
  let next = 0;
  return { uint32: () => first[next++] ?? rest.uint32() };
}

/** An instant of both clocks. The wall begins at some day of 2001, the monotonic one at 0. */
export function at(elapsedMs: number): Now {
  return { wallMs: START_MS + elapsedMs, monotonicMs: elapsedMs };
}

export const START_MS = 1_000_000_000_000;

export interface ManualClock extends Clock {
  advance(ms: number): void;
}

export function createClock(): ManualClock {
  let elapsedMs = 0;
  return {
    now: () => at(elapsedMs),
    advance(ms) {
      elapsedMs += ms;
    },
  };
}
