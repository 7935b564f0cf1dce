/**
 * A plan is a whole simulated history as data, made from a seed before anything happens: who is there, what clients do, what breaks.
 *
 * Because it is data, the shrinker can take elements out and run the rest again, and a person can read what happened.
 */
export interface Plan {
  readonly seed: number;
  readonly nodes: readonly PlannedNode[];
  readonly settings: Settings;
  /** In order of time. */
  readonly operations: readonly PlannedOperation[];
  /** In order of time. */
  readonly faults: readonly PlannedFault[];
  /** When clients and faults stop, and the rounds are counted within which all nodes must be equal. */
  readonly endMs: number;
}

export interface PlannedNode {
  readonly name: string;
  /** Whom it is told of. */
  readonly peers: readonly string[];
}

/** Limits that are small in many plans, so that a few dozen keys reach what takes millions in life. */
export interface Settings {
  readonly recentDeletionsMax: number;
  readonly answerBytesMax: number;
  readonly pushKeysMax: number;
  readonly dropsAllowed: number;
  readonly dropShareMax: number;
  readonly entryBytes: number;
  readonly firstCells: number;
  /** The longest usual delay of a frame. */
  readonly linkMs: number;
  /** The longest usual delay of a batch on its way to the disk. */
  readonly diskMs: number;
  /** How long inputs gather before a turn takes them, as they do in production; -1 when each begins a turn at once. */
  readonly gatherMs: number;
}

export interface PlannedOperation {
  /** Names the operation in the transcript and in the values that it writes. */
  readonly id: number;
  readonly atMs: number;
  readonly node: string;
  readonly parts: readonly PlannedPart[];
  readonly copies: number;
}

export interface PlannedPart {
  readonly key: string;
  /** A touch, a read of several nodes, and what merges (`increment`; `add`: an element to a set) is an operation's only part. */
  readonly kind: "put" | "delete" | "touch" | "read" | "increment" | "add";
  /** What the client demands of the key: that it is free, that it is as just read here, or as read some time ago. */
  readonly demand: "none" | "free" | "here" | "old";
  /** Which token the client gives: none, one just read here, one just read elsewhere, or the last that it read anywhere. */
  readonly token: "none" | "here" | "elsewhere" | "old";
  /** Where the client reads for "elsewhere". */
  readonly tokenNode: string;
  /** Writes the key's last value once more instead of a new one. */
  readonly rewrite: boolean;
  /** 0 when the value does not expire. */
  readonly ttlMs: number;
  readonly valueBytes: number;
}

/** What becomes of the folder while a node is down. */
export type DiskFate = "kept" | "empty" | "copy" | "lost-entries" | "flipped-bits";

export type PlannedFault =
  | {
      readonly kind: "loss" | "duplicate" | "reorder" | "delay" | "stale-sketch";
      readonly atMs: number;
      readonly untilMs: number;
      /** The share of frames that it hits. */
      readonly share: number;
    }
  | {
      readonly kind: "cut";
      readonly shape: "cut-one-way" | "cut-asymmetric" | "split";
      readonly atMs: number;
      readonly untilMs: number;
      /** Directed: from, to. */
      readonly links: readonly (readonly [string, string])[];
    }
  | { readonly kind: "restart"; readonly atMs: number; readonly node: string; readonly downMs: number; readonly disk: DiskFate }
  /** Bits flip in some records of a disk that is in use; sooner or later somebody looks over it. */
  | {
      readonly kind: "flip-bits";
      readonly atMs: number;
      readonly node: string;
      readonly records: number;
      readonly scrubAfterMs: number;
    }
  /** Somebody copies the folder, to be put back later. */
  | { readonly kind: "copy"; readonly atMs: number; readonly node: string }
  /** `applied`: whether the batch that fails is there when the folder is opened again. */
  | {
      readonly kind: "disk";
      readonly how: "failed" | "full";
      readonly atMs: number;
      readonly node: string;
      readonly forMs: number;
      readonly applied: boolean;
    }
  | { readonly kind: "slow-disk"; readonly atMs: number; readonly untilMs: number; readonly node: string; readonly delayMs: number }
  | { readonly kind: "pause"; readonly atMs: number; readonly node: string; readonly forMs: number }
  /** The wall clock is off by this much from now on; less than before means a step backwards. */
  | { readonly kind: "clock"; readonly atMs: number; readonly node: string; readonly offsetMs: number }
  /** Somebody claims to have seen more of this node's writes than it made, as another life of its data would. */
  | { readonly kind: "forged"; readonly atMs: number; readonly node: string };

/** The names by which faults are chosen (`--faults`). */
export const FAULT_NAMES = [
  ...["loss", "duplicate", "reorder", "delay", "stale-sketch", "cut-one-way", "cut-asymmetric", "split"],
  ...["crash", "restart-empty", "restart-copy", "restart-lost-entries", "disk-failed", "disk-full", "slow-disk"],
  ...["pause", "clock-hour", "clock-back", "forged", "different-peers"],
  ...["restart-flipped-bits", "flip-bits"],
] as const;

export type FaultName = (typeof FAULT_NAMES)[number];

export function formatFault(fault: PlannedFault): string {
  const { kind, atMs, ...rest } = fault;
  const fields = Object.entries(rest).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  return `${(atMs / 1000).toFixed(3)} ${kind} ${fields.join(" ")}`;
}

export function formatOperation(operation: PlannedOperation): string {
  const parts = operation.parts.slice(0, 4).map(({ kind, key, token, ttlMs, rewrite, demand }) => {
    const how = `${rewrite ? " rewrite" : ""}${demand === "none" ? "" : ` if ${demand}`}${token === "none" ? "" : ` token ${token}`}${ttlMs > 0 ? ` ttl ${ttlMs} ms` : ""}`;
    return `${kind} ${key}${how}`;
  });
  const more = operation.parts.length > 4 ? ` and ${operation.parts.length - 4} more` : "";
  const copies = operation.copies > 1 ? ` on ${operation.copies} nodes` : "";
  return `${(operation.atMs / 1000).toFixed(3)} #${operation.id} at ${operation.node}: ${parts.join(", ")}${more}${copies}`;
}
