/** What a key holds: the laws of merging, over states from real histories, and what a write, a deletion and a reader make of siblings. */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { Context } from "../../lib/core/context.ts";
import { compareDots, type Dot } from "../../lib/core/dot.ts";
import { dotsOf, isExpired, merge, NO_SIBLINGS, pick, remove, write, type Siblings } from "../../lib/core/entry.ts";
import { anySiblings } from "../support/messages.ts";
import { holds } from "../support/property.ts";
import { anyHistory, createSibling, mergeStates, shownState, type State } from "../support/states.ts";

const place = fc.nat();
const threeStates = fc
  .tuple(anyHistory, place, place, place)
  .map(([past, ...places]) => places.map((at) => past[at % past.length]!)) as fc.Arbitrary<[State, State, State]>;

const [a1, a2, b1] = [
  { incarnation: "aaaaaaaa", counter: 1 },
  { incarnation: "aaaaaaaa", counter: 2 },
  { incarnation: "bbbbbbbb", counter: 1 },
] as const satisfies readonly Dot[];
const siblingsOf = (...dots: readonly Dot[]): Siblings => dots.map((dot) => createSibling(dot));
const seen = (...dots: readonly Dot[]): Context => Context.of(dots);

test("rule 3: a sibling that is live on both sides stays", (t) => {
  t.deepEqual(dotsOf(merge(siblingsOf(a1), seen(a1), siblingsOf(a1), seen(a1))), [a1]);
});

test("rule 3: a sibling that is live on one side and unseen by the other stays, on whichever side it is", (t) => {
  t.deepEqual(dotsOf(merge(siblingsOf(a1), seen(a1), NO_SIBLINGS, seen())), [a1]);
  t.deepEqual(dotsOf(merge(NO_SIBLINGS, seen(), siblingsOf(a1), seen(a1))), [a1]);
  t.deepEqual(dotsOf(merge(siblingsOf(a1), seen(a1), siblingsOf(b1), seen(b1))), [a1, b1]);
});

test("rule 3: a sibling that the other side has seen and does not hold goes, on whichever side it is", (t) => {
  t.deepEqual(dotsOf(merge(siblingsOf(a1), seen(a1), NO_SIBLINGS, seen(a1, b1))), []);
  t.deepEqual(dotsOf(merge(NO_SIBLINGS, seen(a1, b1), siblingsOf(a1), seen(a1))), []);
  t.deepEqual(dotsOf(merge(siblingsOf(a1), seen(a1), siblingsOf(a2), seen(a1, a2))), [a2]);
  t.deepEqual(dotsOf(merge(siblingsOf(a2), seen(a1, a2), siblingsOf(a1), seen(a1))), [a2]);
});

test("rule 3: merging is commutative", (t) => {
  holds(
    t,
    fc.property(threeStates, ([a, b]) => assert.deepEqual(shownState(mergeStates(a, b)), shownState(mergeStates(b, a)))),
    { numRuns: 500 },
  );
});

test("rule 3: merging is associative", (t) => {
  holds(
    t,
    fc.property(threeStates, ([a, b, c]) => {
      assert.deepEqual(shownState(mergeStates(mergeStates(a, b), c)), shownState(mergeStates(a, mergeStates(b, c))));
    }),
    { numRuns: 500 },
  );
});

test("rule 3: merging is idempotent, and merging what was merged before changes nothing", (t) => {
  holds(
    t,
    fc.property(threeStates, ([a, b]) => {
      assert.deepEqual(shownState(mergeStates(a, a)), shownState(a));
      const merged = mergeStates(a, b);
      assert.deepEqual(shownState(mergeStates(merged, b)), shownState(merged));
      assert.deepEqual(shownState(mergeStates(merged, a)), shownState(merged));
    }),
    { numRuns: 500 },
  );
});

test("histories hold siblings, deletions and states that know different things, or the laws above would say little", (t) => {
  const met = { siblings: 0, empty: 0, apart: 0 };
  for (const [a, b] of fc.sample(threeStates, { numRuns: 500, seed: 1 })) {
    const merged = mergeStates(a, b);
    if ([...merged.entries.values()].some((siblings) => siblings.length > 1)) met.siblings++;
    if (merged.entries.size === 0 && !merged.context.isEmpty) met.empty++;
    if (!a.context.covers(b.context) && !b.context.covers(a.context)) met.apart++;
  }
  t.true(met.siblings > 50 && met.empty > 5 && met.apart > 50, JSON.stringify(met));
});

test("when a broken peer gives one dot two contents, both sides choose the same", (t) => {
  const mine = [createSibling(a1, { digest: "1".repeat(16) })];
  const theirs = [createSibling(a1, { digest: "2".repeat(16) })];
  t.is(merge(mine, seen(a1), theirs, seen(a1))[0], theirs[0]);
  t.is(merge(theirs, seen(a1), mine, seen(a1))[0], theirs[0]);
});

test("a write removes what it has observed, adds itself, and keeps the order of dots", (t) => {
  holds(
    t,
    fc.property(anySiblings, fc.infiniteStream(fc.boolean()), (siblings, coins) => {
      const observed = dotsOf(siblings).filter(() => coins.next().value);
      const others = siblings.filter(({ dot }) => !observed.includes(dot));
      const added = createSibling({ incarnation: "zzzzzzzz", counter: 1 });
      const after = write(siblings, observed, added);
      const expected = [...others, added].sort((x, y) => compareDots(x.dot, y.dot));
      assert.deepEqual(dotsOf(after), dotsOf(expected));
      assert.deepEqual(dotsOf(remove(siblings, observed)), dotsOf(others));
    }),
  );
});

test("a deletion of what is not there changes nothing", (t) => {
  const siblings = siblingsOf(a1);
  t.is(remove(siblings, []), siblings);
  t.deepEqual(dotsOf(remove(siblings, [a2, b1])), [a1]);
  t.is(remove(NO_SIBLINGS, [a1]), NO_SIBLINGS);
});

test("the value to show: the latest stamp, then the greater node name, then the greater dot", (t) => {
  const early = createSibling(b1, { stamp: { ms: 5, tick: 0 }, writer: "z" });
  const late = createSibling(a1, { stamp: { ms: 5, tick: 1 }, writer: "a" });
  t.is(pick([late, early], 0), late);
  const byName = [createSibling(a1, { writer: "b" }), createSibling(b1, { writer: "a" })];
  t.is(pick(byName, 0), byName[0]);
  const byDot = [createSibling(a1), createSibling(a2), createSibling(b1)];
  t.is(pick(byDot, 0), byDot[2]);
  t.is(pick(NO_SIBLINGS, 0), undefined);
});

test("the value to show does not depend on the order of the siblings", (t) => {
  holds(
    t,
    fc.property(anySiblings, fc.nat({ max: 2 ** 40 }), (siblings, nowMs) => {
      assert.equal(pick(siblings, nowMs), pick(siblings.toReversed(), nowMs));
    }),
  );
});

test("an expired value is never shown, from its very millisecond; the next best is", (t) => {
  const short = createSibling(a2, { expiresAtMs: 100, stamp: { ms: 9, tick: 0 } });
  const lasting = createSibling(a1);
  t.false(isExpired(short, 99));
  t.true(isExpired(short, 100));
  t.false(isExpired(lasting, Number.MAX_SAFE_INTEGER));
  t.is(pick([lasting, short], 99), short);
  t.is(pick([lasting, short], 100), lasting);
  t.is(pick([short], 100), undefined);
});
