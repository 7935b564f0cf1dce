/**
 * What a key shows, chosen in ONE place, and one value as the faces of a node see it. A class, because it is made for every read: the token takes a hash to seal, most readers
 * never look at it, and a getter costs nothing on a prototype but microseconds in an object literal.
 */
import { tagOf } from "../core/condition.ts";
import type { DigestKey } from "../core/digest.ts";
import type { Dot } from "../core/dot.ts";
import { dotsOf, isExpired, pick, type Sibling, type Siblings } from "../core/entry.ts";
import type { KvValue } from "../core/kv.ts";
import type { EntryKey } from "../core/layout.ts";
import { encodeToken } from "../core/token.ts";

/**
 * The one value that a key shows; undefined when it shows none. Reads, listings and watchers all come through here, so a rule that
 * answers otherwise for some keys (a union of the siblings, a sum) has its place here and nowhere else.
 */
export function show(digestKey: DigestKey, key: EntryKey, siblings: Siblings, nowMs: number): KvView | undefined {
  const picked = pick(siblings, nowMs);
  return picked === undefined ? undefined : new KvView(digestKey, key, siblings, picked, nowMs);
}

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
  readonly #dot: Dot;
  readonly #nowMs: number;

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
    this.#dot = shown.dot;
    this.#nowMs = nowMs;
  }

  get token(): string {
    return encodeToken(this.#digestKey, this.#key, dotsOf(this.#held));
  }

  get tag(): string {
    const unexpired = this.#held.filter((sibling) => !isExpired(sibling, this.#nowMs));
    return tagOf(this.#digestKey, this.#key, dotsOf(unexpired));
  }

  get dot(): string {
    return `${Buffer.from(this.#dot.incarnation, "latin1").toString("hex")}:${this.#dot.counter}`;
  }
}
