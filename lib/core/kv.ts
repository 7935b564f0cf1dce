/**
 * What every face of a node calls: HTTP, the console, an embedding program. Strings and bytes in, values out; no dots, no messages.
 *
 * Reads are synchronous and see only what is durable. Writes resolve when they are durable on this node (and on as many others
 * as asked for); a rejected write is a ConcordError.
 */
import type { Comparison } from "./comparison.ts";
import type { Condition } from "./condition.ts";
import type { RepairReceipt } from "./output.ts";
import type { PolicyName } from "./policy/names.ts";
import type { ScrubView } from "./scrub.ts";
import type { MemberView } from "./status.ts";

export interface KvValue {
  /** "" for JSON text, else a media type. */
  readonly contentType: string;
  readonly value: Uint8Array;
  /** Names all siblings that the key holds, for a write that has seen them. */
  readonly token: string;
  /** Names what the key shows and holds, for a condition: the same on all nodes that hold the same, another after each write. */
  readonly tag: string;
  /** The write that this value came by: the incarnation of the node that took it, and its counter. */
  readonly dot: string;
  /** Different values of the key that have not expired; over 1 means that writes did not know of each other. */
  readonly siblings: number;
  /** By which merge policy this value was made of them, or chosen; `latest` also where there was nothing to decide. */
  readonly rule: PolicyName;
  /** 0 when it never expires. */
  readonly expiresAtMs: number;
  /** The name of the node that took the write. */
  readonly writer: string;
  readonly writtenMs: number;
}

export interface KvOperation {
  readonly key: string;
  /** Undefined deletes the key. */
  readonly value: Uint8Array | undefined;
  readonly contentType?: string;
  /** The caller has validated the value as JSON, and it is not gone through again. */
  readonly validated?: boolean;
  /** From an earlier read: exactly what that read showed is replaced. Without: what this node holds now. */
  readonly token?: string | undefined;
  /** Nothing is replaced: the value stands beside what is held, as that of a writer who knew nothing of it. Without a token. */
  readonly beside?: boolean | undefined;
  /** Milliseconds from now until the value is gone. */
  readonly ttlMs?: number | undefined;
  /** Instead of a value or a deletion: what the key holds stays, and expires after `ttlMs`, or never without. */
  readonly touch?: boolean | undefined;
  /** Instead of all of these: this much is added to the number that the key holds, or to nothing, as increments at other nodes are. */
  readonly increment?: number | undefined;
  /** When it is not met, none of the operations is carried out: `condition-failed`. */
  readonly condition?: Condition | undefined;
}

export interface KvWriteOptions {
  /** How many nodes must hold the operations durably; 1 by default. */
  readonly copies?: number;
  /** Stored here and pushed to nobody: the others learn of it by repair. */
  readonly local?: boolean;
}

export interface KvReceipt {
  /** For each operation: false for a deletion, or a touch, that found nothing. */
  readonly changed: readonly boolean[];
  /** For each operation: the token of what it wrote. */
  readonly tokens: readonly string[];
  /** For each operation: the tag of the key, if it holds now what the operation wrote and nothing beside it. */
  readonly tags: readonly string[];
  /** Nodes known to hold all of it durably, this one included. */
  readonly copies: number;
}

export interface KvListOptions {
  readonly prefix?: string;
  readonly after?: string;
  /** Keys of the page. */
  readonly limit: number;
  /** Bytes of keys and values after which the page ends; one entry it always has. */
  readonly bytesMax?: number;
}

export interface KvReadOptions {
  /** How many nodes are to be read, this one included. */
  readonly copies: number;
  /** From a read or a write at any node: what that has seen is to be seen here. */
  readonly token?: string | undefined;
}

export interface KvListing {
  readonly entries: readonly { readonly key: string; readonly value: KvValue }[];
  /** Give as `after` to go on; undefined at the end. */
  readonly cursor: string | undefined;
  /** Keys that are left out here because the disk has lost what they held; some of them, when there are many. Undefined when there are none. */
  readonly waiting?: readonly string[] | undefined;
}

export interface KvEvent {
  /** `expire`: it was not deleted, its time has come. A key may be told expired twice, or without having been told before. */
  readonly kind: "put" | "delete" | "expire";
  readonly key: string;
  readonly value: KvValue | undefined;
  /** Names what the key holds after the change, for a write that has seen it. */
  readonly token: string;
}

export interface KvWhyWrite {
  /** As it would be shown alone. */
  readonly value: KvValue;
  /** It has expired and is not swept yet. */
  readonly isExpired: boolean;
  /** Dots of what it is known to have replaced. */
  readonly replaced: readonly string[];
  /** For a value that merges by its parts: up to which dot of each incarnation it holds what was written. */
  readonly seen: readonly string[] | undefined;
}

