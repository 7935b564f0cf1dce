/**
 * What a peer's table may cost: tables that no set of dots has, made by one who knows the key.
 */
import test from "ava";
import { Folding, SketchMapping, SKETCH_CELLS_MAX } from "../../lib/repair/sketch-mapping.ts";
import { CELL_WORDS, peel, Peeling } from "../../lib/repair/sketch-peel.ts";
import { createDice, randomDifference, randomDots, sortedDots, type Halves } from "./sketch-trials.ts";

const key = Uint32Array.of(5, 6, 7, 8);

test("a dot in one of its cells alone: taking it out puts it into the others, and peeling does not go in circles", (t) => {
  const mapping = countingMapping();
  for (const dot of randomDots(createDice(1), 300)) {
    for (const cell of cellsOf(mapping, dot, 96)) {
      const words = new Int32Array(CELL_WORDS * 96);
      write(words, mapping, dot, cell, 1);
      mapping.placed = 0;
      t.deepEqual(peel(words, mapping, 48), { ok: false, cause: "undecodable" });
      t.true(mapping.placed < 48, `${mapping.placed} hashes`);
    }
  }
});

test("in steps it finds the same as at once, and each step ends after so many cells", (t) => {
  for (const [dots, cells] of [
    [900, 1200],
    [900, 700],
    [0, 50],
  ] as const) {
    // prettier-ignore
    const { sketch } = randomDifference(dots, dots, cells);
    const peeling = sketch.decoding({ dotsMax: cells });
    let steps = 1;
    let peeled = peeling.step(10);
    for (; peeled === undefined; steps++) peeled = peeling.step(10);
    t.deepEqual(peeled, sketch.decode({ dotsMax: cells }));
    t.true(steps >= Math.min(cells, dots) / 10, `${steps} steps`);
  }
  t.true(new Peeling(new Int32Array(3 * CELL_WORDS), new SketchMapping(key), 3).step(100)?.ok);
});

test("a dot in a cell that is not its own is not taken for one", (t) => {
  const mapping = countingMapping();
  for (const dot of randomDots(createDice(4), 300)) {
    const own = cellsOf(mapping, dot, 96);
    for (let cell = 0; cell < 96; cell++) {
      if (own.includes(cell)) continue;
      const words = new Int32Array(CELL_WORDS * 96);
      write(words, mapping, dot, cell, 1);
      mapping.placed = 0;
      peel(words, mapping, 96);
      if (mapping.placed !== 1) return t.fail(`${mapping.placed} hashes`);
    }
  }
  t.true(mapping.placed > 0);
});

test("a table in which every cell looks like one dot is given up after work in proportion to its cells", (t) => {
  const cells = SKETCH_CELLS_MAX;
  const mapping = countingMapping();
  const dice = createDice(2);
  const words = new Int32Array(CELL_WORDS * cells);
  for (let i = 0; i < cells; i++) {
    const dot: Halves = [dice(), dice()];
    const sign = dice() % 2 === 0 ? 1 : -1;
    for (const cell of cellsOf(mapping, dot, cells)) write(words, mapping, dot, cell, sign);
  }
  mapping.placed = 0;
  t.false(peel(words, mapping, cells).ok);
  t.true(mapping.placed < 13 * cells, `${mapping.placed} hashes`);
});

test("no dot comes back twice, even when checksums say nothing", (t) => {
  const mapping = countingMapping();
  mapping.blind = true;
  const dice = createDice(3);
  let decodes = 0;
  for (let trial = 0; trial < 20_000; trial++) {
    const words = new Int32Array(CELL_WORDS * 12);
    for (const dot of randomDots(dice, 6)) put(words, mapping, dot, dice() % 2 === 0 ? 1 : -1);
    const decoded = peel(words, mapping, 12);
    if (!decoded.ok) continue;
    decodes++;
    const dots = [...sortedDots(decoded.mine), ...sortedDots(decoded.theirs)].map((dot) => dot.join());
    if (new Set(dots).size !== dots.length) return t.fail(`trial ${trial}`);
  }
  t.true(decodes > 1000, `${decodes} decodes`);
});

test("dots made to collide where twins are looked for are given up, before they cost the square of their number", (t) => {
  const mapping = countingMapping();
  const peelOf = (dotOf: (high: number) => Halves): boolean => {
    const words = new Int32Array(CELL_WORDS * 4096);
    for (let high = 1; high <= 2000; high++) put(words, mapping, dotOf(high), 1);
    return peel(words, mapping, 4096).ok;
  };
  t.true(peelOf((high) => [7, high]));
  t.true(peelOf((high) => [high, 7]));
  t.false(peelOf((high) => [Math.imul(high, 0x85ebca6b) >>> 0, high]));
});

/** A mapping that counts what is asked of it and, when blind, gives every dot the same checksum. */
class CountingMapping extends SketchMapping {
  placed = 0;
  blind = false;

  override place(low: number, high: number): void {
    super.place(low, high);
    this.placed++;
    if (this.blind) this.checksum = 1;
  }
}

function countingMapping(): CountingMapping {
  return new CountingMapping(key);
}

/** The cells of a dot in a table of so many cells, which stays placed. */
function cellsOf(mapping: SketchMapping, [low, high]: Halves, cells: number): number[] {
  mapping.place(low, high);
  const folding = new Folding(cells);
  return Array.from(mapping.positions.subarray(0, mapping.degree), (position) => folding.cellOf(position));
}

/** Makes the cell hold the placed dot alone. */
function write(words: Int32Array, mapping: SketchMapping, [low, high]: Halves, cell: number, sign: number): void {
  mapping.place(low, high);
  words.set([low, high, sign * mapping.checksum], CELL_WORDS * cell);
}

/** Puts a dot in as a sketch does. */
function put(words: Int32Array, mapping: SketchMapping, dot: Halves, sign: number): void {
  for (const cell of cellsOf(mapping, dot, words.length / CELL_WORDS)) {
    words[CELL_WORDS * cell]! ^= dot[0];
    words[CELL_WORDS * cell + 1]! ^= dot[1];
    words[CELL_WORDS * cell + 2]! += sign * mapping.checksum;
  }
}
