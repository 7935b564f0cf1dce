/** Digests: sums modulo 2^128 against big integers, and hashes that depend on what they should and on nothing else. */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { contentHash, DEFAULT_DIGEST_KEY, Digest, DotHasher, dotHash, shortHash, storeHash } from "../../lib/core/digest.ts";
import { holds } from "../support/property.ts";

const KEY = DEFAULT_DIGEST_KEY;
const OTHER_KEY = Buffer.from("another-cluster!");
const MODULUS = 1n << 128n;

/** Many carries: bytes of all ones and of all zeros among the others. */
const hash128 = fc
  .array(fc.oneof(fc.constantFrom(0, 0xff), fc.nat({ max: 0xff })), { minLength: 16, maxLength: 16 })
  .map((bytes) => String.fromCharCode(...bytes));

function bigOf(hash: string): bigint {
  return [...hash].reduceRight((sum, char) => (sum << 8n) | BigInt(char.charCodeAt(0)), 0n);
}

test("add and subtract: sums modulo 2^128", (t) => {
  holds(
    t,
    fc.property(fc.array(fc.tuple(hash128, fc.boolean()), { maxLength: 12 }), (changes) => {
      const digest = new Digest();
      let sum = 0n;
      for (const [hash, plus] of changes) {
        if (plus) digest.add(hash);
        else digest.subtract(hash);
        sum = (sum + (plus ? bigOf(hash) : MODULUS - bigOf(hash))) % MODULUS;
      }
      assert.equal(bigOf(digest.toHash()), sum);
      assert.ok(Digest.fromHash(digest.toHash()).equals(digest));
    }),
    { numRuns: 500 },
  );
});

test("a sum does not depend on the order, and what is taken out again leaves nothing behind", (t) => {
  holds(
    t,
    fc.property(fc.array(hash128, { maxLength: 8 }), hash128, (hashes, extra) => {
      const [forward, backward] = [new Digest(), new Digest()];
      for (const hash of hashes) forward.add(hash);
      backward.add(extra);
      for (const hash of hashes.toReversed()) backward.add(hash);
      assert.equal(forward.equals(backward), bigOf(extra) === 0n);
      backward.subtract(extra);
      assert.ok(forward.equals(backward));
    }),
  );
});

test("a clone goes its own way", (t) => {
  const digest = Digest.fromHash("0123456789abcdef");
  const clone = digest.clone();
  clone.add("0123456789abcdef");
  t.false(clone.equals(digest));
  t.is(digest.toHash(), "0123456789abcdef");
  t.is(digest.toHex(), Buffer.from("0123456789abcdef").toString("hex"));
});

const hashOf = (key: string, contentType: string, text: string): string => contentHash(KEY, key, contentType, Buffer.from(text));

test("content: the order of a JSON value's properties and its escapes do not count", (t) => {
  t.is(hashOf("k", "", '{"a":1,"b":{"c":2,"d":3}}'), hashOf("k", "", '{"b":{"d":3,"c":2},"a":1}'));
  t.is(hashOf("k", "", '"\\u0041"'), hashOf("k", "", '"A"'));
  t.is(hashOf("k", "", '[{"a":1,"b":2}]'), hashOf("k", "", '[{"b":2,"a":1}]'));
});

test("content: whatever else differs counts", (t) => {
  const all = [
    hashOf("k", "", "[1,2]"),
    hashOf("k", "", "[2,1]"),
    hashOf("k", "", "1"),
    hashOf("k", "", "1.0"),
    hashOf("k2", "", "1"),
    hashOf("k", "text/plain", "1"),
    hashOf("k", "text/plai", "n1"),
    hashOf("kt", "ext/plain", "1"),
    hashOf("k", "text/plain", '{"a":1,"b":2}'),
    hashOf("k", "text/plain", '{"b":2,"a":1}'),
    hashOf("k", "", '{"a":1,"b":2}'),
    contentHash(OTHER_KEY, "k", "", Buffer.from("1")),
  ];
  t.is(new Set(all).size, all.length);
  t.true(all.every((hash) => hash.length === 16 && [...hash].every((char) => char.charCodeAt(0) < 256)));
});

