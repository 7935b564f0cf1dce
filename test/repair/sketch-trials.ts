/**
 * Random differences, and how many cells each of them needs: shared by the sketch's tests and by test/bench/sketch-cells.ts.
 */
import { createSketch, type Sketch, type SketchKey } from "../../lib/repair/sketch.ts";

/** A dot's two halves. */
export type Halves = readonly [low: number, high: number];

/** A function that gives 32 random bits with each call (splitmix32), the same for the same seed. */
export function createDice(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b9) >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let bits = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
    return (bits ^ (bits >>> 15)) >>> 0;
  };
}

export function randomKey(dice: () => number): SketchKey {
  return Uint32Array.from({ length: 4 }, dice);
}

/** Distinct dots, as writes make them: a few incarnations, each with a run of counters. */
export function randomDots(dice: () => number, count: number): Halves[] {
  const incarnations = Array.from({ length: 3 }, dice);
  const first = dice() % 1_000_000;
  return Array.from({ length: count }, (_, i) => [incarnations[i % 3]!, first + i]);
}

export interface Difference {
  readonly sketch: Sketch;
  readonly mine: readonly Halves[];
  readonly theirs: readonly Halves[];
}

/** The sketch of a random difference of so many dots, each on a random side. */
export function randomDifference(seed: number, dots: number, cells: number): Difference {
  const dice = createDice(seed);
  const sketch = createSketch({ key: randomKey(dice), cells });
  const mine: Halves[] = [];
  const theirs: Halves[] = [];
  for (const dot of randomDots(dice, dots)) {
    const isMine = dice() >= 0x8000_0000;
    (isMine ? mine : theirs).push(dot);
    if (isMine) sketch.add(...dot);
    else sketch.remove(...dot);
  }
  return { sketch, mine, theirs };
}

/**
 * The fewest cells to which the sketch of a random difference can be folded and still be decoded. A binary search finds it,
 * because folding only merges cells: what decodes with n cells decodes with n + 1.
 */
export function cellsNeeded(seed: number, dots: number): number {
  let enough = Math.max(16, 2 ** Math.ceil(Math.log2(2 * dots)));
  let { sketch } = randomDifference(seed, dots, enough);
  while (!sketch.decode({ dotsMax: dots }).ok) {
    enough *= 2;
    ({ sketch } = randomDifference(seed, dots, enough));
  }
  let tooFew = dots - 1;
  while (enough - tooFew > 1) {
    const cells = Math.floor((enough + tooFew) / 2);
    if (sketch.fold(cells).decode({ dotsMax: dots }).ok) enough = cells;
    else tooFew = cells;
  }
  return enough;
}

export interface Statistics {
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

export function statistics(numbers: readonly number[]): Statistics {
  const ascending = numbers.toSorted((a, b) => a - b);
  const quantile = (share: number): number => ascending[Math.min(numbers.length - 1, Math.floor(share * numbers.length))]!;
  const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  return { mean, p50: quantile(0.5), p99: quantile(0.99), most: quantile(1) };
}

/** Sorted copies of a list of dots, to compare lists whose order does not matter. `pairs` are low, high, low, high, … */
export function sortedDots(pairs: Uint32Array): Halves[] {
  return sorted(Array.from({ length: pairs.length / 2 }, (_, i): Halves => [pairs[2 * i]!, pairs[2 * i + 1]!]));
}

export function sorted(dots: readonly Halves[]): Halves[] {
  return dots.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]);
}
