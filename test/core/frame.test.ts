/**
 * Frames: every kind of message survives the way to bytes and back; every frame that is cut off or has a bit flipped is refused; and
 * garbage, also under a checksum that matches, never throws past the border and never costs more memory than its own size.
 */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { ByteWriter } from "../../lib/core/codec.ts";
import { Context } from "../../lib/core/context.ts";
import { decodeFrame, decodeSteps, encodeFrame, encodeSteps, FRAME_BYTES_MAX, inTurns } from "../../lib/core/frame.ts";
import { PROTOCOL_VERSION, type Message } from "../../lib/core/message.ts";
import { framed } from "../support/frames.ts";
import { anyMessage, plain } from "../support/messages.ts";
import { holds } from "../support/property.ts";

const KINDS: readonly Message["kind"][] = [
  ...(["ping", "pong", "push", "push-ack", "repair-request", "repair-answer"] as const),
  ...(["read-request", "read-answer"] as const),
];

function problemOf(frame: Uint8Array): string {
  const decoded = decodeFrame(frame);
  return decoded.ok ? "accepted" : decoded.problem;
}

test("every kind of message: round trip", (t) => {
  const met = new Set<string>();
  holds(
    t,
    fc.property(anyMessage, (message) => {
      met.add(message.kind);
      const decoded = decodeFrame(encodeFrame(message));
      assert.ok(decoded.ok, decoded.ok ? "" : decoded.problem);
      assert.deepEqual(plain(decoded.message), plain(message));
    }),
    { numRuns: 300 },
  );
  t.deepEqual([...met].sort(), [...KINDS].sort());
});

test("a frame of many entries is made and read in several turns, and is the same as in one", async (t) => {
  const entries = Array.from({ length: 2_000 }, (_, n) => ({ key: `k${n}`, record: Buffer.from(`${n}`), gone: [] }));
  const push: Message = { kind: "push", exchange: 1, entries, context: new Context() };
  const turns: number[] = [];
  const counted = async <T>(steps: Parameters<typeof inTurns<T>>[0]): Promise<T> => {
    let count = 1;
    const done = await inTurns(steps, (turn) => {
      count++;
      setImmediate(turn);
    });
    turns.push(count);
    return done;
  };
  const frame = await counted(encodeSteps(push));
  t.deepEqual(frame, encodeFrame(push));
  const decoded = await counted(decodeSteps(frame));
  t.true(decoded.ok && decoded.message.kind === "push" && decoded.message.entries.length === 2_000);
  t.deepEqual(turns, [4, 4]);
  frame[frame.length - 20]! ^= 1;
  t.false((await inTurns(decodeSteps(frame), setImmediate)).ok);
});

test("every truncated frame is refused", (t) => {
  holds(
    t,
    fc.property(anyMessage, (message) => {
      const frame = encodeFrame(message);
      for (let length = 0; length < frame.length; length++)
        assert.equal(decodeFrame(frame.subarray(0, length)).ok, false, `${length} bytes`);
      assert.equal(decodeFrame(Buffer.concat([frame, Buffer.alloc(1)])).ok, false, "one byte more");
    }),
    { numRuns: 50 },
  );
});

test("every frame with one bit flipped is refused", (t) => {
  holds(
    t,
    fc.property(anyMessage, (message) => {
      const frame = Buffer.from(encodeFrame(message));
      for (let bit = 0; bit < 8 * frame.length; bit++) {
        frame[bit >> 3]! ^= 1 << (bit & 7);
        assert.equal(decodeFrame(frame).ok, false, `bit ${bit}`);
        frame[bit >> 3]! ^= 1 << (bit & 7);
      }
    }),
    { numRuns: 30 },
  );
});

