/** Contexts against the plainest model there is: a set of dots. And the laws of join, which is the union. */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { Context } from "../../lib/core/context.ts";
import { formatDot, sameDot, type Dot } from "../../lib/core/dot.ts";
import { dots } from "../support/stores.ts";
import { holds } from "../support/property.ts";

const NAMES = ["aaaaaaaa", "bbbbbbbb", "\xff\0\xff\0\xff\0\xff\0"] as const;
/** Few counters, so that ranges meet, touch, overlap and fill each other's gaps. */
const COUNTERS = 40;

const name = fc.constantFrom(...NAMES);
const counter = fc.integer({ min: 1, max: COUNTERS });
const anyDot: fc.Arbitrary<Dot> = fc.record({ incarnation: name, counter }, { noNullPrototype: true });
const anyRange = fc.tuple(name, counter, counter).map(([incarnation, a, b]) => ({ incarnation, from: Math.min(a, b), to: Math.max(a, b) }));
const step = fc.oneof(
  anyDot.map((dot) => ({ dot })),
  anyRange.map((range) => ({ range })),
);
type Step = { readonly dot?: Dot; readonly range?: { readonly incarnation: string; readonly from: number; readonly to: number } };

/** Each side of a law: a context, and the set that it should be. */
const both = fc.array(step, { maxLength: 30, size: "max" }).map((steps: readonly Step[]) => {
  const context = new Context();
  const model = new Set<string>();
  for (const { dot, range } of steps) {
    if (dot !== undefined) {
      context.add(dot);
      model.add(formatDot(dot));
    } else if (range !== undefined) {
      context.addRange(range.incarnation, range.from, range.to);
      for (let n = range.from; n <= range.to; n++) model.add(formatDot({ incarnation: range.incarnation, counter: n }));
    }
  }
  return { context, model };
});
const anyContext = both.map(({ context }) => context);

/** Every dot of a context, by way of its ranges. */
function listed(context: Context): string[] {
  return [...context.incarnations()].flatMap((incarnation) => expand(incarnation, context.rangesOf(incarnation))).sort();
}

function expand(incarnation: string, ranges: readonly number[]): string[] {
  const found: string[] = [];
  for (let i = 0; i < ranges.length; i += 2) {
    for (let n = ranges[i]!; n <= ranges[i + 1]!; n++) found.push(formatDot({ incarnation, counter: n }));
  }
  return found;
}

/** Sorted, disjoint, not adjacent, no empty incarnation, and counted right. */
function misshapes(context: Context): string[] {
  const found: string[] = [];
  let ranges = 0;
  for (const incarnation of context.incarnations()) {
    const pairs = context.rangesOf(incarnation);
    if (pairs.length === 0 || pairs.length % 2 !== 0) found.push(`${pairs.length} numbers`);
    for (let i = 0; i < pairs.length; i++) {
      if (i % 2 === 1 ? pairs[i]! < pairs[i - 1]! : i > 0 && pairs[i]! <= pairs[i - 1]! + 1) found.push(`${pairs.join()} at ${i}`);
    }
    ranges += pairs.length / 2;
  }
  if (context.exceptionCount !== ranges - context.incarnationCount) found.push(`${context.exceptionCount} exceptions`);
  return found;
}

function union(a: Context, b: Context): Context {
  const joined = a.clone();
  joined.join(b);
  return joined;
}

test("add and addRange: the dots are those of a set, in whatever order they come, in ranges that are as few as can be", (t) => {
  holds(
    t,
    fc.property(both, ({ context, model }) => {
      assert.deepEqual(listed(context), [...model].sort());
      assert.deepEqual(misshapes(context), []);
      assert.equal(context.isEmpty, model.size === 0);
    }),
  );
});

test("add and addRange tell whether anything was new", (t) => {
  holds(
    t,
    fc.property(both, anyDot, anyRange, ({ context, model }, dot, range) => {
      assert.equal(context.add(dot), !model.has(formatDot(dot)));
      model.add(formatDot(dot));
      const all = expand(range.incarnation, [range.from, range.to]);
      assert.equal(
        context.addRange(range.incarnation, range.from, range.to),
        all.some((one) => !model.has(one)),
      );
      assert.deepEqual(misshapes(context), []);
    }),
  );
});

test("has, hasCounter and highest: those of the set", (t) => {
  holds(
    t,
    fc.property(both, ({ context, model }) => {
      for (const incarnation of [...NAMES, "cccccccc"]) {
        let highest = 0;
        for (let n = 1; n <= COUNTERS + 1; n++) {
          const dot = { incarnation, counter: n };
          const expected = model.has(formatDot(dot));
          if (expected) highest = n;
          assert.equal(context.has(dot), expected);
          assert.equal(context.hasCounter(incarnation, n), expected);
        }
        assert.equal(context.highest(incarnation), highest);
      }
    }),
    { numRuns: 50 },
  );
});

