/** What a replica remembers of its last deletions and removals: bounded, oldest out first, and never wrong about what it does remember. */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { Context } from "../../lib/core/context.ts";
import { formatDot, type Dot } from "../../lib/core/dot.ts";
import { RecentDeletions } from "../../lib/core/recent-deletions.ts";
import { RecentRemovals } from "../../lib/core/recent-removals.ts";
import { Ring } from "../../lib/core/ring.ts";
import { holds } from "../support/property.ts";
import { dots } from "../support/stores.ts";

const [a1, a2, a3, a4, a5, a6] = dots("aaaaaaaa", 1, 2, 3, 4, 5, 6) as [Dot, Dot, Dot, Dot, Dot, Dot];

test("deletions: so many, by key, oldest out first", (t) => {
  const deletions = new RecentDeletions(2, new Context());
  for (const [dot, key] of [[a1, "k"], [a2, "l"], [a3, "k"]] as const) deletions.add(dot, key); // prettier-ignore
  t.is(deletions.size, 2);
  t.deepEqual([...deletions], [{ dot: a2, key: "l" }, { dot: a3, key: "k" }]); // prettier-ignore
});

test("deletions: those of a range of counters, in order, also after more have come and gone", (t) => {
  const deletions = new RecentDeletions(3, new Context());
  const within = (from: number, to: number): number[] => deletions.within("aaaaaaaa", from, to).map(({ dot }) => dot.counter);
  for (const dot of [a5, a2, a4]) deletions.add(dot, "k");
  t.deepEqual([within(1, 9), within(3, 5), within(2, 2), within(3, 3)], [[2, 4, 5], [4, 5], [2], []]); // prettier-ignore
  deletions.add(a1, "k");
  deletions.add({ incarnation: "bbbbbbbb", counter: 3 }, "k");
  t.deepEqual(within(1, 9), [1, 4]);
  t.deepEqual(deletions.within("cccccccc", 1, 9), []);
});

test("deletions: a limit of none remembers none", (t) => {
  const deletions = new RecentDeletions(0, new Context());
  deletions.add(a1, "k");
  t.is(deletions.size, 0);
});

test("deletions: those that went out, and all of before, may be forgotten; whoever has not seen one of them is not named them all", (t) => {
  const before = Context.of([a1]);
  const deletions = new RecentDeletions(2, before);
  for (const dot of [a2, a3]) deletions.add(dot, "k");
  t.false(deletions.namesAll(Context.of([a1, a3])));
  t.true(deletions.namesAll(Context.of([a2, a3])));
  deletions.add(a4, "k");
  t.false(deletions.namesAll(Context.of([a2, a3])));
  t.true(deletions.namesAll(Context.of([a3, a4])));
  deletions.forget(Context.of([a6]));
  t.false(deletions.namesAll(Context.of([a6])));
  t.true(deletions.namesAll(new Context()));
  t.true(before.equals(Context.of([a1])), "what it was given stays");
});

test("a ring holds the last so many, oldest first, and hands out what had to go", (t) => {
  holds(
    t,
    fc.property(fc.nat({ max: 5 }), fc.array(fc.nat(), { maxLength: 20, size: "max" }), (max, items) => {
      const ring = new Ring<number>(max);
      const gone = items.map((item) => ring.add(item)).filter((item) => item !== undefined);
      const kept = max === 0 ? [] : items.slice(-max);
      assert.deepEqual([...ring], kept);
      assert.equal(ring.size, kept.length);
      assert.deepEqual(gone, items.slice(0, items.length - kept.length));
    }),
  );
});

const unheard = (removals: RecentRemovals, theirs: readonly Dot[], ...except: string[]): string[] =>
  removals.unheardBy(Context.of(theirs), new Set(except)).map(formatDot);

test("removals: a peer still holds what it has seen and whose removal it has not heard of", (t) => {
  const removals = new RecentRemovals(10);
  removals.add(a1, "k", [a2]);
  removals.add(a3, "l", [a4, a5]);
  const [one, three] = [formatDot(a1), formatDot(a3)];
  t.deepEqual(unheard(removals, [a1, a3]), [one, three]);
  t.deepEqual(unheard(removals, [a1, a2, a3]), [three], "it has heard of the first removal");
  t.deepEqual(unheard(removals, [a3]), [three], "it has never seen the first");
  t.deepEqual(unheard(removals, [a3, a4]), [three], "it has heard of a part");
  t.deepEqual(unheard(removals, [a3, a4, a5]), []);
  t.deepEqual(unheard(removals, [a1, a3], "k"), [three], "of k it has said what it holds");
});

test("removals: so many, oldest out first, and a key is known while any of its removals is", (t) => {
  const removals = new RecentRemovals(2);
  removals.add(a1, "k", [a4]);
  removals.add(a2, "k", [a5]);
  removals.add(a3, "l", [a6]);
  t.is(removals.size, 2);
  t.deepEqual([...removals.keys()], ["k", "l"]);
  t.deepEqual(unheard(removals, [a1, a2, a3]), [a2, a3].map(formatDot));
  removals.add(a1, "m", [a6]);
  t.deepEqual([...removals.keys()], ["l", "m"]);
});

test("removals: a write that the disk has lost is no reason any more; what it removed stays removed", (t) => {
  const removals = new RecentRemovals(2);
  removals.add(a1, "k", [a4, a5]);
  removals.add(a2, "k", [a4]);
  removals.forget([a4]);
  t.deepEqual(
    removals.of("k").map(({ dot, by }) => [dot, by]),
    [
      [a1, [a5]],
      [a2, []],
    ],
  );
  t.deepEqual(unheard(removals, [a1, a2]), [formatDot(a1)]);
  removals.add(a3, "k", [a6]);
  t.is(removals.size, 2, "as many as before");
});
