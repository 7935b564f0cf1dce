/**
 * Peeling: from the difference of two tables back to the dots in which they differ. sketch.ts says why this works.
 *
 * The table may come from a peer, so nothing that it says is believed without a bound. Honest peeling empties one cell with each
 * dot and never needs that cell again, so a second peel of a cell, or a dot that appears twice, ends the attempt: at most one dot per
 * cell is decoded, each costs at most DEGREE_MAX cell updates, and all memory is allocated up front in proportion to the table.
 *
 * Fifty thousand dots take some twenty milliseconds, so whoever must not hold up others peels in steps.
 */
import { Folding, type SketchMapping } from "./sketch-mapping.ts";

/** Words of one cell: the exclusive-or of the low halves, that of the high halves, and the sum of the checksums. */
export const CELL_WORDS = 3;

export type Peeled =
  | {
      readonly ok: true;
      /** Dots of the first table alone, as pairs (low, high). No dot is in a list twice or in both. */
      readonly mine: Uint32Array;
      /** Dots of the second table alone. */
      readonly theirs: Uint32Array;
    }
  | {
      readonly ok: false;
      /** `undecodable`: too few cells, other keys, or garbage. `too-many`: more than `dotsMax` dots. */
      readonly cause: "undecodable" | "too-many";
    };

/** Consumes `words`, the cells of the difference. */
export function peel(words: Int32Array, mapping: SketchMapping, dotsMax: number): Peeled {
  return new Peeling(words, mapping, dotsMax).step(Infinity)!;
}

/** One attempt, step by step. */
export class Peeling {
  readonly #peeler: Peeler;
  /** The next cell to begin with. From the end: the last cells hold the fewest dots of all. */
  #cell: number;

  /** Consumes `words`. */
  constructor(words: Int32Array, mapping: SketchMapping, dotsMax: number) {
    const cells = words.length / CELL_WORDS;
    this.#peeler = new Peeler(words, mapping, Math.min(dotsMax, cells));
    this.#cell = cells - 1;
  }

  /** Looks at so many cells, a few more or less; undefined while there are more. */
  step(cells: number): Peeled | undefined {
    const peeler = this.#peeler;
    peeler.looksLeft = cells;
    while (peeler.looksLeft > 0) {
      const cause = peeler.run();
      if (cause !== undefined) return { ok: false, cause };
      if (peeler.looksLeft <= 0) return undefined;
      if (this.#cell < 0) return peeler.finish();
      peeler.push(this.#cell--);
    }
    return undefined;
  }
}

class Peeler {
  readonly #words: Int32Array;
  readonly #mapping: SketchMapping;
  readonly #folding: Folding;
  /** Cells to look at. A cell is in it at most once (WAITING), so it never outgrows the table. */
  readonly #stack: Int32Array;
  readonly #marks: Uint8Array;
  readonly #dots: Uint32Array;
  /** Signs of the dots: 1 is mine, -1 theirs. */
  readonly #signs: Int8Array;
  /** Cells that may still be looked at in this step. */
  looksLeft = 0;
  #stacked = 0;
  #count = 0;

  constructor(words: Int32Array, mapping: SketchMapping, dotsMax: number) {
    const cells = words.length / CELL_WORDS;
    this.#words = words;
    this.#mapping = mapping;
    this.#folding = new Folding(cells);
    this.#stack = new Int32Array(cells);
    this.#marks = new Uint8Array(cells);
    this.#dots = new Uint32Array(2 * dotsMax);
    this.#signs = new Int8Array(dotsMax);
  }

  /** Peels the cells that were pushed, and whatever that uncovers. */
  run(): "undecodable" | "too-many" | undefined {
    while (this.#stacked > 0 && this.looksLeft > 0) {
      this.looksLeft--;
      const cell = this.#stack[--this.#stacked]!;
      this.#marks[cell]! &= ~WAITING;
      const sign = this.#signOf(cell);
      if (sign === 0) continue;
      if ((this.#marks[cell]! & PEELED) !== 0) return "undecodable";
      if (this.#count === this.#signs.length) return this.#count === this.#marks.length ? "undecodable" : "too-many";
      this.#marks[cell]! |= PEELED;
      this.#take(cell, sign);
    }
    return undefined;
  }

  finish(): Peeled {
    for (const word of this.#words) if (word !== 0) return { ok: false, cause: "undecodable" };
    if (hasTwins(this.#dots, this.#count)) return { ok: false, cause: "undecodable" };
    return { ok: true, mine: this.#collect(1), theirs: this.#collect(-1) };
  }

  /** 1 or -1 when the cell holds exactly one dot, of the first or of the second table; otherwise 0. Leaves that dot placed. */
  #signOf(cell: number): number {
    const words = this.#words;
    const mapping = this.#mapping;
    const at = CELL_WORDS * cell;
    const sum = words[at + 2]!;
    if ((sum & 1) === 0) return 0;
    mapping.place(words[at]!, words[at + 1]!);
    const { checksum } = mapping;
    if (sum !== checksum && sum !== -checksum) return 0;
    let times = 0;
    for (let i = 0; i < mapping.degree; i++) if (this.#folding.cellOf(mapping.positions[i]!) === cell) times++;
    if (times !== 1) return 0;
    return sum === checksum ? 1 : -1;
  }

  /** Notes the dot that is placed and takes it out of all its cells. */
  #take(cell: number, sign: number): void {
    const words = this.#words;
    const { positions, degree, checksum } = this.#mapping;
    const low = words[CELL_WORDS * cell]!;
    const high = words[CELL_WORDS * cell + 1]!;
    this.#dots[2 * this.#count] = low;
    this.#dots[2 * this.#count + 1] = high;
    this.#signs[this.#count++] = sign;
    for (let i = 0; i < degree; i++) {
      const other = this.#folding.cellOf(positions[i]!);
      const at = CELL_WORDS * other;
      words[at]! ^= low;
      words[at + 1]! ^= high;
      words[at + 2]! -= sign * checksum;
      if ((words[at + 2]! & 1) === 1) this.push(other);
    }
  }

  push(cell: number): void {
    if ((this.#marks[cell]! & WAITING) !== 0) return;
    this.#marks[cell]! |= WAITING;
    this.#stack[this.#stacked++] = cell;
  }

  #collect(sign: number): Uint32Array {
    const dots = new Uint32Array(2 * this.#count);
    let length = 0;
    for (let i = 0; i < this.#count; i++) {
      if (this.#signs[i] !== sign) continue;
      dots[length++] = this.#dots[2 * i]!;
      dots[length++] = this.#dots[2 * i + 1]!;
    }
    return dots.slice(0, length);
  }
}

const WAITING = 1;
const PEELED = 2;

/**
 * Whether a dot appears twice, found with an open-addressed table that is at most half full: 1.5 probes a dot on average. Dots made
 * to collide there are treated as twins before they cost more than a few honest decodes.
 */
function hasTwins(dots: Uint32Array, count: number): boolean {
  const bits = 33 - Math.clz32(count);
  const slots = new Int32Array(2 ** bits);
  const mask = slots.length - 1;
  let probesLeft = 64 + 16 * count;
  for (let i = 0; i < count; i++) {
    const low = dots[2 * i]!;
    const high = dots[2 * i + 1]!;
    let slot = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1) >>> (32 - bits);
    for (let other = slots[slot]!; other !== 0; other = slots[slot]!) {
      if (dots[2 * other - 2] === low && dots[2 * other - 1] === high) return true;
      if (probesLeft-- === 0) return true;
      slot = (slot + 1) & mask;
    }
    slots[slot] = i + 1;
  }
  return false;
}
