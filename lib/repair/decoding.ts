/**
 * A peer's sketch against ours: which dots only one side holds, and what that means. Both contexts decide it alone.
 *
 *                     the other side has seen it             the other side has not
 *   only we hold it   they superseded it: we drop it         our news: they will ask
 *   only they do      we superseded it: they will drop it    their news: we fetch it
 *
 * Their sketch is of the instant of their answer and ours of the instant at which this begins. It goes in steps, and writes go on
 * meanwhile; what it says at the end is true of our store as it is then.
 */
import { Context } from "../core/context.ts";
import { dotKey, incarnationLow32, type Dot, type DotKey, type Incarnation } from "../core/dot.ts";
import type { Store } from "../core/store.ts";
import { readSketch, SKETCH_CELLS_MAX } from "./sketch.ts";
import type { Peeling } from "./sketch-peel.ts";
import type { Sketches } from "./sketches.ts";

/** Cells looked at in one step: a millisecond, and some ten in a process that has not decoded before. */
const STEP_CELLS = 4_096;

export interface Decoded {
  /** Only we hold these, and they have seen them. */
  readonly drops: Context;
  /** Only we hold these, and they have not seen them. */
  readonly news: Context;
  /** Only they hold these, and we have seen them. */
  readonly superseded: readonly Dot[];
  /** Only they hold these, and we have not seen them. */
  readonly missing: Context;
}

export class Decoding {
  readonly #store: Store;
  readonly #theirs: Context;
  readonly #peeling: Peeling;
  /** Dots that they have seen and that came or went here since the beginning: whether they are live now. */
  readonly #changed = new Map<DotKey, { readonly dot: Dot; readonly live: boolean }>();
  readonly #stopListening: () => void;

  /** Throws `malformed` for cells that are none, or are more than `cellsMax`. */
  constructor(store: Store, sketches: Sketches, frame: Uint8Array, theirs: Context, cellsMax = SKETCH_CELLS_MAX) {
    const sketch = readSketch(frame, { key: sketches.key, cellsMax });
    this.#store = store;
    this.#theirs = theirs;
    this.#peeling = sketches.take(sketch.cells).subtract(sketch).decoding({ dotsMax: sketch.cells });
    this.#stopListening = store.listen((dot, live) => {
      if (theirs.has(dot)) this.#changed.set(dotKey(dot.incarnation, dot.counter), { dot, live });
    });
  }

  stop(): void {
    this.#stopListening();
  }

  /** Undefined while there is more to do; "undecodable" when the sketch was too small. */
  step(): Decoded | "undecodable" | undefined {
    const peeled = this.#peeling.step(STEP_CELLS);
    if (peeled === undefined) return undefined;
    this.stop();
    if (!peeled.ok) return "undecodable";
    const names = namesOf(this.#store.context, this.#theirs);
    return this.#classify(dotsOfPairs(peeled.mine, names), dotsOfPairs(peeled.theirs, names));
  }

  #classify(onlyOurs: readonly Dot[], onlyTheirs: readonly Dot[]): Decoded {
    const { context } = this.#store;
    const drops = Context.of(onlyOurs.filter((dot) => this.#theirs.has(dot)));
    const news = Context.of(onlyOurs.filter((dot) => !drops.has(dot)));
    const still = onlyTheirs.filter(({ incarnation, counter }) => this.#changed.get(dotKey(incarnation, counter))?.live !== true);
    const superseded = still.filter((dot) => context.has(dot));
    const known = Context.of(superseded);
    for (const { dot, live } of this.#changed.values()) if (!live && !drops.has(dot) && !known.has(dot)) superseded.push(dot);
    return { drops, news, superseded, missing: Context.of(still.filter((dot) => !context.has(dot))) };
  }
}

export type Names = ReadonlyMap<number, Incarnation>;

/** Sketches name incarnations by their low halves. */
export function namesOf(...contexts: readonly Context[]): Names {
  const names = new Map<number, Incarnation>();
  for (const context of contexts) for (const incarnation of context.incarnations()) names.set(incarnationLow32(incarnation), incarnation);
  return names;
}

/** The dots of decoded pairs (low half of the incarnation, counter), in order; those of incarnations that nobody knows are left out. */
export function dotsOfPairs(pairs: Uint32Array, names: Names): Dot[] {
  const dots: Dot[] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    const incarnation = names.get(pairs[i]!);
    if (incarnation !== undefined) dots.push({ incarnation, counter: pairs[i + 1]! });
  }
  return dots.sort((a, b) => a.counter - b.counter);
}
