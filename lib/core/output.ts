/**
 * What a step decides: values, so that a simulator can look at them and a node can hold them back until the batch is durable.
 */
import type { Comparison } from "./comparison.ts";
import type { Siblings } from "./entry.ts";
import type { ConcordError } from "./errors.ts";
import type { FaultReason } from "./fault.ts";
import type { EntryKey } from "./layout.ts";
import type { Message } from "./message.ts";
import type { StorageKey } from "./ports.ts";
import type { ScrubReason, ScrubReport } from "./scrub.ts";
import type { Dot } from "./dot.ts";

export type Output =
  /** A message to a peer, by its address. */
  | { readonly type: "send"; readonly to: string; readonly message: Message }
  /** The reply to the request that this step was given. */
  | { readonly type: "reply"; readonly message: Message }
  /** The answer to a client's write, or to a read that asked other nodes. */
  | { readonly type: "settle"; readonly ticket: number; readonly result: WriteResult }
  /** A key holds something else now. */
  | { readonly type: "changed"; readonly key: EntryKey; readonly before: Siblings; readonly after: Siblings }
  /** For the log, the status and the counters. */
  | { readonly type: "event"; readonly event: ReplicaEvent }
  /** The reply takes more turns: step with the same input again. */
  | { readonly type: "again" }
  /** There is more to do without any input: step again with `continue`. */
  | { readonly type: "continue" }
  /** There will be more to do in a while: step with `wake` then. */
  | { readonly type: "wake"; readonly afterMs: number };

export type WriteResult =
  | {
      readonly ok: true;
      /** For each operation its dot, or for a touch one for each value; undefined when it found nothing. Empty for a read. */
      readonly dots: readonly (Dot | readonly Dot[] | undefined)[];
      /** Nodes that are known to hold the write durably, this one included; for a read, those that have answered. */
      readonly copies: number;
      /** For a look: what the peers that answered in time hold. */
      readonly held?: readonly Held[];
    }
  | { readonly ok: false; readonly error: ConcordError; readonly copies: number };

/** Which values of the key that was looked at a peer holds. */
export interface Held {
  readonly peer: string;
  readonly dots: readonly Dot[];
}

/** What one repair by a peer found, brought and cost. */
export interface RepairReceipt {
  /** Counts the repairs of this process by any peer, in the order in which they ended. */
  readonly number: number;
  readonly peer: string;
  /** The rung of the ladder on which it ended, and why that one. */
  readonly kind: "delta" | "sketch" | "full";
  readonly why: string;
  /** `behind`: what came is merged, but whether something is missing can only be told when the peer has repaired from here. */
  readonly result: "joined" | "behind" | "differs" | "too-many-drops" | "interrupted";
  readonly requests: number;
  /** Values that one side held and the other did not. A key that holds another value on each side counts twice. */
  readonly differences: number;
  readonly entriesIn: number;
  /** Values of this node that the peer had not heard of. It asks for them itself. */
  readonly peerLacks: number;
  readonly dropped: number;
  /** Bytes of the frames that came and went, without HTTP; of those that came, those of the entries themselves. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly entryBytesIn: number;
  readonly tookMs: number;
  /** When it ended, by this machine's clock. */
  readonly endedMs: number;
}

export type ReplicaEvent =
  | { readonly kind: "peer-up"; readonly peer: string; readonly name: string }
  | { readonly kind: "peer-down"; readonly peer: string; readonly why: string }
  | { readonly kind: "peer-learned"; readonly peer: string; readonly name: string }
  | { readonly kind: "all-peers-up" }
  | { readonly kind: "in-sync"; readonly peer: string }
  | { readonly kind: "differs"; readonly peer: string }
  | { readonly kind: "repair-started"; readonly peer: string }
  | { readonly kind: "repair-ended"; readonly receipt: RepairReceipt }
  /** What a comparison found, or why it could not be made. The ticket is that of the input which asked for it. */
  | { readonly kind: "compared"; readonly peer: string; readonly ticket: number; readonly comparison: Comparison | string }
  | { readonly kind: "repair-answered"; readonly peer: string; readonly entries: number; readonly bytes: number }
  | { readonly kind: "push-dropped"; readonly peer: string; readonly keys: number }
  | { readonly kind: "refused"; readonly peer: string; readonly reason: FaultReason; readonly why: string }
  | { readonly kind: "clock-far-ahead"; readonly peer: string; readonly siblings: number; readonly isFirst: boolean }
  | { readonly kind: "incarnation-renounced"; readonly peer: string }
  | { readonly kind: "sibling-created"; readonly key: EntryKey }
  | { readonly kind: "swept"; readonly siblings: number }
  /** A stored record cannot be read; everything is looked over now. */
  | { readonly kind: "damage-found"; readonly key: StorageKey }
  | { readonly kind: "scrub-started"; readonly number: number; readonly reason: ScrubReason }
  | { readonly kind: "scrub-ended"; readonly report: ScrubReport }
  /** What a damaged disk had lost of the key is known to be deleted: nobody was shown that it is gone. */
  | { readonly kind: "lost-deleted"; readonly key: EntryKey }
  /** Every key that a damaged disk had lost holds something again, or is known to be deleted. */
  | { readonly kind: "all-refilled" }
  | { readonly kind: "audit-failed"; readonly problem: string };
