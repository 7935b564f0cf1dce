/**
 * Sketches: how many cells they need, that fold, subtract and frames are what they claim, that no decode is wrong, and that
 * garbage costs no more than its size.
 */
import test from "ava";
import { ConcordError } from "../../lib/core/errors.ts";
import {
  CELL_BYTES,
  cellsFor,
  createSketch,
  createSketchTables,
  readSketch,
  SKETCH_CELLS_MAX,
  type Sketch,
} from "../../lib/repair/sketch.ts";
import { cellsNeeded, createDice, randomDifference, randomDots, sorted, sortedDots, statistics, type Halves } from "./sketch-trials.ts";

const key = Uint32Array.of(0x01234567, 0x89abcdef, 0xfedcba98, 0x76543210);

// Cells needed.

/** Differences, trials, and bounds on cells per difference. test/bench/sketch-cells.ts runs a thousand trials of each. */
const needs = [
  { dots: 1, trials: 1000, mean: 3.3, p99: 7 },
  { dots: 2, trials: 1000, mean: 2.6, p99: 6 },
  { dots: 10, trials: 1000, mean: 1.85, p99: 3.3 },
  { dots: 30, trials: 1000, mean: 1.6, p99: 2.3 },
  { dots: 100, trials: 1000, mean: 1.35, p99: 1.6 },
  { dots: 300, trials: 1000, mean: 1.26, p99: 1.36 },
  { dots: 1000, trials: 400, mean: 1.22, p99: 1.27 },
  { dots: 10_000, trials: 20, mean: 1.17, p99: 1.19 },
] as const;

for (const { dots, trials, mean, p99 } of needs) {
  test(`cells needed: ${dots} differences take at most ${mean} cells each on average and ${p99} in 99 of 100 trials`, (t) => {
    const needed = statistics(Array.from({ length: trials }, (_, seed) => cellsNeeded(seed, dots)));
    t.true(needed.mean / dots <= mean, `mean ${needed.mean / dots}`);
    t.true(needed.p99 / dots <= p99, `p99 ${needed.p99 / dots}`);
    t.true(needed.p50 <= cellsFor(dots));
  });
}

test("cellsFor: at every size, fewer than 1 decode in 100 fails", (t) => {
  for (const dots of [1, 3, 10, 20, 50, 100, 300, 1000]) {
    const trials = dots < 300 ? 2000 : 500;
    let failed = 0;
    for (let seed = 0; seed < trials; seed++) {
      if (!randomDifference(seed, dots, cellsFor(dots)).sketch.decode({ dotsMax: dots }).ok) failed++;
    }
    t.true(failed < trials / 100, `${failed} of ${trials} with ${dots} differences`);
  }
});

// Decoding.

test("a decode gives each dot to its side, however many dots both sides have", (t) => {
  const dice = createDice(1);
  const shared = randomDots(dice, 20_000);
  const onlyA = randomDots(dice, 70);
  const onlyB = randomDots(dice, 50);
  const a = sketchOf([...shared, ...onlyA], 200);
  const b = sketchOf([...onlyB, ...shared.toReversed()], 200);
  const decoded = a.subtract(b).decode({ dotsMax: 120 });
  t.true(decoded.ok);
  if (!decoded.ok) return;
  t.deepEqual(sortedDots(decoded.mine), sorted(onlyA));
  t.deepEqual(sortedDots(decoded.theirs), sorted(onlyB));
  const reversed = b.subtract(a).decode({ dotsMax: 120 });
  t.deepEqual(reversed.ok && sortedDots(reversed.mine), sorted(onlyB));
});

test("equal sets decode to no difference", (t) => {
  const dots = randomDots(createDice(2), 1000);
  const difference = sketchOf(dots, 96).subtract(sketchOf(dots.toReversed(), 96));
  t.deepEqual(difference.decode({ dotsMax: 0 }), { ok: true, mine: new Uint32Array(0), theirs: new Uint32Array(0) });
});

test("halves at the ends of their range, signed or not, are the same dot and come back unsigned", (t) => {
  const dots: Halves[] = [
    [0, 0],
    [0, 0xffff_ffff],
    [0xffff_ffff, 0],
    [0x8000_0000, 0x8000_0000],
  ];
  const sketch = sketchOf(dots, 96);
  const decoded = sketch.decode({ dotsMax: 4 });
  t.deepEqual(decoded.ok && sortedDots(decoded.mine), sorted(dots));
  for (const [low, high] of dots) sketch.remove(low | 0, high | 0);
  t.true(isEmpty(sketch));
});

