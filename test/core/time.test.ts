/** The clock's laws: it never runs backwards, tells every local event apart, follows what it hears, and is dragged along by nobody. */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import {
  compareStamps,
  followStamp,
  isFarAhead,
  nextStamp,
  STAMP_AHEAD_MAX_MS,
  STAMP_MS_MAX,
  STAMP_ZERO,
  TICK_MAX,
  type Stamp,
} from "../../lib/core/time.ts";
import { holds } from "../support/property.ts";

const ms = fc.oneof(fc.integer({ min: 0, max: 10 }), fc.integer({ min: 0, max: 2 ** 42 }));
const stamp: fc.Arbitrary<Stamp> = fc.record(
  { ms, tick: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constantFrom(TICK_MAX - 1, TICK_MAX)) },
  { noNullPrototype: true },
);
/** What a clock may say: earlier, later, the same, between two milliseconds. */
const wall = fc.oneof(ms, fc.double({ min: 0, max: 20, noNaN: true }), fc.double({ min: -5, max: 2 ** 42, noNaN: true }));

test("a local event is later than all that came before it, whatever the wall clock does", (t) => {
  holds(
    t,
    fc.property(stamp, fc.array(wall, { minLength: 1, maxLength: 20 }), (first, readings) => {
      let last = first;
      for (const nowMs of readings) {
        const next = nextStamp(last, nowMs);
        assert.ok(compareStamps(next, last) > 0, `${JSON.stringify(next)} after ${JSON.stringify(last)} at ${nowMs}`);
        assert.ok(Number.isInteger(next.ms) && next.tick >= 0 && next.tick <= TICK_MAX);
        last = next;
      }
    }),
  );
});

test("a local event has the wall clock's time when that is later than the last stamp", (t) => {
  t.deepEqual(nextStamp({ ms: 5, tick: 9 }, 6), { ms: 6, tick: 0 });
  t.deepEqual(nextStamp(STAMP_ZERO, 1_000_000_000_000), { ms: 1_000_000_000_000, tick: 0 });
});

test("ticks tell apart what falls into one millisecond, and run over into the next", (t) => {
  t.deepEqual(nextStamp({ ms: 5, tick: 0 }, 5), { ms: 5, tick: 1 });
  t.deepEqual(nextStamp({ ms: 5, tick: 0 }, 3), { ms: 5, tick: 1 });
  t.deepEqual(nextStamp({ ms: 5, tick: TICK_MAX }, 5), { ms: 6, tick: 0 });
});

test("a clock that says a time which no stamp can hold gives the last one that can", (t) => {
  t.deepEqual(nextStamp(STAMP_ZERO, Number.MAX_SAFE_INTEGER), { ms: STAMP_MS_MAX, tick: 0 });
});

test("the order of stamps is total: milliseconds first, then ticks", (t) => {
  t.true(compareStamps({ ms: 1, tick: 9 }, { ms: 2, tick: 0 }) < 0);
  t.true(compareStamps({ ms: 2, tick: 1 }, { ms: 2, tick: 0 }) > 0);
  t.is(compareStamps({ ms: 2, tick: 1 }, { ms: 2, tick: 1 }), 0);
  holds(
    t,
    fc.property(stamp, stamp, stamp, (a, b, c) => {
      assert.equal(Math.sign(compareStamps(a, b)) + Math.sign(compareStamps(b, a)), 0);
      if (compareStamps(a, b) <= 0 && compareStamps(b, c) <= 0) assert.ok(compareStamps(a, c) <= 0);
    }),
  );
});

test("following: never backwards, and to what was heard unless that is far ahead", (t) => {
  holds(
    t,
    fc.property(stamp, stamp, ms, (last, heard, nowMs) => {
      const followed = followStamp(last, heard, nowMs);
      assert.ok(compareStamps(followed, last) >= 0);
      const expected = isFarAhead(heard, nowMs) || compareStamps(heard, last) <= 0 ? last : heard;
      assert.deepEqual(followed, expected);
      assert.deepEqual(followStamp(followed, heard, nowMs), followed);
    }),
  );
});

test("a minute ahead is followed, a millisecond more is not", (t) => {
  const [just, far] = [STAMP_AHEAD_MAX_MS, STAMP_AHEAD_MAX_MS + 1].map((ahead) => ({ ms: 1000 + ahead, tick: 0 })) as [Stamp, Stamp];
  t.deepEqual(followStamp(STAMP_ZERO, just, 1000), just);
  t.deepEqual(followStamp(STAMP_ZERO, far, 1000), STAMP_ZERO);
});

test("what is heard in any order leads to the same clock", (t) => {
  holds(
    t,
    fc.property(stamp, stamp, stamp, ms, (last, a, b, nowMs) => {
      const one = followStamp(followStamp(last, a, nowMs), b, nowMs);
      assert.deepEqual(one, followStamp(followStamp(last, b, nowMs), a, nowMs));
    }),
  );
});
