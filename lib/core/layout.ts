/**
 * Where things lie in the storage: one ordered key space, told apart by its first character.
 *
 *   m                      the store's own record: digests, counts, clock
 *   c <incarnation>        the context's ranges of one incarnation
 *   e <key>                the siblings of one key
 *   i <dot>                → the key that holds this live dot, in dot order: what a delta walks
 *   q <key>                the dots that this key lost to a damaged disk, until it holds something again (quarantine.ts)
 *   x <ms> <dot>           → the key whose sibling expires then, in time order: what the sweep walks
 *   s <key>                → the key, which holds more than one sibling: what a list of conflicts walks
 *
 * Everything but `e` and `q` can be computed from `e`, and is when the two disagree (store-open.ts).
 */
import { dotKey, type DotKey, type Incarnation } from "./dot.ts";
import type { StorageKey } from "./ports.ts";

/** A user's key as a byte string: its UTF-8 bytes, one a character. */
export type EntryKey = string;

export const META: StorageKey = "m";
export const CONTEXT = "c";
export const ENTRY = "e";
export const INDEX = "i";
export const MARK = "q";
export const EXPIRY = "x";
export const SEVERAL = "s";

/** The first key after all keys with this prefix; prefixes end in a character under 255. */
export function after(prefix: string): StorageKey {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

export function contextAt(incarnation: Incarnation): StorageKey {
  return CONTEXT + incarnation;
}

/** A change reads an entry and then writes it: composing that string anew, and hashing it anew, would cost as much as the look-up. */
export function entryAt(key: EntryKey): StorageKey {
  if (key !== lastKey) {
    lastKey = key;
    lastAt = ENTRY + key;
  }
  return lastAt;
}

let lastKey: EntryKey = "";
let lastAt: StorageKey = ENTRY;

export function severalAt(key: EntryKey): StorageKey {
  return SEVERAL + key;
}

export function markAt(key: EntryKey): StorageKey {
  return MARK + key;
}

export function indexAt(incarnation: Incarnation, counter: number): StorageKey {
  return INDEX + dotKey(incarnation, counter);
}

export function expiryAt(expiresAtMs: number, dot: DotKey): StorageKey {
  return EXPIRY + timeChars(expiresAtMs) + dot;
}

/** The first expiry key that is later than this time. */
export function expiryAfter(nowMs: number): StorageKey {
  return EXPIRY + timeChars(nowMs + 1);
}

/** The dot at the end of an index key or an expiry key. */
export function dotAtEnd(storageKey: StorageKey): DotKey {
  return storageKey.slice(-12);
}

/** The entry's key in the value of an index or expiry row. */
export function keyOfRow(value: Uint8Array): EntryKey {
  return (Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength)).toString("latin1");
}

export function keyToBytes(key: string): EntryKey {
  return ASCII.test(key) ? key : Buffer.from(key, "utf8").toString("latin1");
}

export function keyFromBytes(key: EntryKey): string {
  return ASCII.test(key) ? key : Buffer.from(key, "latin1").toString("utf8");
}

const ASCII = /^[\x00-\x7f]*$/;

/** Seven bytes, most significant first: enough for 2^53. */
function timeChars(ms: number): string {
  let chars = "";
  let rest = ms;
  for (let i = 0; i < 7; i++) {
    chars = String.fromCharCode(rest % 256) + chars;
    rest = Math.floor(rest / 256);
  }
  return chars;
}
