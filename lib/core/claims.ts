/**
 * What an entry of a peer claims, held against what is known here, before any of it is believed.
 *
 * Contents must match their hashes. A dot names one write: the peer may not show another content under a dot that lives here, nor a dot
 * of this node that this node never issued. And a value goes only when the entry shows a dot that is news: what took its place, or what
 * deleted it. Whoever has lost entries and not the memory of having seen them (removal-guard.ts) has no such dot to show.
 */
import { INCARNATIONS_MAX } from "./codec.ts";
import type { Context } from "./context.ts";
import { contentHash, type DigestKey } from "./digest.ts";
import { compareDots, includesDot, type Dot, type Incarnation } from "./dot.ts";
import { dotsOf, type Siblings } from "./entry.ts";
import { ConcordError } from "./errors.ts";
import { PeerFault } from "./fault.ts";
import type { EntryKey } from "./layout.ts";
import type { WireEntry } from "./message.ts";
import type { RemovalGuard } from "./removal-guard.ts";
import type { RenounceGuard } from "./renounce-guard.ts";
import { checkMergeRoom } from "./room.ts";

/** What is known here, as far as entries are held against it. */
export interface Known {
  readonly options: { readonly digestKey: DigestKey };
  readonly context: Context;
  /** Under which this node issues its dots, and how many it has. */
  readonly incarnation: Incarnation | undefined;
  readonly counter: number;
  /** Live siblings. */
  readonly count: number;
  readonly removals: RemovalGuard;
  readonly renouncing: RenounceGuard;
  /** Somebody knows more dots of this node than it issued: it goes on under another identity. */
  renounceIncarnation(): void;
}

/**
 * What the key holds from now on: `merged`, unless siblings would go without a dot that explains it; then nothing changes. To keep too much
 * is always safe: the repair that follows verifies what both sides hold before it removes anything. Of a key that a client reads from
 * several nodes it is believed, within the bounds of the breaker. Throws PeerFault, and `overloaded` when there is no room.
 */
export function checkEntry(
  entry: WireEntry,
  before: Siblings,
  theirs: Siblings,
  merged: Siblings,
  known: Known,
  why: "told" | "asked",
): Siblings {
  checkMergeRoom(merged, entry.gone.length, known.context);
  checkIncarnations(entry, theirs, known.context);
  checkSameContents(before, theirs);
  if (known.incarnation !== undefined && claimsMore(entry, theirs, known.incarnation, known.counter)) {
    if (known.renouncing.take()) known.renounceIncarnation();
    throw new PeerFault("dot", "an entry shows a write of this node that it never made");
  }
  checkContent(known.options.digestKey, entry.key, before, merged);
  const unexplained = removedUnexplained(entry, before, theirs, merged, known.context);
  if (unexplained === 0 || (why === "asked" && known.removals.take(unexplained, known.count))) return merged;
  if (why === "asked") return before;
  known.removals.keep(unexplained);
  return before;
}

/** Throws PeerFault when a content that is new here does not match its hash. */
function checkContent(digestKey: DigestKey, key: EntryKey, before: Siblings, merged: Siblings): void {
  for (const sibling of merged) {
    if (before.includes(sibling)) continue;
    if (contentHash(digestKey, key, sibling.contentType, sibling.value) !== sibling.digest) {
      throw new PeerFault("hash", "malformed bytes: an entry whose content does not match its hash");
    }
  }
}

/** Throws PeerFault when a dot that lives here comes with another content. Both are in the order of their dots. */
function checkSameContents(before: Siblings, theirs: Siblings): void {
  for (let i = 0, j = 0; i < before.length && j < theirs.length;) {
    const order = compareDots(before[i]!.dot, theirs[j]!.dot);
    if (order === 0 && before[i]!.digest !== theirs[j]!.digest) {
      throw new PeerFault("dot", "an entry shows another content for a write that is known here");
    }
    if (order <= 0) i++;
    if (order >= 0) j++;
  }
}

/** Whether the entry shows a dot of this incarnation past those that were issued. */
function claimsMore(entry: WireEntry, theirs: Siblings, incarnation: Incarnation, issued: number): boolean {
  const isMore = (dot: Dot): boolean => dot.counter > issued && dot.incarnation === incarnation;
  return theirs.some((sibling) => isMore(sibling.dot)) || entry.gone.some(isMore);
}

/** Throws `overloaded` when the entry would make more identities known than a context can name to others. */
function checkIncarnations(entry: WireEntry, theirs: Siblings, context: Context): void {
  if (context.incarnationCount + theirs.length + entry.gone.length <= INCARNATIONS_MAX) return;
  const unknown = new Set<Incarnation>();
  for (const { incarnation } of [...dotsOf(theirs), ...entry.gone]) if (context.highest(incarnation) === 0) unknown.add(incarnation);
  if (unknown.size > 0 && context.incarnationCount + unknown.size > INCARNATIONS_MAX) {
    throw new ConcordError("overloaded", `over ${INCARNATIONS_MAX} identities have written here; no more can be remembered`);
  }
}

/** Siblings that go although the entry shows no dot that is news: nothing that would have removed them. */
function removedUnexplained(entry: WireEntry, before: Siblings, theirs: Siblings, merged: Siblings, context: Context): number {
  if (before.length === 0) return 0;
  const left = dotsOf(merged);
  const removed = before.reduce((count, { dot }) => (includesDot(left, dot) ? count : count + 1), 0);
  if (removed === 0) return 0;
  const isNews = (dot: Dot): boolean => !context.has(dot);
  return theirs.some((sibling) => isNews(sibling.dot)) || entry.gone.some(isNews) ? 0 : removed;
}
