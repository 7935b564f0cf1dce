/** A context in pieces: each as small as it was asked for, all together the same, and joined one by one what the whole is when it is joined at once. */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { partsOf } from "../../lib/core/context-parts.ts";
import { Context } from "../../lib/core/context.ts";
import { holds } from "../support/property.ts";

/** Gaps and lengths, so that there are many ranges; three incarnations, of which one may be missing. */
const anyRanges = fc.array(fc.tuple(fc.integer({ min: 2, max: 9 }), fc.integer({ min: 0, max: 4 })), { maxLength: 60, size: "max" });
const anyContext = fc.tuple(anyRanges, anyRanges, anyRanges).map((lists) => {
  const context = new Context();
  for (const [i, ranges] of lists.entries()) {
    let last = 0;
    for (const [gap, more] of ranges) {
      context.addRange("abc".charAt(i).repeat(8), last + gap, last + gap + more);
      last += gap + more;
    }
  }
  return context;
});

/** Dot by dot, and nothing of how `join` goes about it. */
function unionOf(a: Context, b: Context): Context {
  const union = new Context();
  for (const one of [a, b]) for (const dot of one.dots()) union.add(dot);
  return union;
}

test("joined piece by piece, to whatever is there", (t) => {
  holds(
    t,
    fc.property(anyContext, anyContext, fc.integer({ min: 1, max: 40 }), (mine, theirs, rangesMax) => {
      const parts = partsOf(theirs, rangesMax);
      const rangesIn = (part: Context): number => part.incarnationCount + part.exceptionCount;
      assert.ok(parts.every((part, i) => (i < parts.length - 1 ? rangesIn(part) === rangesMax : rangesIn(part) <= rangesMax)));
      assert.ok(parts.every((part) => !part.isEmpty));
      const joined = mine.clone();
      const left = [theirs.clone(), theirs];
      for (const part of parts) {
        assert.ok(unionOf(joined, part).minus(joined).equals(part.minus(joined)));
        joined.join(part);
        left[0] = left[0]!.minus(part);
      }
      assert.ok(joined.equals(unionOf(mine, theirs)));
      assert.ok(left[0]!.isEmpty, "they are all of it");
    }),
    { numRuns: 300 },
  );
});