test("damage under a checksum that matches: read as something or refused, and nothing else happens", (t) => {
  holds(
    t,
    fc.property(anyMessage, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 }), (message, damages) => {
      const frame = encodeFrame(message);
      const body = Buffer.from(frame.subarray(7, -4));
      for (const [place, byte] of damages) if (body.length > 0) body[place % body.length] = byte;
      decodeFrame(framed(KINDS.indexOf(message.kind), body));
      decodeFrame(framed(KINDS.indexOf(message.kind), body.subarray(0, damages[0]![0] % (body.length + 1))));
    }),
    { numRuns: 1000 },
  );
});

test("random bytes, with and without a checksum that matches: refused or read, and nothing else happens", (t) => {
  const small = fc.uint8Array({ maxLength: 200 });
  const lowBytes = fc.array(fc.nat({ max: 4 }), { maxLength: 200 }).map((bytes) => Uint8Array.from(bytes));
  holds(
    t,
    fc.property(fc.nat({ max: 6 }), fc.oneof(small, lowBytes), (kind, body) => {
      decodeFrame(framed(kind, body));
      assert.equal(decodeFrame(body).ok, false);
    }),
    { numRuns: 2000 },
  );
});

test("a frame says why it is refused: too short, too long, not one, another version, an unknown kind", (t) => {
  t.regex(problemOf(Buffer.alloc(0)), /a frame of 0 bytes/);
  t.regex(problemOf(Buffer.alloc(FRAME_BYTES_MAX + 1)), /where 16777216 are the most/);
  t.regex(problemOf(framed(3, Buffer.from([1]), PROTOCOL_VERSION, 0x7b)), /does not begin as one/);
  t.regex(problemOf(framed(3, Buffer.from([1]), 9)), /protocol version 9; this node speaks 2/);
  t.regex(problemOf(framed(KINDS.length, Buffer.alloc(0))), /unknown kind/);
  t.regex(problemOf(framed(3, Buffer.from([2]))), /neither 0 nor 1/);
  t.regex(problemOf(framed(3, Buffer.from([1, 0]))), /1 bytes too many/);
  t.is(problemOf(framed(3, Buffer.from([1]))), "accepted");
});

test("an entry says that dots are gone only when it names some, so that no two frames mean the same", (t) => {
  const entry = (gone: 0 | 1, ...rest: number[]): Buffer => {
    const writer = new ByteWriter();
    upToKey(gone)(writer);
    writer.raw(Buffer.from(rest));
    return writer.view();
  };
  t.is(problemOf(framed(2, entry(0, 0))), "accepted");
  t.regex(problemOf(framed(2, entry(1, 0, 0))), /names none/);
});

/** A body of the fields that come before a count, the count, and a few bytes that are not what it promises. */
function claim(before: (writer: ByteWriter) => void, count: number): Buffer {
  const writer = new ByteWriter();
  before(writer);
  writer.varint(count);
  writer.raw(Buffer.alloc(64));
  return writer.view();
}

const emptyContext = (writer: ByteWriter): void => writer.varint(0);
const oneIncarnation = (writer: ByteWriter): void => (writer.varint(1), writer.fixedChars("aaaaaaaa"));
/** An entry of the key k, with or without the bit that says that dots are gone. */
const upToKey =
  (gone: 0 | 1) =>
  (writer: ByteWriter): void => (emptyContext(writer), writer.varint(1), writer.varint(2 + gone), writer.fixedChars("k"));
const counted: readonly (readonly [what: string, kind: number, before: (writer: ByteWriter) => void])[] = [
  ["incarnations", 2, () => undefined],
  ["ranges", 2, oneIncarnation],
  ["entries", 2, emptyContext],
  ["bytes of a key", 2, (writer) => (emptyContext(writer), writer.varint(1))],
  ["gone dots", 2, upToKey(1)],
  ["bytes of a record", 2, upToKey(0)],
  ["incarnations of a request", 4, (writer) => (writer.uint8(0), writer.varint(1), writer.varint(1))],
  ["dots that are wanted", 4, (writer) => (writer.uint8(2), writer.varint(1), writer.varint(1))],
  ["ranges of dots that are wanted", 4, (writer) => (writer.uint8(2), writer.varint(1), writer.varint(1), oneIncarnation(writer))],
  ["bytes of a name", 0, () => undefined],
];