test("content: short and long values, and keys of any byte, are hashed alike", (t) => {
  const long = "x".repeat(10_000);
  t.is(hashOf("k", "text/plain", long), hashOf("k", "text/plain", long));
  t.not(hashOf("k", "text/plain", long), hashOf("k", "text/plain", `${long}x`));
  t.not(hashOf("\xff\x00", "", "1"), hashOf("\xff\x01", "", "1"));
  t.not(hashOf("k", "é".repeat(127), "1"), hashOf("k", "é".repeat(126), "1"));
});

test("content: text that is no JSON is refused as malformed, with no other error and without going astray", (t) => {
  const braces = fc.string({ unit: fc.constantFrom("{", "}", "[", "]", '"', "\\", ":", ",", "a", "1", "u", " "), maxLength: 12 });
  holds(
    t,
    fc.property(braces, (text) => {
      try {
        assert.equal(hashOf("k", "", text), hashOf("k", "", text));
      } catch (error) {
        assert.equal((error as { code?: unknown }).code, "malformed", String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test("dots: both halves and the cluster's key count", (t) => {
  const all = [
    dotHash(KEY, "aaaaaaaa", 1),
    dotHash(KEY, "aaaaaaaa", 2),
    dotHash(KEY, "aaaaaaaa", 0x0100_0000),
    dotHash(KEY, "aaaaaaab", 1),
    dotHash(OTHER_KEY, "aaaaaaaa", 1),
  ];
  t.is(new Set(all).size, all.length);
});

test("dots: Chaskey-12's reference vector for twelve bytes, and sums of lanes that equal sums of hashes", (t) => {
  const key = Buffer.alloc(16);
  [0x833d3433, 0x009f389f, 0x2398e64f, 0x417acf39].forEach((word, i) => key.writeUInt32LE(word, 4 * i));
  const hasher = new DotHasher(key);
  hasher.hash("\x00\x01\x02\x03\x04\x05\x06\x07", 0x0b0a_0908);
  t.deepEqual([...hasher.lanes], [0xc040258c, 0xf25392c0, 0x9f6b5dc0, 0x35c3d638]);
  const [lanes, strings] = [new Digest(), new Digest()];
  for (let counter = 1; counter <= 300; counter++) {
    hasher.hash("incarna\xff", counter);
    if (counter % 3 === 0) lanes.subtractDot(hasher);
    else lanes.addDot(hasher);
    if (counter % 3 === 0) strings.subtract(dotHash(key, "incarna\xff", counter));
    else strings.add(dotHash(key, "incarna\xff", counter));
  }
  t.is(lanes.toHash(), strings.toHash());
});

test("short hashes have eight bytes and depend on key and content", (t) => {
  t.is(shortHash(KEY, Buffer.from("a")).length, 8);
  t.not(shortHash(KEY, Buffer.from("a")), shortHash(KEY, Buffer.from("b")));
  t.not(shortHash(KEY, Buffer.from("a")), shortHash(OTHER_KEY, Buffer.from("a")));
});

test("the store's hash: 40 hexadecimal digits of the root and the count, the same in every version of this program", (t) => {
  t.is(storeHash(new Digest(), 0), "1d65e7baca6740e5acffeab31d428c30a4d94004");
  t.not(storeHash(Digest.fromHash("0123456789abcdef"), 1), storeHash(Digest.fromHash("0123456789abcdef"), 2));
  t.not(storeHash(Digest.fromHash("0123456789abcdef"), 1), storeHash(Digest.fromHash("0123456789abcdeg"), 1));
  t.regex(storeHash(Digest.fromHash("0123456789abcdef"), 1), /^[0-9a-f]{40}$/);
});
