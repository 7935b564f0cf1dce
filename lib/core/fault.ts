/**
 * What a peer may do wrong, as a closed list: each fault is refused, and counted by its name.
 *
 * A peer that breaks these rules is broken or hostile; a node of the same version never does. So nothing of what a fault was found in is
 * believed, and what it would have changed stays as it is.
 */
import { ConcordError } from "./errors.ts";

export type FaultReason =
  /** Bytes that are not of the form that they claim, or a count that is too large. */
  | "malformed"
  /** A content that does not match its hash. */
  | "hash"
  /** A dot of this node that it never issued, or a dot that names another content here. */
  | "dot"
  /** A context that claims more dots of this node than it issued, or more than a context may hold. */
  | "context"
  /** A page of a repair that brings nothing and says that there is more. */
  | "no-progress"
  /** There is no room for it here. Not the peer's fault. */
  | "no-room";

export class PeerFault extends ConcordError {
  readonly reason: FaultReason;

  constructor(reason: FaultReason, message: string) {
    super("malformed", message);
    this.name = "PeerFault";
    this.reason = reason;
  }
}

/** What to count an error as that something of a peer's has caused. */
export function faultOf(error: ConcordError): FaultReason {
  if (error instanceof PeerFault) return error.reason;
  return error.code === "overloaded" ? "no-room" : "malformed";
}
