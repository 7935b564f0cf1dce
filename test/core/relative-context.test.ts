/** Contexts told against another one: they come back as they were, a bound is a bound, and what is sent is never longer than the whole. */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { Context } from "../../lib/core/context.ts";
import { absoluteOf, boundRelativeTo, RELATIVE_EXCEPTIONS_MAX, relativeTo, weight, wholeContext } from "../../lib/core/relative-context.ts";
import { anyContext } from "../support/messages.ts";
import { holds } from "../support/property.ts";
import { dots } from "../support/stores.ts";

test("the context comes back, whatever the asker has seen, and takes no more than it does alone", (t) => {
  holds(
    t,
    fc.property(anyContext, anyContext, (context, seen) => {
      const relative = relativeTo(seen, context);
      assert.ok(absoluteOf(relative, seen).equals(context));
      assert.ok(weight(relative.gained) + weight(relative.lacked) <= weight(context));
    }),
  );
});

test("a lower bound: nothing that is not in the context, and everything of it that the asker has seen as well", (t) => {
  holds(
    t,
    fc.property(anyContext, anyContext, fc.nat({ max: 3 }), (context, seen, exceptionsMax) => {
      const relative = boundRelativeTo(seen, context, exceptionsMax);
      const bound = absoluteOf(relative, seen);
      assert.ok(context.covers(bound));
      assert.ok(bound.covers(seen.minus(seen.minus(context))));
      assert.ok(relative.gained.exceptionCount <= exceptionsMax);
    }),
  );
});

test("after an ordinary outage it is the news and nothing else, and it is a copy", (t) => {
  const context = new Context();
  for (const name of "abcdefgh") context.addRange(name.repeat(8), 1, 1_000_000);
  const seen = context.clone();
  context.addRange("aaaaaaaa", 1_000_001, 1_000_010);
  const { from, gained, lacked } = relativeTo(seen, context);
  t.deepEqual([from, gained.dotCount(), gained.incarnationCount, lacked.isEmpty], ["seen", 10, 1, true]);
  const whole = wholeContext(context);
  for (const dot of dots("zzzzzzzz", 1)) context.add(dot);
  t.false(gained.covers(Context.of(dots("zzzzzzzz", 1))) || whole.gained.covers(Context.of(dots("zzzzzzzz", 1))));
});

test("too many gaps between the two: it is told as it is, as a whole or as a bound", (t) => {
  const context = new Context();
  context.addRange("aaaaaaaa", 1, 1_000_000);
  const seen = new Context();
  for (let counter = 1; counter < 4 * RELATIVE_EXCEPTIONS_MAX; counter += 3) seen.addRange("aaaaaaaa", counter, counter);
  seen.addRange("bbbbbbbb", 1, 10);
  const gapped = context.minus(seen);
  for (const [of, from] of [
    [context, seen],
    [gapped, context],
    [seen, new Context()],
    [context, gapped],
  ] as const) {
    t.is(relativeTo(from, of).from, "nothing");
    t.true(absoluteOf(relativeTo(from, of), from).equals(of));
    const bound = boundRelativeTo(from, of, 64);
    t.true(of.covers(absoluteOf(bound, from)));
    t.true(Math.max(bound.gained.exceptionCount, bound.lacked.exceptionCount) <= RELATIVE_EXCEPTIONS_MAX);
  }
});
