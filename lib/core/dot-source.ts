/** Issues this replica's dots: counts within one incarnation, which begins at the first write (dot.ts says why). */
import type { Context } from "./context.ts";
import { COUNTER_MAX, incarnationLow32, newIncarnation, type Dot, type Incarnation } from "./dot.ts";
import type { Random } from "./ports.ts";

export class DotSource {
  readonly #random: Random;
  #incarnation: Incarnation | undefined;
  #counter = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Undefined until the first dot. */
  get incarnation(): Incarnation | undefined {
    return this.#incarnation;
  }

  /** Dots issued in this incarnation. */
  get counter(): number {
    return this.#counter;
  }

  /** `seen`: all that this replica knows of, so that a fresh incarnation differs from it. */
  next(seen: Context): Dot {
    const isOurs = this.#incarnation !== undefined && seen.highest(this.#incarnation) <= this.#counter;
    if (this.#incarnation === undefined || !isOurs || this.#counter === COUNTER_MAX) {
      this.#incarnation = this.#fresh(seen);
      this.#counter = 0;
    }
    this.#counter++;
    return { incarnation: this.#incarnation, counter: this.#counter };
  }

  /** The next dot begins a new incarnation. */
  renounce(): void {
    this.#incarnation = undefined;
    this.#counter = 0;
  }

  /** Sketches name dots by the low half of the incarnation, so the halves must differ among those we know. */
  #fresh(seen: Context): Incarnation {
    const taken = new Set<number>();
    for (const known of seen.incarnations()) taken.add(incarnationLow32(known));
    let incarnation = newIncarnation(this.#random);
    while (taken.has(incarnationLow32(incarnation))) incarnation = newIncarnation(this.#random);
    return incarnation;
  }
}