for (const [what, kind, before] of counted) {
  test(`a huge count is refused before anything is allocated: ${what}`, (t) => {
    const used = (): number => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
    for (const count of [65, 5000, 65_535, 1 << 20, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      const frame = framed(kind, claim(before, count));
      const usedBefore = used();
      t.regex(problemOf(frame), /malformed/, `${count}`);
      t.true(used() - usedBefore < 2 ** 20, `${count} took ${used() - usedBefore} bytes`);
    }
  });
}

test("a run of dots may stand for thousands of millions: what is wanted, missing or to be dropped is bounded by its dots", (t) => {
  const run = (from: number, to: number): Context => {
    const dots = new Context();
    dots.addRange("aaaaaaaa", from, to);
    dots.addRange("bbbbbbbb", from, from);
    return dots;
  };
  const seen = new Context();
  const request = { kind: "repair-request", exchange: 1, bytesMax: 1, count: 0, cells: 0, seen } as const;
  const summary = { root: "r".repeat(16), dotRoot: "d".repeat(16), count: 0, context: "c".repeat(8) };
  const answer = { kind: "repair-answer", exchange: 1, entries: [], covered: seen, more: false, namesDeletions: true, summary } as const;
  const whole = { from: "nothing", gained: seen, lacked: seen } as const;
  const found = (missing: Context, drops: Context): Message => ({
    ...answer,
    context: whole,
    found: { result: "decoded", missing, drops },
  });
  const all: readonly (readonly [number, (dots: Context) => Message])[] = [
    [4_096, (wanted) => ({ ...request, wanted })],
    [65_536, (missing) => found(missing, seen)],
    [65_536, (drops) => found(seen, drops)],
  ];
  for (const [most, made] of all) {
    t.is(problemOf(encodeFrame(made(run(1, most - 1)))), "accepted");
    t.regex(problemOf(encodeFrame(made(run(1, most)))), /malformed/);
    t.regex(problemOf(encodeFrame(made(run(1, 0xffff_ffff)))), new RegExp(`over ${most} dots`));
  }
});

test("the parts of a context that is told against another, and what a page covers, have few gaps", (t) => {
  const gaps = (count: number): Context => {
    const dots = new Context();
    for (let i = 0; i <= count; i++) dots.addRange("aaaaaaaa", 2 * i + 1, 2 * i + 1);
    return dots;
  };
  const summary = { root: "r".repeat(16), dotRoot: "d".repeat(16), count: 0, context: "c".repeat(8) };
  const answer = { kind: "repair-answer", exchange: 1, entries: [], more: true, namesDeletions: true, summary } as const;
  const problem = (gained: number, lacked: number, covered: number): string =>
    problemOf(encodeFrame({ ...answer, covered: gaps(covered), context: { from: "seen", gained: gaps(gained), lacked: gaps(lacked) } }));
  t.is(problem(65_536, 65_536, 65_536), "accepted");
  t.regex(problem(65_537, 0, 0), /a context of over 65536 exceptions/);
  t.regex(problem(0, 65_537, 0), /a context of over 65536 exceptions/);
  t.regex(problem(0, 0, 65_537), /a context of over 65536 exceptions/);
});

test("what a frame's entries hold are views of the frame, not copies", (t) => {
  const record = Buffer.alloc(100_000, 7);
  const push: Message = { kind: "push", exchange: 1, context: new Context(), entries: [{ key: "k", record, gone: [] }] };
  const frame = encodeFrame(push);
  const decoded = decodeFrame(frame);
  t.true(decoded.ok && decoded.message.kind === "push" && decoded.message.entries[0]!.record.buffer === frame.buffer);
});