/** A value that this node lately saw replaced or deleted. */
export interface KvWhyGone {
  readonly dot: string;
  readonly writer: string | undefined;
  readonly writtenMs: number | undefined;
  /** The writes that replaced it, or through which this node heard of that. */
  readonly by: readonly string[];
}

export interface KvHolder {
  readonly name: string;
  readonly address: string;
  /** As the peer answered just now: the `same` writes as this node, `other` ones, or `nothing`. `unknown`: it did not answer within 2 s. */
  readonly holds: "here" | "same" | "other" | "nothing" | "unknown" | "away";
  /** Dots of the writes that it holds, when that is known. */
  readonly writes: readonly string[] | undefined;
}

export interface KvWhy {
  readonly shown: KvValue | undefined;
  /** What made the value that is shown, in a sentence. */
  readonly because: string;
  /** What the key holds, the latest first. */
  readonly writes: readonly KvWhyWrite[];
  /** The last of them first. What is older, or was before this process began, is not known any more. */
  readonly gone: readonly KvWhyGone[];
}

export interface RepairSent {
  readonly peer: string;
  readonly entries: number;
  readonly bytes: number;
  /** When its last page was sent, by this machine's clock. */
  readonly atMs: number;
}

/** A repair that was asked for and takes long: it is over when the status has a receipt of that peer whose number is over `after`. */
export interface RepairUnderWay {
  readonly underWay: true;
  /** Its address. */
  readonly peer: string;
  readonly after: number;
}

export interface NodeStatus {
  readonly name: string;
  readonly address: string;
  readonly keys: number;
  /** Live values, siblings counted each. */
  readonly count: number;
  readonly hash: string;
  readonly incarnations: number;
  readonly exceptions: number;
  readonly peers: readonly MemberView[];
  readonly repairingWith: string | undefined;
  /** False for some seconds after a large store was opened; repairs that need a sketch wait for it. */
  readonly sketchReady: boolean;
  /** The last repair of this node by a peer that brought something. */
  readonly lastRepair: RepairReceipt | undefined;
  /** Of each peer the last repair of this node by it, also one that found nothing. */
  readonly repairs: readonly RepairReceipt[];
  /** What this node last sent to a peer that repaired from it. */
  readonly lastSent: RepairSent | undefined;
  /** The last look over all that is stored, and what it left to be refilled. */
  readonly scrub: ScrubView;
  /** Why the node takes no writes; undefined when it does. */
  readonly stopped: string | undefined;
}

export interface Kv {
  /**
   * Undefined when the key is not there or has expired. Throws `invalid` for a key of the wrong length, `damaged` while what the disk has
   * lost of it waits for a peer.
   */
  get(key: string): KvValue | undefined;
  /** All values of the key that have not expired, equal ones once and each alone, the one that `get` shows first. */
  siblings(key: string): readonly KvValue[];
  /**
   * Asks other nodes as well, and resolves with how many were read when what they hold of the key is merged here and durable: `get` shows it
   * then. Rejects with `too-few-copies`, with `behind`, or with `invalid` for more nodes than are known.
   */
  refresh(key: string, options: KvReadOptions): Promise<number>;
  /** Operations that become durable together on this node. */
  write(operations: readonly KvOperation[], options?: KvWriteOptions): Promise<KvReceipt>;
  /** Keys in byte order: those that begin with `prefix` and come after `after`, `limit` of them at most. */
  list(options: KvListOptions): KvListing;
  /** The same of the keys that hold several values, found without a look at the others. */
  conflicts(options: KvListOptions): KvListing;
  /** Where what the key shows comes from, as far as this node knows. */
  why(key: string): KvWhy;
  /** This node, and what each of its peers holds of the key: those that are up are asked. Throws `overloaded`. */
  holders(key: string): Promise<KvHolder[]>;
  /** Hears of every change of a key that begins with `prefix`, after it is durable. Returns how to stop. */
  watch(prefix: string, listener: (event: KvEvent) => void): () => void;
  status(): NodeStatus;
  /**
   * Repairs from a peer now, by its address or name. When it takes long, the status tells of its end. Rejects with `invalid` for a peer that
   * the node does not know, `peer-failed` for one that is down.
   */
  repair(peer: string): Promise<RepairReceipt | RepairUnderWay>;
  /** What a repair would do on both sides. Changes nothing. */
  compare(peer: string): Promise<Comparison>;
  /** Begins to look over all that is stored, or joins in. Returns the number by which the status speaks of it. */
  scrub(): number;
  /** Equal on all nodes that hold the same data. */
  hash(): string;
}
