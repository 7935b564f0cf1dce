/**
 * The check between "the last answer has come" and "their context is ours": by the arithmetic of digests, do we now hold what they held?
 *
 *   dotRoot(mine) − Σ h(only mine, unseen by them) − Σ h(only mine, seen by them) + Σ h(only theirs) = dotRoot(theirs)
 *
 * The first sum walks our live dots outside their context: as many as we could send them. The second is only known after a full push,
 * where everything they hold was named: whatever of ours they have seen and did not name, they superseded, and we drop it. The
 * third is what they named, or did not have to mention, and we have superseded (named.ts). The walk goes in slices while writes go on. The sums are those of
 * the instant at which the verification began: a dot that stops being live before the walk reaches it is counted when it goes,
 * and dots that come later are outside the walk.
 *
 * After a delta the third sum may be incomplete: they may hold what we superseded so long ago that we do not remember, and they have
 * not heard of. Then the digests differ although nothing is missing, and `peerBehind` says that this is possible.
 */
import { Context } from "../core/context.ts";
import { DotHasher, type Digest } from "../core/digest.ts";
import { dotOfKey, type Dot } from "../core/dot.ts";
import { dotAtEnd, indexAt } from "../core/layout.ts";
import type { Summary } from "../core/message.ts";
import type { Store } from "../core/store.ts";
import type { Named } from "./named.ts";

/** Index rows of one slice: about two milliseconds. */
const SLICE_ROWS = 2048;
const PAGE_ROWS = 512;

/** To look for a stretch of dots takes as long as to read so many rows of it. Between the gaps of a context there are stretches of one or two. */
const SEEK_ROWS = 8;

export type Verdict =
  | {
      readonly verified: true;
      readonly drops: readonly Dot[];
      /** Dots that one side held and the other did not. */
      readonly differences: number;
      /** Those of them that only we hold and they have not seen. */
      readonly peerLacks: number;
    }
  | {
      readonly verified: false;
      /** We have seen dots that they have not: the difference may be theirs to repair. */
      readonly peerBehind: boolean;
      /** The same number, as far as the counts tell. */
      readonly differences: number;
    };

/** What a sketch showed: it takes the place of what the peer named. */
export interface Shown {
  /** Only we hold these, and they have seen them. */
  readonly drops: Context;
  /** Only they hold these; undefined when they named them. */
  readonly onlyTheirs?: readonly Dot[] | undefined;
}

export class Verification {
  readonly #store: Store;
  readonly #theirs: Context;
  readonly #summary: Summary;
  /** Our dots to be walked, and those of them that were. */
  readonly #toWalk: Context;
  readonly #walked = new Context();
  readonly #segments: { readonly incarnation: string; from: number; readonly to: number }[] = [];
  readonly #rest: Digest;
  readonly #hasher: DotHasher;
  /** Dots that they hold and we do not; so many of them are in the sum. */
  readonly #onlyTheirs: readonly Dot[];
  #added = 0;
  #restCount: number;
  readonly #drops: Dot[] = [];
  readonly #root: string;
  #onlyOurs = 0;
  readonly #stopListening: () => void;

  /** `full`: everything that they hold was named. */
  constructor(store: Store, theirs: Context, summary: Summary, named: Named, full: boolean, shown?: Shown) {
    this.#store = store;
    this.#theirs = theirs;
    this.#summary = summary;
    this.#rest = store.dotRoot.clone();
    this.#hasher = new DotHasher(store.options.digestKey);
    this.#root = store.root.toHash();
    // After a full push there is nothing that they did not mention.
    this.#onlyTheirs = shown?.onlyTheirs ?? [...named.superseded(), ...(full ? [] : named.unheard(theirs))];
    this.#restCount = store.count + this.#onlyTheirs.length;
    this.#toWalk = store.context.minus(full ? named.dots : theirs);
    if (shown !== undefined) this.#toWalk.join(shown.drops.minus(shown.drops.minus(theirs)));
    for (const incarnation of this.#toWalk.incarnations()) {
      const ranges = this.#toWalk.rangesOf(incarnation);
      for (let i = 0; i < ranges.length; i += 2) this.#segments.push({ incarnation, from: ranges[i]!, to: ranges[i + 1]! });
    }
    this.#segments.reverse();
    this.#stopListening = store.listen((dot, live) => {
      if (!live && this.#toWalk.has(dot) && !this.#walked.has(dot)) this.#count(dot, false);
    });
  }

  /** Dots of ours, live or not, that the walk covers. */
  get dotsToWalk(): number {
    return this.#segments.reduce((sum, { from, to }) => sum + to - from + 1, 0);
  }

  stop(): void {
    this.#stopListening();
  }

  /** Walks one slice; returns the verdict when the walk is over. */
  step(): Verdict | undefined {
    let rowsLeft = SLICE_ROWS;
    for (; rowsLeft > 0 && this.#added < this.#onlyTheirs.length; rowsLeft--) {
      const { incarnation, counter } = this.#onlyTheirs[this.#added++]!;
      this.#hasher.hash(incarnation, counter);
      this.#rest.addDot(this.#hasher);
    }
    while (rowsLeft > 0) {
      const segment = this.#segments[this.#segments.length - 1];
      if (segment === undefined) return this.#verdict();
      rowsLeft -= SEEK_ROWS + this.#walk(segment);
    }
    return undefined;
  }

  #walk(segment: { readonly incarnation: string; from: number; readonly to: number }): number {
    const { incarnation, from, to } = segment;
    const { rows, more } = this.#store.reader.range(indexAt(incarnation, from), indexAt(incarnation, to) + "\0", PAGE_ROWS);
    for (const row of rows) this.#count(dotOfKey(dotAtEnd(row.key)), true);
    const reached = more ? dotOfKey(dotAtEnd(rows[rows.length - 1]!.key)).counter : to;
    this.#walked.addRange(incarnation, from, reached);
    segment.from = reached + 1;
    if (reached >= to) this.#segments.pop();
    return rows.length;
  }

  #count(dot: Dot, live: boolean): void {
    this.#hasher.hash(dot.incarnation, dot.counter);
    this.#rest.subtractDot(this.#hasher);
    this.#restCount--;
    this.#onlyOurs++;
    if (live && this.#theirs.has(dot)) this.#drops.push(dot);
  }

  #verdict(): Verdict {
    this.stop();
    const differences = this.#onlyTheirs.length + this.#onlyOurs;
    const apart = Math.abs(this.#restCount - this.#summary.count);
    if (apart > 0 || this.#rest.toHash() !== this.#summary.dotRoot) {
      return { verified: false, peerBehind: !this.#theirs.covers(this.#toWalk), differences: differences + apart };
    }
    // The same dots with other contents: a peer is broken, or this store is. Nothing is missing, but something is wrong.
    if (differences === 0 && this.#root !== this.#summary.root) return { verified: false, peerBehind: false, differences };
    return { verified: true, drops: this.#drops, differences, peerLacks: this.#onlyOurs - this.#drops.length };
  }
}
