/**
 * Everything that peers say to each other. Three exchanges, each a request and its reply:
 *
 *   ping → pong                         who I am and the summary of what I hold
 *   push → push-ack                     entries that I just wrote
 *   repair-request → repair-answer      what do you hold that I have not seen?
 *
 * A message names its exchange, so that a reply which is late or doubled finds nobody waiting and is dropped. All of them may be
 * lost, doubled, delayed and reordered; merging is idempotent and commutative, so the worst that this costs is time.
 */
import type { Context } from "./context.ts";
import type { Hash128 } from "./digest.ts";
import type { Dot } from "./dot.ts";
import { assert } from "./errors.ts";
import type { EntryKey } from "./layout.ts";
import type { RelativeContext } from "./relative-context.ts";

/** Raised when a frame's meaning changes. A node refuses frames of another version with a clear line. */
export const PROTOCOL_VERSION = 2;

/** What a replica holds, in some forty-five bytes. Equal summaries mean: nothing to do. */
export interface Summary {
  readonly root: Hash128;
  readonly dotRoot: Hash128;
  /** Live siblings. */
  readonly count: number;
  /** Eight bytes of the context's hash. */
  readonly context: string;
}

/** One key as a peer holds it at the moment of the message. */
export interface WireEntry {
  readonly key: EntryKey;
  /** ALL its live siblings, encoded as on disk (codec.ts); empty when it holds none. */
  readonly record: Uint8Array;
  /** Dots of this key that are seen and no longer live: the deletion's own and those it removed. */
  readonly gone: readonly Dot[];
}

export interface Ping {
  readonly kind: "ping" | "pong";
  readonly exchange: number;
  /** The sender's name, for people and for ties. */
  readonly name: string;
  /** Where the sender listens, so that a peer which does not list it can find it. */
  readonly address: string;
  /** Eight random bytes that the sender drew at its start, one a character: it is the same node wherever it is met. */
  readonly instance: string;
  readonly summary: Summary;
}

export interface Push {
  readonly kind: "push";
  readonly exchange: number;
  readonly entries: readonly WireEntry[];
  /** What the sender has seen: a lower bound, for dropping what these entries supersede. Never joined. */
  readonly context: Context;
}

export interface PushAck {
  readonly kind: "push-ack";
  readonly exchange: number;
  /** False when the receiver could not take the entries; repair will. */
  readonly accepted: boolean;
}

export interface RepairRequest {
  readonly kind: "repair-request";
  readonly exchange: number;
  /** What the asker has seen, or has been sent in this session. A lower bound. */
  readonly seen: Context;
  /** About how many bytes of entries the asker wants in one answer. With 0 it only wants to compare, and is sent none. */
  readonly bytesMax: number;
  /** Live siblings that the asker holds. */
  readonly count: number;
  /** So many cells of the answerer's sketch are wanted with the last page; 0 leaves it to the answerer whether to send some. */
  readonly cells: number;
  /** Only the entries of these dots are wanted, whatever else the asker has not seen. */
  readonly wanted?: Context | undefined;
  /** Instead of all that the asker has not seen, what differs is wanted: a sketch of what it holds, its cells encoded. */
  readonly sketch?: Uint8Array | undefined;
}

/** What the answerer's sketch, less the asker's, showed. */
export interface SketchFound {
  /** `not-ready`: the answerer's own is still being built. */
  readonly result: "decoded" | "undecodable" | "not-ready";
  /** Dots that the answerer holds and the asker does not, as far as their entries were too much for this answer. */
  readonly missing: Context;
  /** Dots that the asker holds and the answerer has seen superseded. */
  readonly drops: Context;
}

export interface RepairAnswer {
  readonly kind: "repair-answer";
  readonly exchange: number;
  readonly entries: readonly WireEntry[];
  /** The dots that this answer dealt with: the asker adds them to `seen` of its next request. */
  readonly covered: Context;
  /** True when there is more to ask for. When false, `context`, `summary` and `sketch` are of one instant. */
  readonly more: boolean;
  /** The answerer can name every deletion among what the asker has not seen. */
  readonly namesDeletions: boolean;
  /** All that the answerer has seen; a lower bound while `more`. Joined only after the last answer, and verified. */
  readonly context: RelativeContext;
  /** With the last page and with `found`: the others can be compared with nothing. */
  readonly summary?: Summary | undefined;
  /** With the last page: cells of a sketch of what the answerer holds. */
  readonly sketch?: Uint8Array | undefined;
  /** The answer to the asker's sketch. */
  readonly found?: SketchFound | undefined;
}

/** What do you hold of this key? */
export interface ReadRequest {
  readonly kind: "read-request";
  readonly exchange: number;
  readonly key: EntryKey;
  /** Dots of the key that the asker holds, or that its client has seen elsewhere. */
  readonly held: readonly Dot[];
}

export interface ReadAnswer {
  readonly kind: "read-answer";
  readonly exchange: number;
  /** `gone`: those of the dots asked about that are seen here and no longer live. */
  readonly entry: WireEntry;
}

export type Message = Ping | Push | PushAck | RepairRequest | RepairAnswer | ReadRequest | ReadAnswer;

/** That of a last page, or of one with `found`. */
export function summaryOf({ summary }: RepairAnswer): Summary {
  assert(summary !== undefined, "a page that tells what the peer holds has a summary");
  return summary;
}

export function sameSummary(a: Summary, b: Summary): boolean {
  return sameEntries(a, b) && a.context === b.context;
}

/** Both hold the same live siblings; they may still have seen different deletions. */
export function sameEntries(a: Summary, b: Summary): boolean {
  return a.root === b.root && a.dotRoot === b.dotRoot && a.count === b.count;
}
