/**
 * Sketches: two nodes find the dots in which they differ by exchanging some 15 bytes per difference, however many they share.
 *
 * A sketch of a set is a table of cells (an invertible Bloom lookup table: Goodrich and Mitzenmacher 2011). Each dot is put into a few
 * cells, chosen by a hash. A cell keeps no list: it keeps the exclusive-or of the dots put into it and the sum of their checksums.
 * Both can be undone, so a table of six cells that has seen a million writes is still six cells; and when two nodes subtract their
 * tables, every dot that both have cancels out. An example with small numbers, A holding 5, 9, 12 and B holding 5, 9, 10:
 *
 *     dot  into cells  checksum               cell 0     cell 1     cell 2     cell 3     cell 4     cell 5
 *       5   0, 2, 4       31         A         5, 31     5, 124     0, 155    12, 77      5, 31      9, 47
 *       9   1, 2, 5       47         B        15, 44     9, 47     12, 78     10, 13      5, 31      3, 60
 *      10   0, 3, 5       13         A − B    10, −13   12, 77     12, 77      6, 64      0, 0      10, −13
 *      12   1, 2, 3       77
 *
 * 5 and 9 are gone without trace. To read what is left, look for a cell that holds ONE dot: its sum must be the checksum of its
 * exclusive-or. Cell 1 says 12, and 77 is 12's checksum: 12 is A's alone. Take it out of its cells 1, 2 and 3, and cell 3, which
 * held two dots, becomes 10, −13: the checksum of 10 with the sign of B. Take that out too and the table is empty, which says that
 * no difference was missed. That is called peeling. A table of n cells peels about n / 1.2 differences; with more, cells that are
 * not empty remain, none of which holds one dot, and the decode says that it failed.
 *
 * - A cell takes 12 bytes: 64 bits of dots, 32 bits of checksums. Checksums are odd, so the lowest bit of the sum counts, and most cells
 *   that hold several dots are passed over without hashing. Sums have a sign, exclusive-ors do not; hence the pair.
 * - Tables FOLD. The last cell of a table can be added onto an earlier one (itself without its highest bit), and the result is
 *   exactly the table that would have been built with one cell less. So one table of 65,536 cells, kept up to date by each write, yields
 *   the table of any smaller size. We keep one of 4,096 as well, because folding 65,536 cells costs 0.4 ms, 4,096 cells 0.03 ms.
 * - Tables are RATELESS. A frame holds for each cell what it was when it was the last one, so that the frame of 96 cells is the
 *   beginning of the frame of 500 (of the same set: a set that changed in between needs a whole new frame). Whoever cannot
 *   decode asks for the cells from 96 on and appends them; nothing sent was wasted. GitHub's HRIBLT (2026) showed this hierarchy.
 * - Tables are LINEAR: the sketch of the union of disjoint sets, such as partitions, is the sum of theirs.
 *
 * A wrong decode takes a cell of several dots that looks like one dot: 30 checksum bits and the cell's own place must agree by
 * chance, and then the rest must come out empty; the caller still verifies every decode against dotRoot. Which cells a dot takes,
 * and how good that is in numbers, is sketch-mapping.ts; what a peer's garbage may cost is sketch-peel.ts.
 */
import { assert, ConcordError } from "../core/errors.ts";
import { Folding, SKETCH_CELLS_MAX, SketchMapping, type SketchKey } from "./sketch-mapping.ts";
import { CELL_WORDS, peel, Peeling, type Peeled } from "./sketch-peel.ts";

export { SKETCH_CELLS_MAX, type SketchKey } from "./sketch-mapping.ts";
export type { Peeled } from "./sketch-peel.ts";

export const CELL_BYTES = 4 * CELL_WORDS;

/** Most sizes that are asked for are below this, and folding it is ten times cheaper than folding the large one. */
const SMALL_CELLS = 4096;

export interface SketchOptions {
  readonly key: SketchKey;
  /** 1 to SKETCH_CELLS_MAX. */
  readonly cells: number;
}

