/**
 * The mapping of dots to cells: the published hash, evenly spread positions, and the fold of positions.
 */
import test from "ava";
import { DEGREE_MAX, Folding, SketchMapping, SKETCH_CELLS_MAX } from "../../lib/repair/sketch-mapping.ts";
import { createDice, randomDots, randomKey } from "./sketch-trials.ts";

test("the permutation is Chaskey's: the first test vector of its authors, for the empty message", (t) => {
  // Chaskey computes P(m ^ k ^ k2) ^ k2 with k2 = 4k, and m = 1 for the empty message; the mapping computes P((dot, 0, 0) ^ key) ^ key.
  const k = Uint32Array.of(0x833d3433, 0x009f389f, 0x2398e64f, 0x417acf39);
  const k2 = timesTwo(timesTwo(k));
  const mapping = new SketchMapping(Uint32Array.of(0, 0, k[2]! ^ k2[2]!, k[3]! ^ k2[3]!));
  mapping.place(1 ^ k[0]! ^ k2[0]!, k[1]! ^ k2[1]!);
  // The checksum is the first word with its lowest bit set.
  t.is((mapping.checksum ^ k2[0]!) >>> 1, 0x792e8fe5 >>> 1);
});

test("light dots take three cells of different residues and one of the first eight; heavy dots three cells of each residue", (t) => {
  const dice = createDice(1);
  const mapping = new SketchMapping(randomKey(dice));
  let heavy = 0;
  for (const [low, high] of randomDots(dice, 20_000)) {
    mapping.place(low, high);
    const residues = Array.from(mapping.positions.subarray(0, mapping.degree), (position) => position % 4).toSorted();
    if (mapping.degree === DEGREE_MAX) {
      heavy++;
      if (residues.join("") !== "000111222333") return t.fail(residues.join(""));
    } else {
      const spread = mapping.positions.subarray(0, 3).map((position) => position % 4);
      if (mapping.degree !== 4 || new Set(spread).size !== 3 || mapping.positions[3]! >= 8) return t.fail(residues.join(""));
    }
  }
  t.true(Math.abs(heavy / 20_000 - 38 / 256) < 0.01, `${heavy} heavy dots`);
});

test("positions are spread evenly over the table, for light and for heavy dots, and checksums over odd numbers", (t) => {
  const dice = createDice(2);
  const mapping = new SketchMapping(randomKey(dice));
  const hits = { light: new Uint32Array(256), heavy: new Uint32Array(256), checksums: new Uint32Array(256) };
  for (const [low, high] of randomDots(dice, 100_000)) {
    mapping.place(low, high);
    const isHeavy = mapping.degree === DEGREE_MAX;
    for (const position of mapping.positions.subarray(0, isHeavy ? DEGREE_MAX : 3)) hits[isHeavy ? "heavy" : "light"][position >>> 8]!++;
    hits.checksums[mapping.checksum >>> 24]!++;
    if ((mapping.checksum & 1) === 0) return t.fail("an even checksum");
  }
  for (const [name, counts] of Object.entries(hits)) {
    const mean = counts.reduce((sum, count) => sum + count) / counts.length;
    const chiSquare = counts.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
    // 255 degrees of freedom: mean 255, standard deviation 22.6.
    t.true(chiSquare < 370, `${name}: ${chiSquare}`);
  }
});

test("a key of another word, or a dot of another bit, is placed elsewhere", (t) => {
  const placements = new Set<string>();
  const words = [1, 2, 3, 4];
  const placement = (key: readonly number[], low: number, high: number): string => {
    const mapping = new SketchMapping(Uint32Array.from(key));
    mapping.place(low, high);
    return [mapping.checksum, ...mapping.positions.subarray(0, 3)].join();
  };
  placements.add(placement(words, 5, 6));
  for (let index = 0; index < 4; index++) placements.add(placement(words.with(index, 9), 5, 6));
  for (let bit = 0; bit < 32; bit++) {
    placements.add(placement(words, 5 ^ (1 << bit), 6));
    placements.add(placement(words, 5, 6 ^ (1 << bit)));
  }
  t.is(placements.size, 1 + 4 + 64);
});

test("folding takes away highest bits until the position is a cell", (t) => {
  for (let cells = 1; cells <= 300; cells++) {
    const folding = new Folding(cells);
    for (let position = 0; position < 1024; position++) {
      let expected = position;
      while (expected >= cells) expected -= 2 ** Math.floor(Math.log2(expected));
      if (folding.cellOf(position) !== expected) return t.fail(`${position} in ${cells}`);
    }
  }
  t.is(new Folding(SKETCH_CELLS_MAX).cellOf(65_535), 65_535);
});

/** Doubling in the field of 2^128 elements, as Chaskey derives its keys. */
function timesTwo(k: Uint32Array): Uint32Array {
  const carry = (k[3]! >>> 31) * 0x87;
  return Uint32Array.of((k[0]! << 1) ^ carry, (k[1]! << 1) | (k[0]! >>> 31), (k[2]! << 1) | (k[1]! >>> 31), (k[3]! << 1) | (k[2]! >>> 31));
}
