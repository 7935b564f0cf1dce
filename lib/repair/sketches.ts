/**
 * Keeps the sketch of a store up to date: with every write once it is complete, and in slices until then.
 *
 * A large store must open at once, so its tables are built while it serves, by walking the dot index. A change behind the walk is
 * applied as it happens, one ahead of it is found when the walk gets there. Until the walk is over there is no sketch to be had,
 * and a repair that wants one falls back to a full push.
 */
import type { DigestKey } from "../core/digest.ts";
import { dotKey, dotOfKey, incarnationLow32 } from "../core/dot.ts";
import { after, dotAtEnd, INDEX } from "../core/layout.ts";
import type { Store } from "../core/store.ts";
import { createSketch, createSketchTables, TABLE_CELLS, type Sketch, type SketchKey, type SketchTables } from "./sketch.ts";

/** Index rows of one slice: some two milliseconds. A million rows are walked in a second, in slices that follow one another at once. */
const SLICE_ROWS = 2_048;

/** Those of the first slice; each one is twice the one before. Code that has not run yet takes ten times as long. */
const FIRST_SLICE_ROWS = 128;

/** A store of up to this many siblings is walked when it is opened. */
const AT_ONCE_MAX = 20_000;

export class Sketches {
  readonly key: SketchKey;
  readonly #store: Store;
  #tables: SketchTables;
  /** All index rows before this one are in; undefined when all are. */
  #next: string | undefined = INDEX;
  #sliceRows = FIRST_SLICE_ROWS;
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
  step(): void {
    if (this.#next === undefined) return;
    const { rows, more } = this.#store.reader.range(this.#next, after(INDEX), this.#sliceRows);
    this.#sliceRows = Math.min(SLICE_ROWS, 2 * this.#sliceRows);
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
        fresh.step();
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

  /** Whether what `take` gives is the sketch of the index, built directly. Walks all of it at once: for checks of small stores. */
  get isSound(): boolean {
    // Sizes to which the small table folds, and the large one; neither is a power of two.
    return [50, 5000].every((cells) => Buffer.from(this.take(cells).encode()).equals(this.#built(cells).encode()));
  }

  #built(cells: number): Sketch {
    const sketch = createSketch({ key: this.key, cells });
    for (let from = INDEX, more = true; more;) {
      const page = this.#store.reader.range(from, after(INDEX), SLICE_ROWS);
      for (const row of page.rows) {
        const { incarnation, counter } = dotOfKey(dotAtEnd(row.key));
        sketch.add(incarnationLow32(incarnation), counter);
        from = row.key + "\0";
      }
      more = page.more;
    }
    return sketch;
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

/** The cluster's key as the sketch wants it, read alike on every machine. */
function sketchKey(digestKey: DigestKey): SketchKey {
  const view = new DataView(digestKey.buffer, digestKey.byteOffset, 16);
  return Uint32Array.from([0, 4, 8, 12], (at) => view.getUint32(at, true));
}
