/**
 * The closed list of ways in which an operation can be refused, and the one way in which code may give up.
 *
 * Expected failures (a key that is too long, a full disk, a damaged record) are ConcordErrors with a code from this
 * list, so that every face (HTTP, console, client) can map a code to a status without reading a message.
 * Broken invariants are not expected: they go through `assert`, which stays on in production, because a node that
 * continues after its own state contradicts itself would spread the damage to its peers.
 */

export type ErrorCode =
  /** The caller's input cannot be accepted; the message names the field and the limit. */
  | "invalid"
  /** A key, value, frame, queue or batch is over its limit. */
  | "too-large"
  /** A binary frame or record is not of the form that it claims. */
  | "malformed"
  /** A stored record's checksum does not match its bytes. */
  | "damaged"
  /** The disk has no room for the batch. */
  | "disk-full"
  /** The storage failed for another reason; the node stops taking writes. */
  | "storage-failed"
  /** The data folder is open in another process. */
  | "locked"
  /** The folder holds something that is not a Concord store. */
  | "foreign"
  /** The folder was written by a newer format than this program reads. */
  | "newer-format"
  /** The node is stopping or has stopped. */
  | "stopping"
  /** A bounded queue is full; try again. */
  | "overloaded"
  /** Fewer nodes than asked for hold the write durably, and the write stays; or fewer than asked for answered a read. */
  | "too-few-copies"
  /** Who asks has not shown that they may: no token, or one for less. */
  | "not-allowed"
  /** A client demanded something of a key that is not so; nothing was written. */
  | "condition-failed"
  /** This node has not yet seen what the reader has seen elsewhere. */
  | "behind"
  /** A peer did not answer, or answered outside the protocol. */
  | "peer-failed";

export class ConcordError extends Error {
  readonly code: ErrorCode;
  /** Of several operations the one that was refused, from 0. */
  readonly operation: number | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions & { readonly operation?: number } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.name = "ConcordError";
    this.code = code;
    this.operation = options.operation;
  }
}

/** Throws when an invariant is broken. Never used for input. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`broken invariant: ${message}`);
}
