/** How much one key and one context may hold: what a write or a merge is refused for, before it changes anything. */
import { INCARNATIONS_MAX, RANGES_MAX, SIBLINGS_MAX } from "./codec.ts";
import type { Context } from "./context.ts";
import type { Siblings } from "./entry.ts";
import type { Incarnation } from "./dot.ts";
import { ConcordError } from "./errors.ts";
import { PeerFault } from "./fault.ts";

/** Concurrent values of one key that clients may pile up by writing with an old token, before they must look at them. */
export const SIBLINGS_WRITE_MAX = 100;

/** Bytes of values that one key's siblings may hold together by local writes, so that a key always fits a frame. */
export const ENTRY_BYTES_MAX = 8 * 1024 * 1024;

/** Throws `too-large` when a policy that merges has no room to put a value together with what is held. */
export function checkMergingRoom(held: Siblings, value: Uint8Array, alongside: readonly Uint8Array[]): void {
  const values = [...held.map((sibling) => sibling.value), ...alongside];
  const bytes = values.reduce((sum, { length }) => sum + length, value.length);
  if (bytes <= ENTRY_BYTES_MAX) return;
  const message = `what the key holds and the value take ${bytes} bytes together; ${ENTRY_BYTES_MAX} are the most (delete the key to begin anew)`;
  throw new ConcordError("too-large", message);
}

/** The same for what several nodes wrote apart: a record of this size still fits a frame, with its context, and a row of the storage. */
export const MERGED_BYTES_MAX = 12 * 1024 * 1024;

/** Throws `too-large` when a value may not join the siblings that its write leaves, and those that come before it in the same request. */
export function checkRoom(kept: Siblings, value: Uint8Array, alongside: readonly Uint8Array[] = []): void {
  if (kept.length === 0 && alongside.length === 0 && value.length <= ENTRY_BYTES_MAX) return;
  const values = [...kept.map((sibling) => sibling.value), ...alongside];
  if (values.length >= SIBLINGS_WRITE_MAX) {
    throw new ConcordError(
      "too-large",
      `the key holds ${values.length} concurrent values; read it and write with the token of that answer`,
    );
  }
  const bytes = values.reduce((sum, { length }) => sum + length, value.length);
  if (bytes > ENTRY_BYTES_MAX) {
    throw new ConcordError("too-large", `the key's values would take ${bytes} bytes; ${ENTRY_BYTES_MAX} are the most`);
  }
}

/** Throws `overloaded` when a merge would leave too much in one key, or the context has no room for that many exceptions more. */
export function checkMergeRoom(merged: Siblings, gone: number, context: Context): void {
  if (merged.length > SIBLINGS_MAX) throw new ConcordError("overloaded", `the key holds over ${SIBLINGS_MAX} siblings`);
  const bytes = merged.reduce((sum, { value }) => sum + value.length, 0);
  if (bytes > MERGED_BYTES_MAX) {
    const message = `the key's concurrent values would take ${bytes} bytes, ${MERGED_BYTES_MAX} are the most: replace or delete some where they are`;
    throw new ConcordError("overloaded", message);
  }
  if (context.incarnationCount + context.exceptionCount + merged.length + gone > RANGES_MAX) {
    throw new ConcordError("overloaded", "too many dots were seen out of order; repair must fill the gaps first");
  }
}

/** Who may need a new identity for its next write. */
export interface Writer {
  readonly context: Context;
  readonly incarnation: Incarnation | undefined;
  readonly counter: number;
}

/** False when the next write would take an identity with which no other node could read the context any more. */
export function hasIdentityRoom({ context, incarnation, counter }: Writer): boolean {
  return context.incarnationCount < INCARNATIONS_MAX || (incarnation !== undefined && context.highest(incarnation) <= counter);
}

/** Throws `overloaded` when there is no identity left to write under. */
export function checkIdentityRoom(writer: Writer): void {
  if (hasIdentityRoom(writer)) return;
  const message = `${INCARNATIONS_MAX} identities have written here, no more can be remembered, and this node needs a new one to write; write to another node`;
  throw new ConcordError("overloaded", message);
}

/** Throws PeerFault when a peer's context would make ours one that no other node can read. */
export function checkJoinRoom(context: Context, news: Context): void {
  const { incarnationCount: identities, exceptionCount: gaps } = news;
  if (fits(context.incarnationCount + identities, context.exceptionCount + gaps)) return;
  // What fills gaps has as many ranges as there were gaps, and leaves none: only the union tells.
  const union = context.clone();
  union.join(news);
  if (fits(union.incarnationCount, union.exceptionCount)) return;
  throw new PeerFault("context", "its context holds more identities or gaps than can be remembered");
}

function fits(identities: number, gaps: number): boolean {
  return identities <= INCARNATIONS_MAX && identities + gaps <= RANGES_MAX;
}