test("no decode is wrong: whatever the number of cells, it gives exactly the difference or says that it cannot", (t) => {
  const dice = createDice(3);
  let decodes = 0;
  let refusals = 0;
  for (let seed = 0; seed < 30_000; seed++) {
    const dots = 1 + (dice() % 60);
    const cells = 1 + (dice() % (2 * dots));
    const { sketch, mine, theirs } = randomDifference(seed, dots, cells);
    const decoded = sketch.decode({ dotsMax: dots });
    if (!decoded.ok) refusals++;
    else if (!sameDots(decoded.mine, mine) || !sameDots(decoded.theirs, theirs)) return t.fail(`seed ${seed}`);
    else decodes++;
  }
  t.true(decodes > 5000 && refusals > 5000, `${decodes} decodes, ${refusals} refusals`);
});

test("dotsMax: a difference of more dots is refused, one of so many is not", (t) => {
  const { sketch } = randomDifference(4, 40, 200);
  t.true(sketch.decode({ dotsMax: 40 }).ok);
  t.deepEqual(sketch.decode({ dotsMax: 39 }), { ok: false, cause: "too-many" });
  t.deepEqual(sketch.decode({ dotsMax: 0 }), { ok: false, cause: "too-many" });
});

test("other keys: the difference of two nodes with different keys does not decode", (t) => {
  const dots = randomDots(createDice(5), 20);
  const stranger = createSketch({ key: Uint32Array.of(1, 2, 3, 4), cells: 96 });
  for (const dot of dots) stranger.add(...dot);
  t.deepEqual(sketchOf(dots, 96).subtract(stranger).decode({ dotsMax: 96 }), { ok: false, cause: "undecodable" });
});

test("a decode leaves its sketch as it was", (t) => {
  const { sketch } = randomDifference(6, 40, 96);
  const before = sketch.encode();
  t.deepEqual(sketch.decode({ dotsMax: 96 }), sketch.decode({ dotsMax: 96 }));
  t.deepEqual(sketch.encode(), before);
});

// Algebra.

test("fold equals direct construction, from any size to any smaller one", (t) => {
  const dots = randomDots(createDice(7), 100);
  const direct = Array.from({ length: 40 }, (_, i) => sketchOf(dots, i + 1));
  for (const large of direct) {
    for (const small of direct.slice(0, large.cells)) t.deepEqual(large.fold(small.cells).encode(), small.encode());
  }
  const dice = createDice(8);
  for (let trial = 0; trial < 200; trial++) {
    const large = 1 + (dice() % (trial < 10 ? SKETCH_CELLS_MAX : 5000));
    const small = 1 + (dice() % large);
    t.deepEqual(sketchOf(dots, large).fold(small).encode(), sketchOf(dots, small).encode());
  }
});

test("a fold of a fold is the fold", (t) => {
  const sketch = sketchOf(randomDots(createDice(9), 500), 4096);
  t.deepEqual(sketch.fold(1500).fold(777).fold(96).encode(), sketch.fold(96).encode());
});

test("subtract equals construction from the difference", (t) => {
  const dice = createDice(10);
  for (let trial = 0; trial < 200; trial++) {
    const cells = 1 + (dice() % 500);
    const [shared, onlyA, onlyB] = [randomDots(dice, dice() % 300), randomDots(dice, dice() % 50), randomDots(dice, dice() % 50)];
    const expected = sketchOf(onlyA, cells);
    for (const dot of onlyB) expected.remove(...dot);
    const difference = sketchOf([...shared, ...onlyA], cells).subtract(sketchOf([...onlyB, ...shared], cells));
    t.deepEqual(difference.encode(), expected.encode());
  }
});

test("plus equals construction from the union, and commutes with fold", (t) => {
  const dice = createDice(11);
  const parts = Array.from({ length: 5 }, () => randomDots(dice, 100));
  const sum = parts.map((dots) => sketchOf(dots, 1000)).reduce((left, right) => left.plus(right));
  t.deepEqual(sum.encode(), sketchOf(parts.flat(), 1000).encode());
  const folded = parts.map((dots) => sketchOf(dots, 1000).fold(300)).reduce((left, right) => left.plus(right));
  t.deepEqual(folded.encode(), sum.fold(300).encode());
});

test("remove undoes add, in any order", (t) => {
  const dots = randomDots(createDice(12), 1000);
  const sketch = sketchOf(dots, 300);
  t.false(isEmpty(sketch));
  for (const dot of dots.toReversed()) sketch.remove(...dot);
  t.true(isEmpty(sketch));
});

test("sizes that cannot be are refused as broken invariants", (t) => {
  const sketch = createSketch({ key, cells: 96 });
  for (const cells of [0, -1, 1.5, NaN, SKETCH_CELLS_MAX + 1]) {
    t.throws(() => createSketch({ key, cells }), { message: /broken invariant/ });
    t.throws(() => sketch.fold(cells), { message: /broken invariant/ });
  }
  t.throws(() => sketch.fold(97), { message: /broken invariant/ });
  t.throws(() => sketch.subtract(createSketch({ key, cells: 95 })), { message: /broken invariant/ });
  t.throws(() => createSketch({ key: new Uint32Array(3), cells: 96 }), { message: /broken invariant/ });
});

