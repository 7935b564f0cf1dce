/**
 * Digests: what lets two stores of any size be compared by a few bytes.
 *
 * A digest of a set is the SUM of its elements' hashes modulo 2^128 (AdHash, Bellare and Micciancio, 1997). A sum needs no
 * order, an element can be taken out again, and the digest of a union of disjoint sets is the sum of theirs: so each write updates
 * it in constant time, and "what I would have after this repair" is arithmetic. The element hash of a content is SHA-256 over the
 * cluster's key and the content, cut to 128 bits; that of a dot is Chaskey-12 (ISO/IEC 29192-6) under the same key, which is as
 * hard to guess without it and takes a tenth of the time for twelve bytes. Without the key, nobody can search for sets with equal sums.
 *
 * Two digests describe a store: `root` sums the contents (key, content type, canonical value), so that nodes that hold the same data
 * have the same root however the data came about; `dotRoot` sums the dots of the live siblings, so that equality of two
 * dotRoots means that two replicas hold the very same writes.
 *
 * This is the only importer of object-hash, which makes the one hash that people see.
 */
import { hash } from "node:crypto";
import objectHash from "object-hash";
import type { Incarnation } from "./dot.ts";
import { ConcordError } from "./errors.ts";
import { canonicalJson, validateJson } from "./json.ts";

/** Sixteen bytes, one a character. */
export type Hash128 = string;

/** Sixteen secret bytes shared by a cluster. Nodes with different keys never find their digests equal. */
export type DigestKey = Uint8Array;

/** Used when a cluster has no key: the digests then guard against accidents, not against an attacker. */
export const DEFAULT_DIGEST_KEY: DigestKey = Buffer.from("concord-no-key-1", "latin1");

export class Digest {
  /** Least significant lane first. */
  readonly #lanes = new Uint32Array(4);

  static fromHash(hash128: Hash128): Digest {
    const digest = new Digest();
    digest.add(hash128);
    return digest;
  }

  add(hash128: Hash128): void {
    let carry = 0;
    for (let lane = 0; lane < 4; lane++) {
      const sum = this.#lanes[lane]! + laneOf(hash128, lane) + carry;
      this.#lanes[lane] = sum;
      carry = sum > 0xffff_ffff ? 1 : 0;
    }
  }

  addDot(hasher: DotHasher): void {
    const sums = hasher.lanes;
    let carry = 0;
    for (let lane = 0; lane < 4; lane++) {
      const sum = this.#lanes[lane]! + sums[lane]! + carry;
      this.#lanes[lane] = sum;
      carry = sum > 0xffff_ffff ? 1 : 0;
    }
  }

  subtractDot(hasher: DotHasher): void {
    const sums = hasher.lanes;
    let borrow = 0;
    for (let lane = 0; lane < 4; lane++) {
      const difference = this.#lanes[lane]! - sums[lane]! - borrow;
      this.#lanes[lane] = difference;
      borrow = difference < 0 ? 1 : 0;
    }
  }

  subtract(hash128: Hash128): void {
    let borrow = 0;
    for (let lane = 0; lane < 4; lane++) {
      const difference = this.#lanes[lane]! - laneOf(hash128, lane) - borrow;
      this.#lanes[lane] = difference;
      borrow = difference < 0 ? 1 : 0;
    }
  }

  clone(): Digest {
    const copy = new Digest();
    copy.#lanes.set(this.#lanes);
    return copy;
  }

  get isZero(): boolean {
    return this.#lanes.every((lane) => lane === 0);
  }

  equals(other: Digest): boolean {
    return this.#lanes.every((lane, i) => lane === other.#lanes[i]);
  }

  toHash(): Hash128 {
    return charsOfLanes(this.#lanes);
  }

  toHex(): string {
    return Buffer.from(this.toHash(), "latin1").toString("hex");
  }
}

/** The hash of one sibling's content. `key` is the entry's key as a byte string. Throws `malformed` for text that is no JSON. */
export function contentHash(digestKey: DigestKey, key: string, contentType: string, value: Uint8Array): Hash128 {
  const canonical = contentType === "" ? canonicalBytes(value) : value;
  const size = 24 + key.length + 3 * contentType.length + canonical.length;
  const buffer = size <= scratch.length ? scratch : Buffer.allocUnsafe(size);
  buffer.set(digestKey, 0);
  buffer[16] = CONTENT_TAG;
  buffer.writeUInt16LE(key.length, 17);
  let end = 19 + buffer.write(key, 19, "latin1");
  const typeBytes = contentType === "" ? 0 : buffer.write(contentType, end + 2, "utf8");
  buffer.writeUInt16LE(typeBytes, end);
  end += 2 + typeBytes;
  buffer.set(canonical, end);
  return hash("sha256", beginning(buffer, end + canonical.length), "binary").slice(0, 16);
}

/** The hash of one dot. */
export function dotHash(digestKey: DigestKey, incarnation: Incarnation, counter: number): Hash128 {
  if (sharedHasher?.digestKey !== digestKey) sharedHasher = new DotHasher(digestKey);
  sharedHasher.hash(incarnation, counter);
  return charsOfLanes(sharedHasher.lanes);
}

/** Hashes dots into four lanes of its own, least significant first, so that a sum takes them without a string in between. */
export class DotHasher {
  readonly digestKey: DigestKey;
  readonly lanes = new Uint32Array(4);
  readonly #first: Int32Array;
  readonly #last: Int32Array;

