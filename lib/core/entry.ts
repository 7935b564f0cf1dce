/**
 * An entry is what one key holds: its live siblings, in the order of their dots.
 *
 * Usually there is one. There are several when writes did not know of each other; they stay until a write that has seen them.
 * There is none when the key was never written or was deleted, and then nothing is stored at all.
 *
 * `merge` is the rule that everything rests on: a sibling stays when it is live on both sides, or when it is live on one side and
 * the other side has never seen its dot. If the other side HAS seen the dot and does not hold it, it was superseded there. This is
 * the optimised OR-set of Bieniusa and others (2012), as dotted version vector sets use it (Preguiça and others, 2012). It is
 * commutative, associative and idempotent (test/core/entry.test.ts), which is why messages may be lost, doubled and reordered.
 */
import type { Context } from "./context.ts";
import { compareDots, includesDot, type Dot } from "./dot.ts";
import { compareStamps, type Stamp } from "./time.ts";

export interface Sibling {
  readonly dot: Dot;
  readonly stamp: Stamp;
  /** Milliseconds since 1970 from which the value is gone; 0 when it never is. */
  readonly expiresAtMs: number;
  /** The name of the node that took the write: the tie-break between equal stamps. */
  readonly writer: string;
  /** "" for JSON text, else a media type. */
  readonly contentType: string;
  readonly value: Uint8Array;
  /** Sixteen bytes, one a character: the keyed hash of key, content type and canonical value. */
  readonly digest: string;
}

/** Sorted by dot, each dot once. */
export type Siblings = readonly Sibling[];

export const NO_SIBLINGS: Siblings = [];

/** The siblings that stay, or arrive, when two replicas' views of one key meet. */
export function merge(mine: Siblings, myContext: Context, theirs: Siblings, theirContext: Context): Siblings {
  const merged: Sibling[] = [];
  let i = 0;
  let j = 0;
  while (i < mine.length || j < theirs.length) {
    const order = i >= mine.length ? 1 : j >= theirs.length ? -1 : compareDots(mine[i]!.dot, theirs[j]!.dot);
    if (order === 0) merged.push(sameEverywhere(mine[i++]!, theirs[j++]!));
    else if (order < 0) keepUnlessSeen(mine[i++]!, theirContext, merged);
    else keepUnlessSeen(theirs[j++]!, myContext, merged);
  }
  return merged;
}

/** The siblings after a write that has seen `observed`: those go, `sibling` comes. */
export function write(siblings: Siblings, observed: readonly Dot[], sibling: Sibling): Siblings {
  return insert(remove(siblings, observed), sibling);
}

/** The siblings after a deletion that has seen `observed`. */
export function remove(siblings: Siblings, observed: readonly Dot[]): Siblings {
  if (observed.length === 0 || siblings.length === 0) return siblings;
  if (siblings.length === 1) return includesDot(observed, siblings[0]!.dot) ? NO_SIBLINGS : siblings;
  return siblings.filter((sibling) => !includesDot(observed, sibling.dot));
}

/** The same write with the same content is among them. */
export function holds(siblings: Siblings, sibling: Sibling): boolean {
  for (const other of siblings) {
    if (other === sibling) return true;
    if (other.dot.counter === sibling.dot.counter && other.dot.incarnation === sibling.dot.incarnation)
      return other.digest === sibling.digest;
  }
  return false;
}

export function sameSiblings(a: Siblings, b: Siblings): boolean {
  return a.length === b.length && a.every((sibling) => holds(b, sibling));
}

export function dotsOf(siblings: Siblings): Dot[] {
  return siblings.map((sibling) => sibling.dot);
}

export function isExpired(sibling: Sibling, nowMs: number): boolean {
  return sibling.expiresAtMs !== 0 && sibling.expiresAtMs <= nowMs;
}

/**
 * The one value to show: the latest stamp, then the greater node name, then the greater dot, among those that have not expired.
 * Every replica that holds the same siblings picks the same one.
 */
export function pick(siblings: Siblings, nowMs: number): Sibling | undefined {
  let best: Sibling | undefined;
  for (const sibling of siblings) {
    if (!isExpired(sibling, nowMs) && (best === undefined || byPick(sibling, best) > 0)) best = sibling;
  }
  return best;
}

/** Orders values so that the one to show is the last. */
export function byPick(a: Sibling, b: Sibling): number {
  const byStamp = compareStamps(a.stamp, b.stamp);
  if (byStamp !== 0) return byStamp;
  if (a.writer !== b.writer) return a.writer < b.writer ? -1 : 1;
  return compareDots(a.dot, b.dot);
}

function keepUnlessSeen(sibling: Sibling, otherContext: Context, into: Sibling[]): void {
  if (!otherContext.has(sibling.dot)) into.push(sibling);
}

/** One dot names one write, so both are equal. The store refuses what says otherwise (claims.ts); here a law is kept, and all choose alike. */
function sameEverywhere(mine: Sibling, theirs: Sibling): Sibling {
  return theirs.digest > mine.digest ? theirs : mine;
}

function insert(siblings: Siblings, sibling: Sibling): Siblings {
  if (siblings.length === 0) return [sibling];
  const at = siblings.findIndex((other) => compareDots(other.dot, sibling.dot) > 0);
  if (at === -1) return [...siblings, sibling];
  return [...siblings.slice(0, at), sibling, ...siblings.slice(at)];
}