test("join: the union; minus: the difference; neither changes what it was given", (t) => {
  holds(
    t,
    fc.property(both, both, (a, b) => {
      const [beforeA, beforeB] = [listed(a.context), listed(b.context)];
      const joined = union(a.context, b.context);
      const rest = a.context.minus(b.context);
      assert.deepEqual(listed(joined), [...new Set([...a.model, ...b.model])].sort());
      assert.deepEqual(listed(rest), [...a.model].filter((dot) => !b.model.has(dot)).sort());
      assert.deepEqual([...misshapes(joined), ...misshapes(rest)], []);
      assert.deepEqual([listed(a.context), listed(b.context)], [beforeA, beforeB]);
    }),
    { numRuns: 300 },
  );
});

test("covers and equals: superset and equality of the sets", (t) => {
  holds(
    t,
    fc.property(both, both, fc.boolean(), (a, other, related) => {
      const b = related ? { context: union(a.context, other.context), model: new Set([...a.model, ...other.model]) } : other;
      assert.equal(
        b.context.covers(a.context),
        [...a.model].every((dot) => b.model.has(dot)),
      );
      assert.equal(
        a.context.covers(b.context),
        [...b.model].every((dot) => a.model.has(dot)),
      );
      const same = a.model.size === b.model.size && [...a.model].every((dot) => b.model.has(dot));
      assert.equal(a.context.equals(b.context), same);
      assert.equal(b.context.equals(a.context), same);
    }),
    { numRuns: 300 },
  );
});

test("rangesWithin: what lies in a window of one incarnation", (t) => {
  holds(
    t,
    fc.property(both, anyRange, ({ context, model }, { incarnation, from, to }) => {
      const cut = context.rangesWithin(incarnation, from, to);
      assert.deepEqual(
        expand(incarnation, cut),
        expand(incarnation, [from, to]).filter((dot) => model.has(dot)),
      );
    }),
    { numRuns: 300 },
  );
});

test("lowerBound: never more than is there, at least one range of each incarnation, and no more exceptions than asked for", (t) => {
  holds(
    t,
    fc.property(anyContext, fc.integer({ min: 0, max: 12 }), (context, exceptionsMax) => {
      const bound = context.lowerBound(exceptionsMax);
      assert.ok(context.covers(bound));
      assert.equal(bound.incarnationCount, context.incarnationCount);
      assert.equal(bound.exceptionCount, Math.min(exceptionsMax, context.exceptionCount));
      assert.deepEqual(misshapes(bound), []);
    }),
    { numRuns: 300 },
  );
});

test("join is commutative, associative, idempotent, and loses no dot", (t) => {
  holds(
    t,
    fc.property(anyContext, anyContext, anyContext, (a, b, c) => {
      assert.ok(union(a, b).equals(union(b, a)));
      assert.ok(union(union(a, b), c).equals(union(a, union(b, c))));
      assert.ok(union(a, a).equals(a));
      assert.ok(union(union(a, b), b).equals(union(a, b)));
      assert.ok(union(a, b).covers(a) && union(a, b).covers(b));
    }),
    { numRuns: 300 },
  );
});

test("join of many ranges at once: the same as one by one", (t) => {
  const odd = Context.of(dots("aaaaaaaa", ...Array.from({ length: 200 }, (_, i) => 4 * i + 1)));
  const even = Context.of(dots("aaaaaaaa", ...Array.from({ length: 200 }, (_, i) => 4 * i + 2)));
  const joined = union(odd, even);
  t.deepEqual(listed(joined), [...listed(odd), ...listed(even)].sort());
  t.is(joined.exceptionCount, 199);
  t.deepEqual(misshapes(joined), []);
});

test("a clone goes its own way", (t) => {
  const context = Context.of(dots("aaaaaaaa", 1, 2, 5));
  const clone = context.clone();
  clone.add({ incarnation: "aaaaaaaa", counter: 3 });
  clone.add({ incarnation: "bbbbbbbb", counter: 1 });
  t.deepEqual([...context.rangesOf("aaaaaaaa")], [1, 2, 5, 5]);
  t.is(context.incarnationCount, 1);
  t.is(context.exceptionCount, 1);
});

test("an exception appears with a gap and goes when the gap fills", (t) => {
  const context = Context.of(dots("aaaaaaaa", 1, 2, 4));
  t.is(context.exceptionCount, 1);
  context.add({ incarnation: "aaaaaaaa", counter: 3 });
  t.is(context.exceptionCount, 0);
  t.deepEqual([...context.rangesOf("aaaaaaaa")], [1, 4]);
});

test("dots that come in order cost one range, however many they are", (t) => {
  const context = new Context();
  for (let n = 1; n <= 100_000; n++) context.add({ incarnation: "aaaaaaaa", counter: n });
  t.deepEqual([...context.rangesOf("aaaaaaaa")], [1, 100_000]);
});

test("overlap, number and the first of its dots agree with the dots one by one", (t) => {
  holds(
    t,
    fc.property(anyContext, anyContext, fc.nat({ max: 30 }), (a, b, most) => {
      const [mine, theirs] = [[...a.dots()], [...b.dots()]];
      assert.equal(a.dotCount(), mine.length);
      assert.ok(Context.of(mine).equals(a));
      assert.equal(
        a.overlaps(b),
        mine.some((dot) => theirs.some((other) => sameDot(dot, other))),
      );
      const first = a.firstDots(most);
      assert.equal(first.dotCount(), Math.min(most, mine.length));
      assert.ok(a.covers(first));
    }),
  );
});
