/**
 * Pulls of large pages: merged in slices, in the order in which they came, while the next page is already asked for. Whatever is written
 * between the slices, and whenever a page comes, the two sides end equal.
 */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import type { MergeOutcome } from "../../lib/core/change.ts";
import { Context } from "../../lib/core/context.ts";
import type { RepairAnswer } from "../../lib/core/message.ts";
import type { Store } from "../../lib/core/store.ts";
import { Pull, type PullResult } from "../../lib/repair/pull.ts";
import { START_MS } from "../support/chance.ts";
import { holdsAsync } from "../support/property.ts";
import { contradictions, json, openTestStore, stateOf } from "../support/stores.ts";
import { exchanged, PULL_OPTIONS, pullToEnd } from "../support/world.ts";

const NOW = START_MS;

/** Entries here take some 45 bytes, so these pages hold some 600 of them: more than two slices. */
const LARGE_PAGES = { ...PULL_OPTIONS, answerBytesMax: 27_000 };

const SLICE_ENTRIES_MAX = 256;

async function createPair(keys: number): Promise<[a: Store, b: Store]> {
  const [a, b] = [(await openTestStore("a")).store, (await openTestStore("b")).store];
  for (let n = 0; n < keys; n++) b.put(`k${n}`, json(`${n}`), NOW);
  return [a, b];
}

test("a large page is merged in slices, and the next is asked for before the first of them", async (t) => {
  const [a, b] = await createPair(1500);
  const pull = new Pull(a, "full", LARGE_PAGES, true);
  const merged: MergeOutcome[] = [];
  t.is(pull.onAnswer(exchanged(pull.request(1), b), NOW, merged), undefined);
  t.is(merged.length, SLICE_ENTRIES_MAX);
  t.deepEqual([pull.isBusy, pull.isAsking, pull.hasAll], [true, true, false]);
  const second = exchanged(pull.request(2), b);
  t.true(Math.min(...second.entries.map(({ key }) => Number(key.slice(1)))) >= 500, "what the first page covers is not asked for again");
  pull.onAnswer(second, NOW, merged);
  t.is(merged.length, 2 * SLICE_ENTRIES_MAX, "the first page goes on first");
  t.deepEqual([pull.isBusy, pull.isAsking], [true, false], "two pages are here: a third would only fill the memory");
  while (!pull.isAsking) pull.advance(merged);
  pull.onAnswer(exchanged(pull.request(3), b), NOW, merged);
  t.deepEqual([pull.hasAll, pull.isAsking], [true, false], "nothing is asked after the last page");
  let result: PullResult | undefined;
  while (result === undefined) {
    const before = merged.length;
    t.is(a.context.covers(b.context), merged.length === 1500);
    result = pull.advance(merged);
    t.true(merged.length - before <= SLICE_ENTRIES_MAX);
  }
  t.is(result, "joined");
  t.deepEqual(merged.map(({ key }) => key), [...Array(1500).keys()].map((n) => `k${n}`)); // prettier-ignore
  t.deepEqual(stateOf(a), stateOf(b));
});

test("the first slices are small: code that has not run yet takes ten times as long", async (t) => {
  const [a, b] = await createPair(600);
  const pull = new Pull(a, "full", { ...PULL_OPTIONS, firstStepEntries: 16 }, true);
  const merged: MergeOutcome[] = [];
  pull.onAnswer(exchanged(pull.request(1), b), NOW, merged);
  const slices = [merged.length];
  while (merged.length < 600) {
    const before = merged.length;
    pull.advance(merged);
    slices.push(merged.length - before);
  }
  t.deepEqual(slices.slice(0, 4), [16, 32, 48, 64]);
});

test("few but large entries make a slice as well", async (t) => {
  const [a, b] = await createPair(0);
  for (let n = 0; n < 6; n++) b.put(`k${n}`, { contentType: "text/plain", value: Buffer.alloc(60_000), expiresAtMs: 0 }, NOW);
  const pull = new Pull(a, "full", { ...PULL_OPTIONS, answerBytesMax: 256 * 1024 }, true);
  const merged: MergeOutcome[] = [];
  pull.onAnswer(exchanged(pull.request(1), b), NOW, merged);
  t.is(merged.length, 3);
  t.true(pull.isBusy);
});

/** Anything that may happen between two steps of a pull. */
const happening = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ type: "answer" as const }) },
  { weight: 6, arbitrary: fc.constant({ type: "advance" as const }) },
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constantFrom("put" as const, "remove" as const), ours: fc.boolean(), key: fc.nat({ max: 1400 }) }),
  },
);

test("whenever the pages come, and whatever either side writes between the slices, both end equal", async (t) => {
  await holdsAsync(
    t,
    fc.asyncProperty(fc.array(happening, { minLength: 10, maxLength: 60, size: "max" }), fc.boolean(), async (happenings, isDelta) => {
      const [a, b] = await createPair(1300);
      if (isDelta) a.put("k7", json("mine"), NOW);
      const pull = new Pull(a, isDelta ? "delta" : "full", LARGE_PAGES, true);
      const waiting: RepairAnswer[] = [];
      let result: PullResult | undefined;
      const step = (type: "answer" | "advance"): void => {
        if (result !== undefined) return;
        if (waiting.length === 0 && pull.isAsking) waiting.push(exchanged(pull.request(1), b));
        if (type === "answer" && waiting.length > 0) result = pull.onAnswer(waiting.shift()!, NOW, []);
        else if (pull.isBusy) result = pull.advance([]);
      };
      for (const one of happenings) {
        const store = "ours" in one && one.ours ? a : b;
        if (one.type === "put") store.put(`k${one.key}`, json("newer"), NOW);
        else if (one.type === "remove") store.remove(`k${one.key}`, undefined, NOW);
        else step(one.type);
      }
      while (result === undefined) step(pull.isBusy ? "advance" : "answer");
      assert.notEqual(result, "differs");
      for (let round = 0; round < 3; round++) for (const [by, from] of [[a, b], [b, a]] as const) pullToEnd(by, from); // prettier-ignore
      assert.deepEqual(contradictions(a), []);
      assert.deepEqual(stateOf(a), stateOf(b));
    }),
    { numRuns: 40 },
  );
});

test("a peer that lacks very much is not verified while there is patience: it is about to repair, and then there is little to walk", async (t) => {
  const [a, b] = await createPair(3);
  const much = new Context();
  much.addRange("aaaaaaaa", 1, 70_000);
  a.joinContext(much);
  t.is(pullToEnd(a, b, "delta", PULL_OPTIONS, true), "behind");
  t.is(a.count, 3, "what it holds is merged all the same");
  t.false(a.context.covers(b.context) && b.context.covers(a.context));
  t.is(pullToEnd(a, b, "delta", PULL_OPTIONS, false), "joined");
});
