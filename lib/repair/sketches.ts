/**
 * Keeps the sketch of a store up to date: with every write once it is complete, and in slices until then.
 *
 * A large store must open at once, so its tables are built while it serves, by walking the dot index. A change behind the walk is
 * applied as it happens, one ahead of it is found when the walk gets there. Until the walk is over there is no sketch to be had,
 * and a repair that wants one falls back to a full push.
 */
import type { DigestKey } from "../core/digest.ts";
import { dotKey, dotOfKey, incarnationLow32, type Dot, type Incarnation } from "../core/dot.ts";
import { after, dotAtEnd, INDEX } from "../core/layout.ts";
import type { Context } from "../core/context.ts";
import type { Store } from "../core/store.ts";
import { createSketchTables, TABLE_CELLS, type Sketch, type SketchKey, type SketchTables } from "./sketch.ts";

/** Index rows of one slice: some ten milliseconds. */
const SLICE_ROWS = 8_192;

/** A store of up to this many siblings is walked when it is opened. */
const AT_ONCE_MAX = 20_000;

/** Index rows of one slice of a check: some three milliseconds. */
const CHECK_ROWS = 2_048;

export class Sketches {
  readonly key: SketchKey;
  readonly #store: Store;
  #tables: SketchTables;
  /** All index rows before this one are in; undefined when all are. */
  #next: string | undefined = INDEX;
  readonly #stopListening: () => void;

  constructor(store: Store, atOnceMax = AT_ONCE_MAX) {
    this.key = sketchKey(store.options.digestKey);
    this.#store = store;
    this.#tables = createSketchTables({ key: this.key });
    this.#stopListening = store.listen((dot, live) => {
      if (this.#next !== undefined && INDEX + dotKey(dot.incarnation, dot.counter) >= this.#next) return;
      if (live) this.#tables.add(incarnationLow32(dot.incarnation), dot.counter);
      else this.#tables.remove(incarnationLow32(dot.incarnation), dot.counter);
    });
    if (store.count <= atOnceMax) while (!this.isReady) this.step();
  }

  get isReady(): boolean {
    return this.#next === undefined;
  }

  /** Walks one slice of what is not in yet. */
  step(sliceRows = SLICE_ROWS): void {
    if (this.#next === undefined) return;
    const { rows, more } = this.#store.reader.range(this.#next, after(INDEX), sliceRows);
    for (const row of rows) {
      const { incarnation, counter } = dotOfKey(dotAtEnd(row.key));
      this.#tables.add(incarnationLow32(incarnation), counter);
    }
    this.#next = more ? rows[rows.length - 1]!.key + "\0" : undefined;
  }

  /** Makes the tables once more, in slices. To be called when these are ready. */
  check(): SketchCheck {
    const fresh = new Sketches(this.#store, -1);
    return {
      step: () => {
        fresh.step(CHECK_ROWS);
        if (!fresh.isReady) return undefined;
        fresh.#stopListening();
        return this.#agreeWith(fresh);
      },
      stop: () => fresh.#stopListening(),
    };
  }

  /** Takes over the tables of the other if they differ. */
  #agreeWith(fresh: Sketches): boolean {
    const agree = TABLE_CELLS.every((cells) => Buffer.compare(this.take(cells).encode(), fresh.take(cells).encode()) === 0);
    if (!agree) this.#tables = fresh.#tables;
    return agree;
  }

  /** The sketch as it is now. Only when `isReady`. */
  take(cells: number): Sketch {
    return this.#tables.take(cells);
  }
}

/**
 * Makes the tables once more, from the index alone and while writes go on, and compares: a table that has drifted from the store would
 * let no repair verify, or cost a full push each time.
 */
export interface SketchCheck {
  /** One slice; at the end whether the tables were right. Those that were not have been replaced. Undefined while there is more to do. */
  step(): boolean | undefined;
  /** Ends it early. */
  stop(): void;
}

/** The dots of decoded pairs (low half of the incarnation, counter), as far as this context knows their incarnations. */
export function resolveDots(pairs: Uint32Array, context: Context): Dot[] {
  const byLow = new Map<number, Incarnation>();
  for (const incarnation of context.incarnations()) byLow.set(incarnationLow32(incarnation), incarnation);
  const dots: Dot[] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    const incarnation = byLow.get(pairs[i]!);
    if (incarnation !== undefined) dots.push({ incarnation, counter: pairs[i + 1]! });
  }
  return dots;
}

/** The cluster's key as the sketch wants it, read alike on every machine. */
function sketchKey(digestKey: DigestKey): SketchKey {
  const view = new DataView(digestKey.buffer, digestKey.byteOffset, 16);
  return Uint32Array.from([0, 4, 8, 12], (at) => view.getUint32(at, true));
}
