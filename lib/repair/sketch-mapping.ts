/**
 * Where a dot goes in a sketch, and the checksum by which it is known again. sketch.ts says what a sketch is.
 *
 * The degrees. Peeling asks for few dots a cell, but also that no two dots share all their cells, and one number of cells for every
 * dot serves neither well: with 4 each, the best that peeling can do is 1.30 cells per difference. Mixing helps: most dots take 3
 * cells, so that many cells soon hold one dot, and a few dots take many, so that the last tangles are tied to cells that are
 * already solved (Rink 2013, "Mixed hypergraphs"; Luby's irregular codes are the same idea). Measured here, in cells
 * per difference at 100, 1,000 and 10,000 differences: four cells and one of every 32nd (GitHub's HRIBLT) 1.40, 1.36, 1.33; our
 * mixture 1.31, 1.18, 1.15, and a write touches about as many cells: 5.2. test/bench/sketch-cells.ts prints the whole table.
 *
 *   light dots, 6 in 7:  three cells, in three of the four residues modulo 4, so that they never coincide;
 *                        and one of the first 8 cells, whatever the size of the table.
 *   heavy dots, 1 in 7:  twelve cells, three in each residue modulo 4.
 *
 * The first 8 cells are a sink. Two light dots that share their three cells stay stuck: without a sink, 1 % of tables of 96 cells fail
 * at only 30 differences. In 7 of 8 cases the two differ in the sink (0.1 % fail), which is solved last, when nearly all else is gone
 * from it. It costs at most 8 cells, where a fourth cell anywhere costs a tenth of the table. A sink of 16 fails half as often again, and
 * takes 1.34 cells at 100 differences.
 *
 * The hash is one block of Chaskey (Mouha and others 2014: 32-bit additions, rotations and exclusive-ors, made for machines whose
 * words are like JavaScript's integers), keyed by the cluster, so that nobody outside can choose dots that collide.
 * One word is the checksum, three place the dot. No floating point: the same on every machine.
 */
import { assert } from "../core/errors.ts";

/** 128 secret bits in four words, the same on all nodes of a cluster. */
export type SketchKey = Uint32Array;

/** A table has at most this many cells: positions have 16 bits. */
export const SKETCH_CELLS_MAX = 65_536;

/** The most cells that one dot touches. */
export const DEGREE_MAX = 12;

/** The first cells, in which every light dot has its fourth. */
const SINK_CELLS = 8;

/** Of 256 dots, those that are heavy. At 10,000 differences 51 take 1.155 cells, 31 take 1.165, 26 take 1.18; at 100, 51 take 1.34. */
const HEAVY_OF_256 = 38;

/** Chaskey's permutation is applied this many times; eight is the authors' number. */
const ROUNDS = 8;

/** An odd multiplier with well spread bits, to draw further positions of heavy dots from the same words. */
const SPREAD = 0x2c1b3c6d;

/**
 * The mapping of one key. `place` leaves its answer in the fields, because it runs with every write and must not allocate:
 * read them before the next call.
 */
export class SketchMapping {
  /** The cells of the placed dot in a table of SKETCH_CELLS_MAX cells; the first `degree` count. Smaller tables fold them. */
  readonly positions = new Uint16Array(DEGREE_MAX);
  degree = 0;
  /** Odd, so that a sum of checksums is odd exactly when it has an odd number of terms. As a signed 32-bit integer. */
  checksum = 0;
  readonly #key0: number;
  readonly #key1: number;
  readonly #key2: number;
  readonly #key3: number;

  constructor(key: SketchKey) {
    assert(key.length === 4, "a sketch key has four words");
    this.#key0 = key[0]! | 0;
    this.#key1 = key[1]! | 0;
    this.#key2 = key[2]! | 0;
    this.#key3 = key[3]! | 0;
  }

  place(low: number, high: number): void {
    let v0 = low ^ this.#key0;
    let v1 = high ^ this.#key1;
    let v2 = this.#key2;
    let v3 = this.#key3;
    for (let round = 0; round < ROUNDS; round++) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 13) | (v3 >>> 19)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 7) | (v1 >>> 25)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    this.checksum = (v0 ^ this.#key0) | 1;
    const a = v1 ^ this.#key1;
    const b = v2 ^ this.#key2;
    const c = v3 ^ this.#key3;
    if (((a >>> 2) & 0xff) < HEAVY_OF_256) this.#placeHeavy(a, b, c);
    else this.#placeLight(a, b, c);
  }

  /** Positions take the 14 high bits of a word, the residue takes the two low bits of the position. */
  #placeLight(a: number, b: number, c: number): void {
    const { positions } = this;
    positions[0] = ((a >>> 18) << 2) | (a & 3);
    positions[1] = ((b >>> 18) << 2) | ((a + 1) & 3);
    positions[2] = ((c >>> 18) << 2) | ((a + 2) & 3);
    positions[3] = b & (SINK_CELLS - 1);
    this.degree = 4;
  }

  #placeHeavy(a: number, b: number, c: number): void {
    const { positions } = this;
    for (let residue = 0; residue < 4; residue++) {
      positions[residue] = ((a >>> 18) << 2) | residue;
      positions[residue + 4] = ((b >>> 18) << 2) | residue;
      positions[residue + 8] = ((c >>> 18) << 2) | residue;
      a = Math.imul(a ^ (a >>> 15), SPREAD);
      b = Math.imul(b ^ (b >>> 15), SPREAD);
      c = Math.imul(c ^ (c >>> 15), SPREAD);
    }
    this.degree = DEGREE_MAX;
  }
}

/**
 * The folding of positions into a table of any number of cells. A table that is not a power of two is the next power of two
 * whose last cells are folded onto its middle: position 13 of 16 is cell 13 of 14, cell 5 of 13 and of 8.
 */
export class Folding {
  readonly cells: number;
  readonly #mask: number;
  readonly #half: number;

  constructor(cells: number) {
    const bits = 32 - Math.clz32(cells - 1);
    this.cells = cells;
    this.#mask = 2 ** bits - 1;
    this.#half = 2 ** bits / 2;
  }

  cellOf(position: number): number {
    const cell = position & this.#mask;
    return cell < this.cells ? cell : cell - this.#half;
  }
}