/** An empty sketch. */
export function createSketch({ key, cells }: SketchOptions): Sketch {
  assertCells(cells);
  return new Sketch(new SketchMapping(key), new Int32Array(CELL_WORDS * cells));
}

/**
 * A sketch from a peer's frame: what `encode` gave, or such a beginning and the rest appended to it. Every string of whole cells
 * is a frame; whether it makes sense shows when it is subtracted and decoded. Throws `malformed`, allocating nothing.
 */
export function readSketch(frame: Uint8Array, { key, cellsMax }: { readonly key: SketchKey; readonly cellsMax: number }): Sketch {
  const cells = frame.length / CELL_BYTES;
  if (!Number.isInteger(cells) || cells === 0) throw new ConcordError("malformed", `a sketch of ${frame.length} bytes`);
  const most = Math.min(cellsMax, SKETCH_CELLS_MAX);
  if (cells > most) throw new ConcordError("malformed", `a sketch of ${cells} cells where ${most} are the most`);
  const words = new Int32Array(CELL_WORDS * cells);
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  for (let i = 0; i < words.length; i++) words[i] = view.getInt32(4 * i, true);
  unfoldWords(words);
  return new Sketch(new SketchMapping(key), words);
}

/**
 * The cells to ask for when at most this many dots differ: at any size, about 1 decode in 100 fails or fewer (`npm run bench -- sketch`).
 * More than SKETCH_CELLS_MAX means that no sketch would do.
 */
export function cellsFor(dots: number): number {
  return Math.ceil(1.15 * dots + 3 * Math.sqrt(dots) + 16);
}

export class Sketch {
  readonly cells: number;
  readonly #mapping: SketchMapping;
  readonly #folding: Folding;
  readonly #words: Int32Array;

  /** Takes over `words`. Use createSketch or readSketch. */
  constructor(mapping: SketchMapping, words: Int32Array) {
    this.cells = words.length / CELL_WORDS;
    this.#mapping = mapping;
    this.#folding = new Folding(this.cells);
    this.#words = words;
  }

