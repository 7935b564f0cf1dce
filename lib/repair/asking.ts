/**
 * What a repair asks for next: the request as a function of what has come so far, and the step from one rung of the ladder to the next.
 *
 * All rungs are one exchange with another `seen`: our context for a delta, nothing for a full push, and once a sketch of ours was
 * decoded all that they have seen except what it showed to be missing here.
 */
import { Context } from "../core/context.ts";
import { PeerFault } from "../core/fault.ts";
import type { RepairAnswer, RepairRequest } from "../core/message.ts";
import { absoluteOf } from "../core/relative-context.ts";
import { checkJoinRoom } from "../core/room.ts";
import type { Store } from "../core/store.ts";
import {
  ASKED_CELLS_MAX,
  differencesAtMost,
  firstRung,
  nextCells,
  SKETCHES_MAX,
  type LadderOptions,
  type PeerHint,
  type RepairKind,
} from "./ladder.ts";
import { cellsFor } from "./sketch.ts";
import type { Sketches } from "./sketches.ts";

/** Dots that one request for certain entries names. */
const WANTED_MAX = 1024;

/** Pages in a row that bring nothing: one may come twice. */
const IDLE_PAGES_MAX = 3;

const NOTHING = new Context();

export interface AskingOptions extends LadderOptions {
  /** Bytes of entries that one answer is asked for. */
  readonly answerBytesMax: number;
}

export class Asking {
  kind: RepairKind;
  /** Why that rung was taken. */
  why: string;
  readonly #store: Store;
  readonly #options: AskingOptions;
  readonly #sketches: Sketches | undefined;
  /** What we tell them that we have seen: at first our context, then also what their answers covered. */
  #seen: Context;
  /** The same in the request that waits for its answer. */
  #asked = new Context();
  /** Dots whose entries are to be fetched. */
  #wanted = new Context();
  /** Cells of the sketch of ours that goes with the next request, and of theirs that is to come with their last page. */
  #ownCells: number;
  #theirCells: number;
  /** Sketches that did not do. */
  #failed = 0;
  #namesDeletions = true;
  /** A sketch of ours went with the request that waits for its answer. */
  #sketchAsked = false;
  #idlePages = 0;

  constructor(store: Store, options: AskingOptions, sketches: Sketches | undefined, hint: PeerHint) {
    this.#store = store;
    this.#options = options;
    this.#sketches = sketches;
    const first = firstRung(store, hint, sketches === undefined ? undefined : options);
    this.kind = first.kind;
    this.why = first.why;
    this.#ownCells = first.ownCells;
    this.#theirCells = first.theirCells;
    // With a sketch of ours they need to know little of what we have seen.
    this.#seen = first.ownCells > 0 ? store.context.lowerBound(0).clone() : store.context.clone();
  }

  /** The next request takes a table of ours that is not built yet. */
  get waitsForTable(): boolean {
    return this.#ownCells > 0 && this.#sketches?.isReady === false;
  }

  /** Every page so far could name all deletions that were news. */
  get namesDeletions(): boolean {
    return this.kind === "delta" && this.#namesDeletions;
  }

  request(exchange: number): RepairRequest {
    const request = this.#next(exchange);
    this.#asked = request.seen;
    this.#sketchAsked = request.sketch !== undefined;
    return request;
  }

