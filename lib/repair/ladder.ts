/**
 * The choice between the rungs of a repair, by what each would cost in bytes, and the reason in words for the log and the receipt.
 *
 *   delta    what the asker's context lacks. Costs its context and the news, whatever the size of the stores.
 *   sketch   CELL_BYTES for each cell, a cell and a half or less for each difference. Finds what contexts cannot explain: deletions that
 *            nobody remembers, a store whose context was lost, contexts that are equal while digests are not.
 *   full     every entry. Needs no memory on either side.
 *
 * A sketch rides on the first request when it is known beforehand that contexts will not do, and on the answer when the answerer knows
 * that it has forgotten deletions. Otherwise it is asked for when the digests have shown that something is left. So an ordinary outage
 * never pays for one.
 */
import type { Context } from "../core/context.ts";
import { weight } from "../core/relative-context.ts";
import { CELL_BYTES, cellsFor, SKETCH_CELLS_MAX } from "./sketch.ts";

export type RepairKind = "delta" | "sketch" | "full";

export interface LadderOptions {
  /** What a full push is reckoned to cost for each entry; a sketch that costs more is not tried. */
  readonly entryBytes: number;
  /** Cells of the first sketch of a repair, when nothing says how much differs. */
  readonly firstCells: number;
}

/** The differences that a sketch of so many cells shows in 99 of 100 cases, a few more or less: the reverse of cellsFor. */
export function dotsShownBy(cells: number): number {
  const root = (Math.sqrt(9 + 4.6 * Math.max(0, cells - 16)) - 3) / 2.3;
  return Math.max(1, Math.floor(root * root));
}

/**
 * How much larger the next sketch is, when one did not decode and nothing better is known: the first of these that pays. Fourteen times a
 * first sketch shows a thousand differences, and both take 18 kB together with what is said beside them.
 */
const GROWTHS = [14, 4];

/** Cells of the asker's sketch, which is decoded within one turn: ten thousand differences in some ten milliseconds. */
export const ASKED_CELLS_MAX = 12_288;

/** Sketches of one repair: after two that did not decode, or whose decode did not verify, everything is pushed. */
export const SKETCHES_MAX = 2;

/** What is known of the peer before the first request. */
export interface PeerHint {
  /** Live siblings that it holds. */
  readonly count?: number | undefined;
  /** It has seen the same dots as we have, and yet holds others. */
  readonly sameContext?: boolean;
  /** The last repair from it could not be verified. */
  readonly doubted?: boolean;
}

export interface FirstRung {
  readonly kind: RepairKind;
  readonly why: string;
  /** Cells of our sketch to send. */
  readonly ownCells: number;
  /** Cells of their sketch to ask for. */
  readonly theirCells: number;
}

export interface Holding {
  readonly context: Context;
  readonly count: number;
}

/** `options` are undefined when there is no sketch to be had. */
export function firstRung(mine: Holding, hint: PeerHint, options: LadderOptions | undefined): FirstRung {
  if (mine.context.isEmpty) return { kind: "full", why: "this node holds nothing yet", ...NO_CELLS };
  const plain: FirstRung = { kind: "delta", why: "the contexts tell what is missing", ...NO_CELLS };
  if (options === undefined) return plain;
  const apart = hint.count === undefined ? 0 : Math.abs(mine.count - hint.count);
  const cells = apart > dotsShownBy(options.firstCells) ? Math.max(options.firstCells, cellsFor(apart)) : options.firstCells;
  if (cells > SKETCH_CELLS_MAX || !sketchPays(cells, Math.max(mine.count, hint.count ?? 0), options)) return plain;
  if (weight(mine.context) > cells * CELL_BYTES && cells <= ASKED_CELLS_MAX)
    return { kind: "sketch", why: "this node's context takes more bytes than a sketch", ownCells: cells, theirCells: 0 };
  if (hint.sameContext === true) return { ...plain, why: "both have seen the same writes and hold others", theirCells: cells };
  if (hint.doubted === true) return { ...plain, why: "the last repair from it could not be verified", theirCells: cells };
  return plain;
}

const NO_CELLS = { ownCells: 0, theirCells: 0 };

/**
 * How many dots differ at most, when neither side lost entries of which it kept the dots. Each new dot is a write to a new key (one
 * difference), to an old one (two) or a deletion (one); the counts tell how many were not writes to old keys.
 */
export function differencesAtMost(mine: Holding, theirs: Holding): number {
  const apart = Math.abs(mine.count - theirs.count);
  return Math.max(apart, 2 * (newDots(mine.context, theirs.context) + newDots(theirs.context, mine.context)) - apart);
}

/** Dots of `some` beyond the highest that `others` has of the same incarnation. Gaps below that are old. */
function newDots(some: Context, others: Context): number {
  let dots = 0;
  for (const incarnation of some.incarnations()) dots += Math.max(0, some.highest(incarnation) - others.highest(incarnation));
  return dots;
}

/** The cells to try for so many differences, after a sketch of `cellsBefore` did not do (0: there was none); 0 when none pays. */
export function nextCells(differences: number, cellsBefore: number, count: number, options: LadderOptions): number {
  const fitting = Math.max(options.firstCells, cellsFor(differences));
  const grown = cellsBefore === 0 ? [] : GROWTHS.map((growth) => growth * cellsBefore);
  // A number of differences that is too large for what failed explains why it failed.
  const choices = fitting > cellsBefore ? [fitting, ...grown] : grown;
  return choices.find((cells) => cells <= SKETCH_CELLS_MAX && sketchPays(cells, count, options)) ?? 0;
}

export function sketchPays(cells: number, count: number, { entryBytes }: LadderOptions): boolean {
  return cells * CELL_BYTES <= entryBytes * count;
}