  /** Puts in a dot that is not in. Its halves are 32 bits, signed or not. */
  add(low: number, high: number): void {
    this.#mapping.place(low, high);
    this.put(this.#mapping, low, high, 1);
  }

  /** Takes out a dot that is in. */
  remove(low: number, high: number): void {
    this.#mapping.place(low, high);
    this.put(this.#mapping, low, high, -1);
  }

  /** `add` and `remove` of a dot that `mapping` has just placed, for several tables at the price of one hash. */
  put(mapping: SketchMapping, low: number, high: number, sign: 1 | -1): void {
    const words = this.#words;
    const folding = this.#folding;
    const { positions, degree } = mapping;
    const checksum = sign * mapping.checksum;
    for (let i = 0; i < degree; i++) {
      const at = CELL_WORDS * folding.cellOf(positions[i]!);
      words[at]! ^= low;
      words[at + 1]! ^= high;
      words[at + 2]! += checksum;
    }
  }

  /** The sketch of the same set with so many cells, at most as many as here. Always a copy. */
  fold(cells: number): Sketch {
    assertCells(cells);
    assert(cells <= this.cells, "a sketch folds to fewer cells");
    const words = this.#words.slice();
    foldWords(words, cells);
    return new Sketch(this.#mapping, words.slice(0, CELL_WORDS * cells));
  }

  /** The sketch of the difference: dots of both cancel, dots of `other` alone count negative. Both have the same key and cells. */
  subtract(other: Sketch): Sketch {
    return this.#combine(other, -1);
  }

  /** The sketch of the union of two disjoint sets. */
  plus(other: Sketch): Sketch {
    return this.#combine(other, 1);
  }

  /**
   * The dots of a difference: of `a.subtract(b)`, `mine` are those of `a` alone and `theirs` those of `b` alone. All or nothing.
   * At most `dotsMax` dots are looked for, and at most one a cell.
   */
  decode({ dotsMax }: { readonly dotsMax: number }): Peeled {
    return peel(this.#words.slice(), this.#mapping, dotsMax);
  }

  /** The same in steps. */
  decoding({ dotsMax }: { readonly dotsMax: number }): Peeling {
    return new Peeling(this.#words.slice(), this.#mapping, dotsMax);
  }

  /**
   * The cells from `from` on, as a frame: CELL_BYTES each, little-endian, cell after cell. `encode(0)` begins with the `encode(0)` of
   * every fold, and is what `fold(n).encode(0)` and `encode(n)` are together.
   */
  encode(from = 0): Uint8Array {
    assert(from >= 0 && from < this.cells, "a sketch is encoded from one of its cells");
    const words = this.#words.slice();
    foldWords(words, Math.max(1, from));
    const frame = new Uint8Array(CELL_BYTES * (this.cells - from));
    const view = new DataView(frame.buffer);
    for (let at = 0; at < frame.length; at += 4) view.setInt32(at, words[CELL_WORDS * from + at / 4]!, true);
    return frame;
  }

  #combine(other: Sketch, sign: 1 | -1): Sketch {
    assert(this.cells === other.cells, "sketches of the same number of cells combine");
    const words = this.#words.slice();
    const others = other.#words;
    for (let at = 0; at < words.length; at += CELL_WORDS) {
      words[at]! ^= others[at]!;
      words[at + 1]! ^= others[at + 1]!;
      words[at + 2]! += sign * others[at + 2]!;
    }
    return new Sketch(this.#mapping, words);
  }
}

/** The sizes of the tables that a store keeps. */
export const TABLE_CELLS = [SMALL_CELLS, SKETCH_CELLS_MAX] as const;

/** The sketches that a store keeps up to date with every write. */
export interface SketchTables {
  add(low: number, high: number): void;
  remove(low: number, high: number): void;
  /** The sketch as it is now, folded to so many cells. A copy: later writes do not change it. */
  take(cells: number): Sketch;
}

export function createSketchTables({ key }: { readonly key: SketchKey }): SketchTables {
  const mapping = new SketchMapping(key);
  const small = createSketch({ key, cells: SMALL_CELLS });
  const large = createSketch({ key, cells: SKETCH_CELLS_MAX });
  const put = (low: number, high: number, sign: 1 | -1): void => {
    mapping.place(low, high);
    small.put(mapping, low, high, sign);
    large.put(mapping, low, high, sign);
  };
  return {
    add: (low, high) => put(low, high, 1),
    remove: (low, high) => put(low, high, -1),
    take: (cells) => (cells <= SMALL_CELLS ? small : large).fold(cells),
  };
}

function assertCells(cells: number): void {
  assert(Number.isInteger(cells) && cells >= 1 && cells <= SKETCH_CELLS_MAX, `a sketch of 1 to ${SKETCH_CELLS_MAX} cells`);
}

/**
 * Folds in place: from the last cell down to `cells`, each is added onto its parent, which is the cell of its number without the
 * highest bit. Cells of one highest bit are a block, and the order within a block is free: no parent is in it.
 */
function foldWords(words: Int32Array, cells: number): void {
  for (let end = words.length / CELL_WORDS; end > cells;) {
    const half = highestBit(end - 1);
    const begin = Math.max(half, cells);
    combineCells(words, begin, end, half, 1);
    end = begin;
  }
}

/** Undoes `foldWords(words, 1)`. */
function unfoldWords(words: Int32Array): void {
  const cells = words.length / CELL_WORDS;
  for (let half = 1; half < cells; half *= 2) combineCells(words, half, Math.min(2 * half, cells), half, -1);
}

function combineCells(words: Int32Array, begin: number, end: number, half: number, sign: 1 | -1): void {
  const shift = CELL_WORDS * half;
  for (let at = CELL_WORDS * begin; at < CELL_WORDS * end; at += CELL_WORDS) {
    words[at - shift]! ^= words[at]!;
    words[at - shift + 1]! ^= words[at + 1]!;
    words[at - shift + 2]! += sign * words[at + 2]!;
  }
}

/** Of a number that is not 0. */
function highestBit(number: number): number {
  return 1 << (31 - Math.clz32(number));
}
