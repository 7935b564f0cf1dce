/** What may happen to a replica: clients write and read, peers speak, time passes. */
import type { Condition } from "../core/condition.ts";
import type { LocalWrite } from "../core/change.ts";
import type { Dot } from "../core/dot.ts";
import type { EntryKey } from "../core/layout.ts";
import type { Message } from "../core/message.ts";
import type { ScrubReason } from "../core/scrub.ts";

export interface Operation {
  readonly key: EntryKey;
  /** Undefined deletes. */
  readonly write: LocalWrite | undefined;
  /** For a deletion: what the caller had seen; without, what this replica holds now. */
  readonly observed?: readonly Dot[] | undefined;
  /** Judged in the same step, before any operation is carried out; when it is not met, none is. */
  readonly condition?: Condition | undefined;
  /** Instead of a write or a deletion: the values stay, and expire then; 0 for never. */
  readonly touch?: { readonly expiresAtMs: number } | undefined;
}

export type Input =
  /** A client's operations: durable together. `copies` nodes are to hold them before the answer. `local`: pushed to nobody. */
  | {
      readonly type: "write";
      readonly ticket: number;
      readonly operations: readonly Operation[];
      readonly copies: number;
      readonly local?: boolean;
    }
  /**
   * A client's read that wants what `copies` nodes hold, this one included, and all that `seen` names: merged here before the answer.
   */
  | { readonly type: "read"; readonly ticket: number; readonly key: EntryKey; readonly copies: number; readonly seen: readonly Dot[] }
  /** Asks the peers which values of the key they hold, and changes nothing. */
  | { readonly type: "look"; readonly ticket: number; readonly key: EntryKey }
  | { readonly type: "message"; readonly from: string; readonly message: Message }
  /** The transport could not reach a peer. */
  | { readonly type: "unreachable"; readonly to: string; readonly why: string }
  /** A peer that speaks only the base protocol answered a ping: it is there, and has no summary. */
  | { readonly type: "base-pong"; readonly from: string }
  /** An operator wants a repair from this peer now. The peer is one that the replica knows. */
  | { readonly type: "repair"; readonly peer: string }
  /** An operator wants to know what that would do. The event that tells it carries the ticket. */
  | { readonly type: "compare"; readonly peer: string; readonly ticket: number }
  | { readonly type: "tick" }
  /** All that is stored is to be looked over. */
  | { readonly type: "scrub"; readonly reason: ScrubReason }
  /** Time for some of that. */
  | { readonly type: "scrub-slice" }
  | { readonly type: "continue" }
  /** The time that a `wake` output asked for has passed: what waits for the end of a turn is looked at. */
  | { readonly type: "wake" };
