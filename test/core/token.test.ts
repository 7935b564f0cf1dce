/** Tokens: what goes in comes out, for the same key and cluster; nothing else is taken for one. */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { DEFAULT_DIGEST_KEY } from "../../lib/core/digest.ts";
import { dotKey, type Dot } from "../../lib/core/dot.ts";
import { decodeToken, encodeToken, TOKEN_DOTS_MAX } from "../../lib/core/token.ts";
import { holds } from "../support/property.ts";
import { dots } from "../support/stores.ts";

const KEY = DEFAULT_DIGEST_KEY;
const dot: fc.Arbitrary<Dot> = fc.record(
  { incarnation: fc.constantFrom("aaaaaaaa", "\xff\x00\x80bcdef"), counter: fc.integer({ min: 1, max: 0xffff_ffff }) },
  { noNullPrototype: true },
);
const key = fc.constantFrom("a", "ab", "\xc3\xa9", "k".repeat(1024));

test("a token gives its dots back, and needs no escaping in a URL or a header", (t) => {
  holds(
    t,
    fc.property(key, fc.array(dot, { maxLength: 20 }), (name, seen) => {
      const token = encodeToken(KEY, name, seen);
      assert.match(token, /^[A-Za-z0-9_-]+$/);
      assert.deepEqual(decodeToken(KEY, name, token), seen);
    }),
  );
});

test("a token of another key, of another cluster, or with any bit changed is refused", (t) => {
  const invalid = { code: "invalid" };
  holds(
    t,
    fc.property(key, fc.array(dot, { maxLength: 3 }), fc.nat(), fc.nat({ max: 7 }), (name, seen, place, bit) => {
      const token = encodeToken(KEY, name, seen);
      assert.throws(() => decodeToken(KEY, `${name}x`, token), invalid);
      assert.throws(() => decodeToken(KEY, `${name.slice(0, -1)}x`, token), invalid);
      assert.throws(() => decodeToken(Buffer.from("another-cluster!"), name, token), invalid);
      const bytes = Buffer.from(token, "base64url");
      bytes[place % bytes.length]! ^= 1 << bit;
      assert.throws(() => decodeToken(KEY, name, bytes.toString("base64url")), invalid);
      for (let length = 0; length < bytes.length; length++) {
        assert.throws(() => decodeToken(KEY, name, Buffer.from(token, "base64url").toString("base64url", 0, length)), invalid);
      }
    }),
  );
});

test("what never was a token is refused", (t) => {
  for (const text of ["", "x", "null", "{}", "\0", "é", "A".repeat(100_000)])
    t.throws(() => decodeToken(KEY, "a", text), { code: "invalid" });
});

test("a token cannot be cut anew into one of a key that begins with it", (t) => {
  const [first, second] = dots("abcdefgh", 0x61626364, 7) as [Dot, Dot];
  const longerKey = `k${first.incarnation}dcba`;
  const bytes = Buffer.from(encodeToken(KEY, "k", [first, second]), "base64url");
  t.is(Buffer.from(encodeToken(KEY, longerKey, [second]), "base64url").length, bytes.length - 12);
  t.throws(() => decodeToken(KEY, longerKey, bytes.subarray(12).toString("base64url")), { code: "invalid" });
});

test("dots beyond the limit are left out: their siblings stay", (t) => {
  const many = dots("aaaaaaaa", ...Array.from({ length: TOKEN_DOTS_MAX + 5 }, (_, i) => i + 1));
  const named = decodeToken(KEY, "a", encodeToken(KEY, "a", many));
  t.deepEqual(
    named.map((one) => dotKey(one.incarnation, one.counter)),
    many.slice(0, TOKEN_DOTS_MAX).map((one) => dotKey(one.incarnation, one.counter)),
  );
});
