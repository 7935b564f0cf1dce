/** Dots: their order as keys is their order as dots, and nothing of them is lost on the way to a key and back. */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { DotSource } from "../../lib/core/dot-source.ts";
import { Context } from "../../lib/core/context.ts";
import {
  compareDots,
  COUNTER_MAX,
  dotKey,
  dotOfKey,
  formatDot,
  includesDot,
  incarnationLow32,
  newIncarnation,
  sameDot,
  type Dot,
} from "../../lib/core/dot.ts";
import { createLoadedRandom, createRandom } from "../support/chance.ts";
import { holds } from "../support/property.ts";

const incarnations = fc
  .uint8Array({ minLength: 8, maxLength: 8 })
  .map((bytes) => Buffer.from(bytes).toString("latin1"))
  .filter((incarnation) => incarnation.length === 8);
const counters = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: COUNTER_MAX }), fc.constant(COUNTER_MAX));
const anyDot: fc.Arbitrary<Dot> = fc.record({ incarnation: incarnations, counter: counters }, { noNullPrototype: true });

test("a dot's key gives the dot back, in twelve characters of one byte each", (t) => {
  holds(
    t,
    fc.property(anyDot, (dot) => {
      const key = dotKey(dot.incarnation, dot.counter);
      assert.equal(key.length, 12);
      assert.ok([...key].every((letter) => letter.charCodeAt(0) < 256));
      assert.deepEqual(dotOfKey(key), dot);
    }),
  );
});

test("keys are in the order of their dots", (t) => {
  holds(
    t,
    fc.property(anyDot, anyDot, fc.boolean(), (a, other, sameIncarnation) => {
      const b = sameIncarnation ? { ...other, incarnation: a.incarnation } : other;
      const [keyA, keyB] = [dotKey(a.incarnation, a.counter), dotKey(b.incarnation, b.counter)];
      assert.equal(Math.sign(compareDots(a, b)), keyA < keyB ? -1 : keyA > keyB ? 1 : 0);
      assert.equal(Math.sign(compareDots(b, a)) + Math.sign(compareDots(a, b)), 0);
      assert.equal(sameDot(a, b), keyA === keyB);
    }),
  );
});

test("an incarnation is two draws, the low half the second", (t) => {
  const incarnation = newIncarnation(createLoadedRandom([0x00c0ffee, 0xdeadbeef]));
  t.is(formatDot({ incarnation, counter: 7 }), "00c0ffeedeadbeef:7");
  t.is(incarnationLow32(incarnation), 0xdeadbeef);
});

test("a dot is found among others by both its halves", (t) => {
  const dots = [
    { incarnation: "aaaaaaaa", counter: 1 },
    { incarnation: "bbbbbbbb", counter: 2 },
  ];
  t.true(includesDot(dots, { incarnation: "bbbbbbbb", counter: 2 }));
  t.false(includesDot(dots, { incarnation: "bbbbbbbb", counter: 1 }));
  t.false(includesDot(dots, { incarnation: "aaaaaaaa", counter: 2 }));
});

test("a source counts from 1 within one incarnation, which it takes at the first dot and not before", (t) => {
  const source = new DotSource(createRandom(1));
  t.is(source.incarnation, undefined);
  const issued = [source.next(new Context()), source.next(new Context()), source.next(new Context())];
  t.deepEqual(
    issued.map(({ counter }) => counter),
    [1, 2, 3],
  );
  t.deepEqual(new Set(issued.map(({ incarnation }) => incarnation)), new Set([source.incarnation]));
  t.is(source.counter, 3);
});

test("a fresh incarnation differs in its low half from all that were ever seen", (t) => {
  const seen = Context.of([{ incarnation: newIncarnation(createLoadedRandom([1, 0x77])), counter: 1 }]);
  const source = new DotSource(createLoadedRandom([2, 0x77, 3, 0x77, 4, 0x78]));
  const { incarnation } = source.next(seen);
  t.is(formatDot({ incarnation, counter: 1 }), "0000000400000078:1");
});

test("after renouncing, the count begins again in another incarnation", (t) => {
  const source = new DotSource(createRandom(1));
  const before = source.next(new Context());
  source.renounce();
  const after = source.next(Context.of([before]));
  t.not(after.incarnation, before.incarnation);
  t.is(after.counter, 1);
});
