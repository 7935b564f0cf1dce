/** Binary forms: what goes in comes out; what is cut off, padded or too large is refused as malformed before anything is allocated. */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import {
  ByteReader,
  ByteWriter,
  decodeSiblings,
  encodeSiblings,
  INCARNATIONS_MAX,
  NAME_BYTES_MAX,
  RANGES_MAX,
  readContext,
  readDot,
  SIBLINGS_MAX,
  writeContext,
  writeDot,
} from "../../lib/core/codec.ts";
import type { Context } from "../../lib/core/context.ts";
import type { Sibling } from "../../lib/core/entry.ts";
import { anyContext, anyDot, anySiblings, plain } from "../support/messages.ts";
import { holds } from "../support/property.ts";

const MALFORMED = { code: "malformed" };

function encodeContext(context: Context): Buffer {
  const writer = new ByteWriter();
  writeContext(writer, context);
  return writer.view();
}

function decodeContext(bytes: Uint8Array): Context {
  const reader = new ByteReader(bytes);
  const context = readContext(reader);
  reader.end();
  return context;
}

test("varints: round trip, the shortest form, and no other", (t) => {
  const edges = fc.constantFrom(0, 1, 127, 128, 16_383, 16_384, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER);
  holds(
    t,
    fc.property(fc.oneof(edges, fc.nat(), fc.nat({ max: Number.MAX_SAFE_INTEGER })), (value) => {
      const writer = new ByteWriter(1);
      writer.varint(value);
      assert.equal(writer.length, Math.max(1, Math.ceil(value.toString(2).length / 7)));
      const reader = new ByteReader(writer.view());
      assert.equal(reader.varint(value), value);
      reader.end();
      if (value > 0) assert.throws(() => new ByteReader(writer.view()).varint(value - 1), MALFORMED);
    }),
  );
  t.throws(() => new ByteReader(Buffer.from([0x80, 0])).varint(10), MALFORMED, "a leading zero");
  t.throws(() => new ByteReader(Buffer.alloc(9, 0xff)).varint(Number.MAX_SAFE_INTEGER), MALFORMED, "no end");
});

test("every kind of field: round trip, and a reader that refuses to read past the end", (t) => {
  const field = fc.oneof(
    fc.nat({ max: 255 }).map((value) => ({ kind: "uint8" as const, value })),
    fc.nat({ max: 2 ** 32 - 1 }).map((value) => ({ kind: "uint32" as const, value })),
    fc.nat({ max: 2 ** 48 - 1 }).map((value) => ({ kind: "uint48" as const, value })),
    fc.uint8Array({ maxLength: 300 }).map((value) => ({ kind: "bytes" as const, value: Buffer.from(value) })),
    fc.string({ unit: "grapheme", maxLength: 50 }).map((value) => ({ kind: "text" as const, value })),
  );
  holds(
    t,
    fc.property(fc.array(field, { minLength: 1, maxLength: 10 }), (fields) => {
      const writer = new ByteWriter(1);
      for (const one of fields) (writer[one.kind] as (value: unknown) => void).call(writer, one.value);
      const bytes = Buffer.from(writer.view());
      const readAll = (from: Uint8Array): unknown[] => {
        const reader = new ByteReader(from);
        const values = fields.map(({ kind }) => reader[kind](1000));
        reader.end();
        return values;
      };
      assert.deepEqual(
        readAll(bytes),
        fields.map(({ value }) => value),
      );
      for (let length = 0; length < bytes.length; length++) assert.throws(() => readAll(bytes.subarray(0, length)), MALFORMED);
      assert.throws(() => readAll(Buffer.concat([bytes, Buffer.alloc(1)])), MALFORMED);
    }),
  );
});

