/**
 * Reads rows in order past those that are damaged. A page of the storage is all or nothing, so the rows before a damaged one are read
 * again, up to it, and the walk goes on behind it.
 */
import { DamagedRecordError } from "./damaged.ts";
import { ConcordError } from "./errors.ts";
import type { StorageKey, StorageReader } from "./ports.ts";

export interface Stretch {
  readonly rows: readonly { readonly key: StorageKey; readonly value: Uint8Array }[];
  /** A record after these rows that cannot be read. */
  readonly damaged: StorageKey | undefined;
  /** Where to go on; undefined at the end. */
  readonly next: StorageKey | undefined;
}

/** Rows from `from` on, `limit` at most, up to the first that is damaged. */
export function readStretch(reader: StorageReader, from: StorageKey, to: StorageKey, limit: number): Stretch {
  try {
    return stretchOf(reader, from, to, limit);
  } catch (error) {
    if (!(error instanceof DamagedRecordError)) throw error;
    const { key } = error;
    // Rows come in order, or the engine's own structure is broken, and no row can be trusted to be found.
    if (key < from) throw new ConcordError("damaged", "the stored records are out of order", { cause: error });
    if (key >= to) return stretchOf(reader, from, to, limit);
    const before = stretchOf(reader, from, key, limit);
    if (before.next !== undefined) return before;
    const next = key + "\0";
    // A change that is not yet durable may have replaced it.
    const value = valueAt(reader, key);
    if (value === "damaged") return { rows: before.rows, damaged: key, next };
    return { rows: value === undefined ? before.rows : [...before.rows, { key, value }], damaged: undefined, next };
  }
}

/** The value, or that it cannot be read. */
export function valueAt(reader: StorageReader, key: StorageKey): Uint8Array | "damaged" | undefined {
  try {
    return reader.get(key);
  } catch (error) {
    if (error instanceof DamagedRecordError) return "damaged";
    throw error;
  }
}

function stretchOf(reader: StorageReader, from: StorageKey, to: StorageKey, limit: number): Stretch {
  const { rows, more } = reader.range(from, to, limit);
  return { rows, damaged: undefined, next: more ? rows[rows.length - 1]!.key + "\0" : undefined };
}