  constructor(digestKey: DigestKey) {
    const view = new DataView(digestKey.buffer, digestKey.byteOffset, digestKey.byteLength);
    const key = Int32Array.from([0, 4, 8, 12], (at) => view.getInt32(at, true));
    this.digestKey = digestKey;
    // A message that does not fill its block ends in a 1 and takes the second subkey.
    this.#last = doubled(doubled(key));
    this.#first = this.#last.map((lane, i) => lane ^ key[i]!);
    this.#first[3]! ^= 1;
  }

  hash(incarnation: Incarnation, counter: number): void {
    const first = this.#first;
    const last = this.#last;
    let a = laneOf(incarnation, 0) ^ first[0]!;
    let b = laneOf(incarnation, 1) ^ first[1]!;
    let c = counter ^ first[2]!;
    let d = first[3]!;
    for (let round = 0; round < CHASKEY_ROUNDS; round++) {
      a = (a + b) | 0;
      b = ((b << 5) | (b >>> 27)) ^ a;
      a = (a << 16) | (a >>> 16);
      c = (c + d) | 0;
      d = ((d << 8) | (d >>> 24)) ^ c;
      a = (a + d) | 0;
      d = ((d << 13) | (d >>> 19)) ^ a;
      c = (c + b) | 0;
      b = ((b << 7) | (b >>> 25)) ^ c;
      c = (c << 16) | (c >>> 16);
    }
    this.lanes[0] = a ^ last[0]!;
    this.lanes[1] = b ^ last[1]!;
    this.lanes[2] = c ^ last[2]!;
    this.lanes[3] = d ^ last[3]!;
  }
}

const CHASKEY_ROUNDS = 12;
let sharedHasher: DotHasher | undefined;

/** Times x in the field of 2^128 elements, as Chaskey derives its subkeys. */
function doubled(key: Int32Array): Int32Array {
  const [a = 0, b = 0, c = 0, d = 0] = key;
  return Int32Array.of((a << 1) ^ (d < 0 ? 0x87 : 0), (b << 1) | (a >>> 31), (c << 1) | (b >>> 31), (d << 1) | (c >>> 31));
}

function charsOfLanes(lanes: Uint32Array): Hash128 {
  return Buffer.from(lanes.buffer, lanes.byteOffset, lanes.byteLength).toString("latin1");
}

/** The first eight bytes of the keyed hash of some bytes: to compare contexts and to seal tokens. */
export function shortHash(digestKey: DigestKey, bytes: Uint8Array): string {
  const size = 17 + bytes.length;
  const buffer = size <= scratch.length ? scratch : Buffer.allocUnsafe(size);
  buffer.set(digestKey, 0);
  buffer[16] = SHORT_TAG;
  buffer.set(bytes, 17);
  return hash("sha256", buffer.subarray(0, size), "binary").slice(0, 8);
}

/** The one hash that people compare: over the store's contents alone, so that equal data has equal hashes. 40 hexadecimal digits. */
export function storeHash(root: Digest, count: number): string {
  return objectHash({ root: root.toHex(), count }, { respectType: false });
}

const CONTENT_TAG = 1;
const SHORT_TAG = 3;
const scratch = Buffer.allocUnsafe(4096);

/** A view costs as much as a fifth of the hash; the first so many bytes are kept as one when they were asked for once. */
const VIEWS_TO = 512;
const views = new Array<Buffer | undefined>(VIEWS_TO).fill(undefined);

function beginning(buffer: Buffer, length: number): Buffer {
  if (buffer !== scratch || length >= VIEWS_TO) return buffer.subarray(0, length);
  return (views[length] ??= scratch.subarray(0, length));
}

const OPENING_BRACE = 0x7b;
const BACKSLASH = 0x5c;

/** JSON text without an object and without an escape is its own canonical form, so that most values are hashed as they are. */
function canonicalBytes(json: Uint8Array): Uint8Array {
  if (isCanonical(json)) return json;
  try {
    return Buffer.from(canonicalJson(minified(Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString("utf8"))), "utf8");
  } catch (cause) {
    throw new ConcordError("malformed", "a value that is said to be JSON and is not", { cause });
  }
}

/**
 * White space outside of strings stands at an end or beside one of these marks. A string may look the same, and is then walked for
 * nothing; no space that counts is ever missed.
 */
const SPACED = /^[ \t\n\r]|[ \t\n\r]$|[[{:,][ \t\n\r]|[ \t\n\r][\]}:,]/;

/** What was written as bytes may have spaces between its parts (api/v1), and is stored and handed on with them. */
function minified(text: string): string {
  if (!SPACED.test(text)) return text;
  const checked = validateJson(text);
  if (!checked.ok) throw new Error(checked.problem);
  return checked.text;
}

/** Short values are searched here, because a native call costs as much as some hundred bytes. */
function isCanonical(json: Uint8Array): boolean {
  if (json.length > 128) return !json.includes(OPENING_BRACE) && !json.includes(BACKSLASH);
  for (let i = 0; i < json.length; i++) if (json[i] === OPENING_BRACE || json[i] === BACKSLASH) return false;
  return true;
}

function laneOf(hash128: Hash128, lane: number): number {
  const at = 4 * lane;
  return (
    (hash128.charCodeAt(at) |
      (hash128.charCodeAt(at + 1) << 8) |
      (hash128.charCodeAt(at + 2) << 16) |
      (hash128.charCodeAt(at + 3) << 24)) >>>
    0
  );
}
