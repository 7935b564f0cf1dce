/**
 * One value as the faces of a node see it. A class, because it is made for every read: the token takes a hash to seal, most readers
 * never look at it, and a getter costs nothing on a prototype but microseconds in an object literal.
 */
import type { DigestKey } from "../core/digest.ts";
import { dotsOf, isExpired, type Sibling, type Siblings } from "../core/entry.ts";
import type { KvValue } from "../core/kv.ts";
import type { EntryKey } from "../core/layout.ts";
import { encodeToken } from "../core/token.ts";

export class KvView implements KvValue {
  readonly contentType: string;
  readonly value: Uint8Array;
  readonly siblings: number;
  readonly expiresAtMs: number;
  readonly writer: string;
  readonly writtenMs: number;
  readonly #digestKey: DigestKey;
  readonly #key: EntryKey;
  readonly #held: Siblings;

  constructor(digestKey: DigestKey, key: EntryKey, held: Siblings, shown: Sibling, nowMs: number) {
    this.contentType = shown.contentType;
    this.value = shown.value;
    this.siblings = held.length === 1 ? 1 : held.filter((sibling) => !isExpired(sibling, nowMs)).length;
    this.expiresAtMs = shown.expiresAtMs;
    this.writer = shown.writer;
    this.writtenMs = shown.stamp.ms;
    this.#digestKey = digestKey;
    this.#key = key;
    this.#held = held;
  }

  get token(): string {
    return encodeToken(this.#digestKey, this.#key, dotsOf(this.#held));
  }
}