test("a length that is over the limit or over what is left is refused before it is believed", (t) => {
  const claim = (length: number): Buffer => {
    const writer = new ByteWriter();
    writer.varint(length);
    writer.raw(Buffer.from("abc"));
    return writer.view();
  };
  for (const length of [4, 1000, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
    t.throws(() => new ByteReader(claim(length)).bytes(Number.MAX_SAFE_INTEGER), MALFORMED);
    t.throws(() => new ByteReader(claim(length)).text(Number.MAX_SAFE_INTEGER), MALFORMED);
  }
  t.throws(() => new ByteReader(claim(3)).bytes(2), MALFORMED);
});

test("text must be UTF-8, and a byte order mark is a character like others", (t) => {
  const read = (bytes: number[]): string => new ByteReader(Buffer.from([bytes.length, ...bytes])).text(NAME_BYTES_MAX);
  t.throws(() => read([0xff]), MALFORMED);
  t.throws(() => read([0xed, 0xa0, 0x80]), MALFORMED, "half of a surrogate pair");
  t.is(read([0xef, 0xbb, 0xbf, 0x61]), "\ufeffa");
});

test("dots: round trip; there is no dot 0", (t) => {
  holds(
    t,
    fc.property(anyDot, (dot) => {
      const writer = new ByteWriter();
      writeDot(writer, dot);
      assert.equal(writer.length, 12);
      assert.deepEqual(readDot(new ByteReader(writer.view())), dot);
    }),
  );
  t.throws(() => readDot(new ByteReader(Buffer.alloc(12))), MALFORMED);
});

test("contexts: round trip, and no prefix of one is one", (t) => {
  holds(
    t,
    fc.property(anyContext, (context) => {
      const bytes = encodeContext(context);
      const back = decodeContext(bytes);
      assert.ok(back.equals(context));
      assert.equal(back.exceptionCount, context.exceptionCount);
      assert.deepEqual([...back.incarnations()], [...context.incarnations()]);
      for (let length = 0; length < bytes.length; length++) assert.throws(() => decodeContext(bytes.subarray(0, length)), MALFORMED);
    }),
  );
});

test("contexts: too many incarnations or ranges, none at all, the same twice, and counters over 32 bits are refused", (t) => {
  const write = (compose: (writer: ByteWriter) => void): Buffer => {
    const writer = new ByteWriter();
    compose(writer);
    return writer.view();
  };
  const one = (writer: ByteWriter, ...numbers: number[]): void => {
    writer.fixedChars("aaaaaaaa");
    for (const number of numbers) writer.varint(number);
  };
  const refused = {
    "incarnations over the limit": write((w) => w.varint(INCARNATIONS_MAX + 1)),
    "incarnations that are not there": write((w) => w.varint(INCARNATIONS_MAX)),
    "ranges over the limit": write((w) => (w.varint(1), one(w, RANGES_MAX + 1))),
    "ranges that are not there": write((w) => (w.varint(1), one(w, RANGES_MAX))),
    "an incarnation without dots": write((w) => (w.varint(1), one(w, 0))),
    "the same incarnation twice": write((w) => (w.varint(2), one(w, 1, 0, 0), one(w, 1, 5, 0))),
    "a counter over 32 bits": write((w) => (w.varint(1), one(w, 1, 0, 0xffff_ffff))),
    "a second range beyond 32 bits": write((w) => (w.varint(1), one(w, 2, 0, 0xffff_fffd, 0, 5))),
  };
  for (const [what, bytes] of Object.entries(refused)) t.throws(() => decodeContext(bytes), MALFORMED, what);
  t.notThrows(() => decodeContext(write((w) => (w.varint(1), one(w, 1, 0, 0xffff_fffe)))));
});

test("siblings: round trip, and no prefix of a record is one", (t) => {
  holds(
    t,
    fc.property(anySiblings, (siblings) => {
      const bytes = encodeSiblings(siblings);
      assert.deepEqual(plain(decodeSiblings(bytes)), plain(siblings));
      assert.deepEqual(encodeSiblings(decodeSiblings(bytes)), bytes);
      for (let length = 0; length < bytes.length; length++) assert.throws(() => decodeSiblings(bytes.subarray(0, length)), MALFORMED);
    }),
  );
});

test("siblings: bytes with any bit flipped are read as something or refused as malformed, and nothing else happens", (t) => {
  holds(
    t,
    fc.property(anySiblings, fc.nat(), fc.nat({ max: 7 }), (siblings, place, bit) => {
      const bytes = Buffer.from(encodeSiblings(siblings));
      bytes[place % bytes.length]! ^= 1 << bit;
      try {
        decodeSiblings(bytes);
      } catch (error) {
        assert.equal((error as { code?: unknown }).code, "malformed", String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test("siblings: the order of dots is the only order, and there is a most", (t) => {
  const sibling = (counter: number): Sibling => ({
    dot: { incarnation: "aaaaaaaa", counter },
    stamp: { ms: 1, tick: 0 },
    expiresAtMs: 0,
    writer: "a",
    contentType: "",
    value: Buffer.from("1"),
    digest: "0123456789abcdef",
  });
  t.throws(() => decodeSiblings(encodeSiblings([sibling(2), sibling(1)])), MALFORMED);
  t.throws(() => decodeSiblings(encodeSiblings([sibling(1), sibling(1)])), MALFORMED);
  const most = Array.from({ length: SIBLINGS_MAX }, (_, i) => sibling(i + 1));
  t.is(decodeSiblings(encodeSiblings(most)).length, SIBLINGS_MAX);
  t.throws(() => decodeSiblings(encodeSiblings([...most, sibling(SIBLINGS_MAX + 1)])), MALFORMED);
});
