/**
 * What the tree says of the journal before it: up to which record it holds everything, and the salt of the records that follow.
 *
 * It stands twice, because without it nobody could tell which records the tree still lacks; a bit that flips in one leaves the other.
 */
import { ConcordError } from "../core/errors.ts";
import type { StorageChange, StorageKey } from "../core/ports.ts";
import type { Salt } from "./journal-record.ts";

export interface Mark {
  readonly number: number;
  readonly salt: Salt;
}

/** No key of the store begins like this (core/layout.ts). */
export const MARKS: readonly StorageKey[] = ["\xffjournal 1", "\xffjournal 2"];

/** The number as a double, then the salt. */
const MARK_BYTES = 16;

export function encodeMark({ number, salt }: Mark): StorageChange[] {
  const value = Buffer.alloc(MARK_BYTES);
  value.writeDoubleLE(number, 0);
  value.writeUInt32LE(salt[0], 8);
  value.writeUInt32LE(salt[1], 12);
  return MARKS.map((key) => ({ key, value }));
}

/** Throws ConcordError `damaged`. */
export function decodeMark(value: Uint8Array): Mark {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const number = bytes.length === MARK_BYTES ? bytes.readDoubleLE(0) : NaN;
  if (!Number.isSafeInteger(number) || number < 0) throw new ConcordError("damaged", "the mark of the journal is none");
  return { number, salt: [bytes.readUInt32LE(8), bytes.readUInt32LE(12)] };
}
