/** What goes into a change of one key, and what comes out of it. */
import type { Dot } from "./dot.ts";
import type { Sibling, Siblings } from "./entry.ts";
import type { EntryKey } from "./layout.ts";
import type { Mark } from "./mark.ts";
import type { WireEntry } from "./message.ts";
import type { StorageChange } from "./ports.ts";
import type { Tally } from "./tally.ts";

export interface LocalWrite {
  readonly contentType: string;
  readonly value: Uint8Array;
  /** 0 when it never expires. */
  readonly expiresAtMs: number;
  /** What the writer had seen (from its token); without, what this replica holds now. */
  readonly observed?: readonly Dot[] | undefined;
  /** In place of the value: what is held, and this much more. */
  readonly increment?: number | undefined;
  /** The value is one that the store holds, and stays as it is whatever the key's policy. */
  readonly isStored?: boolean;
}

/** What a change did: what peers must hear, and what watchers may see. */
export interface Change {
  readonly key: EntryKey;
  readonly before: Siblings;
  readonly after: Siblings;
  /** The dot of the write or deletion. */
  readonly dot: Dot;
  readonly entry: WireEntry;
}

export interface MergeOutcome {
  readonly key: EntryKey;
  readonly before: Siblings;
  /** The same array when nothing changed. */
  readonly after: Siblings;
  /** What the peer's entry held. */
  readonly theirs: Siblings;
  /** Siblings whose stamp is too far ahead to be followed. */
  readonly farAhead: number;
}

/** What an audit found, and how to put it right (audit.ts). */
export interface Amendment {
  /** Rows that are written anew, or removed. */
  readonly rows: readonly StorageChange[];
  /** Siblings that were live and cannot be read any more. */
  readonly lost: readonly { readonly dot: Dot; readonly key: EntryKey }[];
  /** Keys that hold nothing now although nobody deleted them. */
  readonly marks: ReadonlyMap<EntryKey, Mark>;
  /** What all siblings that are left sum up to. */
  readonly tally: Tally;
}

/** Hears of every sibling that becomes live or stops being so, in the step in which it does; without it when it was lost to damage. */
export type DotListener = (dot: Dot, live: boolean, key: EntryKey, sibling: Sibling | undefined) => void;