  #next(exchange: number): RepairRequest {
    const plain = { kind: "repair-request" as const, exchange, bytesMax: this.#options.answerBytesMax, count: this.#store.count, cells: 0 };
    if (this.#ownCells > 0) return { ...plain, seen: this.#seen.clone(), sketch: this.#sketches!.take(this.#ownCells).encode() };
    if (this.#wanted.dotCount() > WANTED_MAX) {
      return { ...plain, seen: this.#seen.clone(), wanted: this.#wanted.firstDots(WANTED_MAX) };
    }
    return { ...plain, cells: this.#theirCells, seen: this.#seen.minus(this.#wanted) };
  }

  /** What the peer of this answer has seen. Throws PeerFault when nobody could remember it, or when it answers what was not asked. */
  contextOf({ context, found }: RepairAnswer): Context {
    if (found !== undefined && !this.#sketchAsked) throw new PeerFault("malformed", "an answer to a sketch that it was not sent");
    const theirs = absoluteOf(context, this.#asked);
    checkJoinRoom(NOTHING, theirs);
    return theirs;
  }

  /** A page has come, and is not the last. Throws PeerFault when page after page brings nothing: it could go on like that for ever. */
  cover({ covered, namesDeletions }: RepairAnswer): void {
    const isIdle = this.#seen.covers(covered) && !this.#wanted.overlaps(covered);
    this.#idlePages = isIdle ? this.#idlePages + 1 : 0;
    if (this.#idlePages > IDLE_PAGES_MAX) {
      throw new PeerFault("no-progress", "a page of its repair brings nothing and says that there is more");
    }
    checkJoinRoom(this.#seen, covered.minus(this.#seen));
    this.#seen.join(covered);
    this.#wanted = this.#wanted.minus(covered);
    this.#note(namesDeletions);
    // What they have forgotten shows in a sketch of theirs: better with the last page than after it.
    if (!this.#namesDeletions && this.kind === "delta" && this.#theirCells === 0) this.#theirCells = this.#cellsFor(0, 0, 0);
  }

  /** The last page has come. */
  end({ namesDeletions }: RepairAnswer): void {
    this.#note(namesDeletions);
  }

  #note(namesDeletions: boolean): void {
    if (!namesDeletions) this.#namesDeletions = false;
  }

  /** Our sketch was decoded: these entries are to be fetched, if any. */
  fetch(missing: Context, theirs: Context): void {
    this.#ownCells = 0;
    this.#seen = theirs.clone();
    this.#wanted = missing;
  }

  /** Our sketch was too small. Both contexts are known now, and bound the difference. */
  onUndecoded(theirs: Context, theirCount: number): void {
    const differences = differencesAtMost(this.#store, { context: theirs, count: theirCount });
    // A bound beyond any sketch of ours may be far too high, as dots of old deletions count: larger ones are tried in turn.
    const isTold = cellsFor(differences) <= ASKED_CELLS_MAX;
    const cells = Math.min(ASKED_CELLS_MAX, this.#cellsFor(isTold ? differences : 0, this.#ownCells, theirCount));
    if (isTold) this.#failed++;
    if (this.#failed >= SKETCHES_MAX) return this.toFull(NO_SKETCH_DID);
    if (cells <= this.#ownCells) return this.toFull(tooMany(differences));
    this.#ownCells = cells;
  }

  /**
   * All that they sent is merged, and yet about so many values differ: a sketch of theirs, or everything. `missing`: what a sketch showed
   * that they hold and we have not heard of, to be fetched and compared again.
   */
  onDiffers(differences: number, theirs: Context, theirCount: number, missing = new Context()): void {
    const before = this.kind === "delta" ? 0 : this.#theirCells;
    if (before > 0) this.#failed++;
    const cells = missing.isEmpty ? this.#cellsFor(differences, before, theirCount) : before;
    if (this.#sketches === undefined) return this.toFull("the digests still differ, and there is no sketch");
    if (this.#failed >= SKETCHES_MAX) return this.toFull(NO_SKETCH_DID);
    if (cells === 0) return this.toFull(tooMany(differences));
    if (this.kind === "delta") this.why = `what the contexts tell is merged, and some ${differences} values still differ`;
    this.kind = "sketch";
    this.#ownCells = 0;
    this.#theirCells = cells;
    this.#seen.join(theirs);
    this.#wanted = missing;
  }

  /** A sketch came with the last page, and is to be decoded. */
  toSketch(): void {
    if (this.#theirCells === 0) this.why = "the peer has forgotten deletions that this node has not heard of";
    this.kind = "sketch";
    this.#theirCells = Math.max(this.#theirCells, this.#options.firstCells);
  }

  toFull(why: string): void {
    this.kind = "full";
    this.why = why;
    this.#seen = new Context();
    this.#wanted = new Context();
    this.#ownCells = 0;
    this.#theirCells = 0;
  }

  #cellsFor(differences: number, cellsBefore: number, theirCount: number): number {
    if (this.#sketches === undefined) return 0;
    return nextCells(differences, cellsBefore, Math.max(this.#store.count, theirCount), this.#options);
  }
}

const NO_SKETCH_DID = "two sketches in a row did not show what differs";

function tooMany(differences: number): string {
  return `up to ${differences} values differ: no sketch tells them for less than everything costs`;
}
