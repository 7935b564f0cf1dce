/** Where things lie: prefixes that do not run into each other, orders that the walks rely on, and keys that survive the way to bytes. */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { compareDots, dotKey, dotOfKey } from "../../lib/core/dot.ts";
import {
  after,
  CONTEXT,
  contextAt,
  dotAtEnd,
  ENTRY,
  entryAt,
  EXPIRY,
  expiryAfter,
  expiryAt,
  INDEX,
  indexAt,
  keyFromBytes,
  keyToBytes,
  META,
} from "../../lib/core/layout.ts";
import { holds } from "../support/property.ts";

const bytes = (length: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array).toString("latin1"));
const dot = fc.record({ incarnation: bytes(8), counter: fc.integer({ min: 1, max: 0xffff_ffff }) }, { noNullPrototype: true });
/** As clients send them: any Unicode, no lone surrogates. */
const userKey = fc.string({ unit: "grapheme", maxLength: 20 });

test("user keys survive the way to bytes and back", (t) => {
  for (const key of ["a", "ключ", "鍵", "🔑", "é", "e\u0301", "\0", "a\u{10ffff}b"]) t.is(keyFromBytes(keyToBytes(key)), key);
  holds(
    t,
    fc.property(userKey, (key) => {
      const asBytes = keyToBytes(key);
      assert.equal(keyFromBytes(asBytes), key);
      assert.equal(asBytes.length, Buffer.byteLength(key));
      assert.ok([...asBytes].every((char) => char.charCodeAt(0) < 256));
    }),
  );
});

test("the order of keys as byte strings is the order of their UTF-8 bytes", (t) => {
  holds(
    t,
    fc.property(userKey, userKey, (a, b) => {
      const [one, other] = [keyToBytes(a), keyToBytes(b)];
      assert.equal(one < other ? -1 : one > other ? 1 : 0, Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
  );
});

test("a prefix in characters is a prefix in bytes", (t) => {
  holds(
    t,
    fc.property(userKey, userKey, (prefix, rest) => {
      assert.ok(keyToBytes(prefix + rest).startsWith(keyToBytes(prefix)));
      assert.ok(entryAt(keyToBytes(prefix + rest)) < after(entryAt(keyToBytes(prefix) + "a")) || rest !== "");
    }),
  );
});

test("every kind lies between its prefix and the end of it, and in nobody else's", (t) => {
  const rows = (key: string, one: { incarnation: string; counter: number }): [string, string][] => [
    [CONTEXT, contextAt(one.incarnation)],
    [ENTRY, entryAt(key)],
    [INDEX, indexAt(one.incarnation, one.counter)],
    [EXPIRY, expiryAt(one.counter, dotKey(one.incarnation, one.counter))],
  ];
  holds(
    t,
    fc.property(bytes(5), dot, (key, one) => {
      for (const [prefix, row] of rows(key, one)) {
        assert.ok(row > prefix && row < after(prefix));
        for (const other of [CONTEXT, ENTRY, INDEX, EXPIRY]) if (other !== prefix) assert.ok(row < other || row >= after(other));
        assert.notEqual(row, META);
      }
    }),
  );
});

test("the index is in the order of dots, and gives them back", (t) => {
  holds(
    t,
    fc.property(dot, dot, (a, b) => {
      const [rowA, rowB] = [indexAt(a.incarnation, a.counter), indexAt(b.incarnation, b.counter)];
      assert.equal(Math.sign(compareDots(a, b)), rowA < rowB ? -1 : rowA > rowB ? 1 : 0);
      assert.deepEqual(dotOfKey(dotAtEnd(rowA)), a);
    }),
  );
});

test("the expiry is in the order of time, up to and including the millisecond that is asked for", (t) => {
  const time = fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: Number.MAX_SAFE_INTEGER - 1 }));
  holds(
    t,
    fc.property(time, time, dot, (expiresAtMs, nowMs, one) => {
      const row = expiryAt(expiresAtMs, dotKey(one.incarnation, one.counter));
      assert.equal(row < expiryAfter(nowMs), expiresAtMs <= nowMs);
      assert.deepEqual(dotOfKey(dotAtEnd(row)), one);
    }),
  );
});