// The tables of a store.

test("tables: what they give at any size is the sketch of what was added and not removed", (t) => {
  const dots = randomDots(createDice(13), 3000);
  const tables = createSketchTables({ key });
  for (const dot of dots) tables.add(...dot);
  for (const dot of dots.slice(0, 1000)) tables.remove(...dot);
  for (const cells of [1, 2, 96, 1000, 4095, 4096, 4097, 13_600, 65_536]) {
    t.deepEqual(tables.take(cells).encode(), sketchOf(dots.slice(1000), cells).encode());
  }
});

test("tables: what was taken is a snapshot", (t) => {
  const tables = createSketchTables({ key });
  const [small, large] = [tables.take(4096), tables.take(65_536)];
  tables.add(1, 2);
  t.true(isEmpty(small));
  t.true(isEmpty(large));
  t.throws(() => tables.take(65_537), { message: /broken invariant/ });
});

// Frames.

test("frames: a sketch survives its frame, at any offset of a larger buffer", (t) => {
  for (const cells of [1, 2, 3, 7, 8, 96, 100, 1500, 4096]) {
    const sketch = sketchOf(randomDots(createDice(cells), 200), cells);
    const frame = sketch.encode();
    t.is(frame.length, CELL_BYTES * cells);
    const buffer = new Uint8Array(frame.length + 5);
    buffer.set(frame, 3);
    const read = readSketch(buffer.subarray(3, 3 + frame.length), { key, cellsMax: cells });
    t.deepEqual(read.encode(), frame);
    t.true(isEmpty(sketch.subtract(read)));
  }
});

test("frames are rateless: a longer one begins with each shorter one, and cells sent later complete those sent before", (t) => {
  const mine = sketchOf(randomDots(createDice(14), 200), 4096);
  const theirs = sketchOf(randomDots(createDice(15), 10), 4096);
  const first = mine.fold(96).encode();
  const rest = mine.fold(500).encode(96);
  const whole = new Uint8Array([...first, ...rest]);
  t.deepEqual(whole, mine.fold(500).encode());
  t.false(readSketch(first, { key, cellsMax: 500 }).subtract(theirs.fold(96)).decode({ dotsMax: 500 }).ok);
  t.true(readSketch(whole, { key, cellsMax: 500 }).subtract(theirs.fold(500)).decode({ dotsMax: 500 }).ok);
});

test("frames: a length that is no number of cells, or too many cells, is malformed", (t) => {
  for (const length of [0, 1, 11, 13, 12 * 97, 12 * 200]) {
    const error = t.throws(() => readSketch(new Uint8Array(length), { key, cellsMax: 96 }), { instanceOf: ConcordError });
    t.is(error.code, "malformed");
  }
  t.is(readSketch(new Uint8Array(12 * 96), { key, cellsMax: 96 }).cells, 96);
  t.throws(() => readSketch(new Uint8Array(12 * (SKETCH_CELLS_MAX + 1)), { key, cellsMax: 1e9 }), { code: "malformed" });
});

test("frames: the mapping is part of the protocol, so its bytes may not change", (t) => {
  const frame = sketchOf(randomDots(createDice(18), 301), 4).encode();
  t.is(
    Buffer.from(frame).toString("hex"),
    "0000000000000000647d55e6e0eaf668420100005c7dfc81d1b23a5a2f340000b7577d7a000000001a010000c2148d32",
  );
});

// Garbage.

test("garbage: random frames never decode", (t) => {
  const dice = createDice(16);
  for (let trial = 0; trial < 2000; trial++) {
    const frame = new Uint8Array(Uint32Array.from({ length: 3 * (1 + (dice() % 300)) }, dice).buffer);
    t.deepEqual(readSketch(frame, { key, cellsMax: 300 }).decode({ dotsMax: 300 }), { ok: false, cause: "undecodable" });
  }
});

test("garbage: a real frame with any word changed does not decode", (t) => {
  const dice = createDice(17);
  for (let trial = 0; trial < 2000; trial++) {
    const { sketch } = randomDifference(trial, 40, 96);
    const frame = sketch.encode();
    new DataView(frame.buffer).setUint32(4 * (dice() % 288), dice());
    t.false(readSketch(frame, { key, cellsMax: 96 }).decode({ dotsMax: 96 }).ok);
  }
});

// Helpers.

function sketchOf(dots: readonly Halves[], cells: number): Sketch {
  const sketch = createSketch({ key, cells });
  for (const dot of dots) sketch.add(...dot);
  return sketch;
}

function isEmpty(sketch: Sketch): boolean {
  return sketch.encode().every((byte) => byte === 0);
}

function sameDots(pairs: Uint32Array, dots: readonly Halves[]): boolean {
  const expected = sorted(dots);
  const found = sortedDots(pairs);
  return found.length === expected.length && found.every(([low, high], i) => low === expected[i]![0] && high === expected[i]![1]);
}
