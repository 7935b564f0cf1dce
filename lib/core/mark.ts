/**
 * The mark of a key whose value a damaged disk has lost, as it is stored: the dots that were lost, and whether it is certain that they are
 * this key's. They need not be: where neither the value nor its row in the index can be read, a lost dot may be of any key that was hit.
 * Such dots are good enough to wait for. A deletion must not name them, or it would delete another key's value at every peer.
 */
import { ByteReader, ByteWriter, readDot, writeDot } from "./codec.ts";
import { includesDot, type Dot } from "./dot.ts";
import type { StorageKey, StorageReader } from "./ports.ts";
import { valueAt } from "./walk.ts";

/** Lost dots that one mark names, so that it fits a row; more siblings than a key may pile up by itself. */
const DOTS_MAX = 4096;

export interface Mark {
  /** None when nobody can tell. */
  readonly dots: readonly Dot[];
  /** They are this key's, each of them. */
  readonly isCertain: boolean;
}

/** Also what a mark says that cannot be read. */
export const UNKNOWN: Mark = { dots: [], isCertain: false };

export function readMark(reader: StorageReader, at: StorageKey): Mark | undefined {
  const value = valueAt(reader, at);
  return value === "damaged" ? UNKNOWN : value && decodeMark(value);
}

/** The dots of both, each once. */
export function joinMarks(one: Mark | undefined, other: Mark): Mark {
  if (one === undefined) return other;
  const dots = [...one.dots, ...other.dots.filter((dot) => !includesDot(one.dots, dot))];
  return { dots, isCertain: one.isCertain && other.isCertain };
}

export function encodeMark({ dots, isCertain }: Mark): Uint8Array {
  const named = dots.slice(0, DOTS_MAX);
  const writer = new ByteWriter();
  writer.varint(isCertain ? 1 : 0);
  writer.varint(named.length);
  for (const dot of named) writeDot(writer, dot);
  return writer.copy();
}

/** Throws `malformed`. */
export function decodeMark(value: Uint8Array): Mark {
  const reader = new ByteReader(value);
  const isCertain = reader.varint(1) === 1;
  const dots = Array.from({ length: reader.varint(DOTS_MAX) }, () => readDot(reader));
  reader.end();
  return { dots, isCertain };
}
