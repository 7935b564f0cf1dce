/** Verifications: they agree exactly when we hold what the peer held, while writes go on, and never because two errors hide each other. */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { Context } from "../../lib/core/context.ts";
import type { Store } from "../../lib/core/store.ts";
import { Named } from "../../lib/repair/named.ts";
import { Verification, type Verdict } from "../../lib/repair/verification.ts";
import { START_MS } from "../support/chance.ts";
import { holds } from "../support/property.ts";
import { json, openTestStore } from "../support/stores.ts";
import { pullToEnd } from "../support/world.ts";

const NOW = START_MS;

/** Two stores that hold the same keys. */
async function createPair(keys: number): Promise<[mine: Store, theirs: Store]> {
  const [mine, theirs] = [(await openTestStore("a")).store, (await openTestStore("b")).store];
  for (let n = 0; n < keys; n++) theirs.put(`k${n}`, json(`${n}`), NOW);
  pullToEnd(mine, theirs);
  return [mine, theirs];
}

function verdictOf(verification: Verification): Verdict {
  for (;;) {
    const verdict = verification.step();
    if (verdict !== undefined) return verdict;
  }
}

function verify(mine: Store, theirs: Store, named = new Named(mine), full = false): Verdict {
  return verdictOf(new Verification(mine, theirs.context.clone(), theirs.summary(), named, full));
}

/** As after a full push: every key of theirs was named and merged. */
function nameAll(mine: Store, theirs: Store, keys: readonly string[]): Named {
  const named = new Named(mine);
  for (const key of keys) named.merge(theirs.wireEntry(key, []), theirs.context, NOW);
  return named;
}

test("two that hold the same agree", async (t) => {
  const [mine, theirs] = await createPair(5);
  t.like(verify(mine, theirs), { verified: true, drops: [] });
});

test("what only we hold, and they have not seen, does not count", async (t) => {
  const [mine, theirs] = await createPair(5);
  mine.put("new", json("1"), NOW);
  mine.put("k1", json("both", { observed: [] }), NOW);
  t.like(verify(mine, theirs), { verified: true, drops: [] });
});

test("what they hold and we lack is noticed, and so is what they dropped and we hold", async (t) => {
  const [mine, theirs] = await createPair(5);
  theirs.put("new", json("1"), NOW);
  t.like(verify(mine, theirs), { verified: false, peerBehind: false });
  const [more, less] = await createPair(5);
  less.remove("k1", undefined, NOW);
  t.like(verify(more, less), { verified: false, peerBehind: false });
});

test("one too many and one too few do not make it even", async (t) => {
  const [mine, theirs] = await createPair(5);
  theirs.put("new", json("1"), NOW);
  theirs.remove("k1", undefined, NOW);
  t.is(mine.count, theirs.count);
  t.like(verify(mine, theirs), { verified: false, peerBehind: false });
});

test("what we superseded and they still hold counts while we remember it, or when they name it; else they may be behind", async (t) => {
  const side = await openTestStore("a");
  const theirs = (await createPair(5))[1];
  pullToEnd(side.store, theirs);
  side.store.put("k1", json("newer"), NOW);
  side.store.remove("k2", undefined, NOW);
  t.like(verify(side.store, theirs), { verified: true, drops: [] });
  await side.persist();
  const forgetful = (await side.reopen()).store;
  t.like(verify(forgetful, theirs), { verified: false, peerBehind: true });
  t.like(verify(forgetful, theirs, nameAll(forgetful, theirs, ["k1", "k2"])), { verified: true, drops: [] });
});

test("after a full push, what they have seen and did not name is to be dropped", async (t) => {
  const [mine, theirs] = await createPair(5);
  const { dot } = mine.read("k1")[0]!;
  theirs.remove("k1", undefined, NOW);
  mine.put("new", json("1"), NOW);
  const named = nameAll(mine, theirs, ["k0", "k2", "k3", "k4"]);
  t.like(verify(mine, theirs, named, true), { verified: true, drops: [dot], differences: 2, peerLacks: 1 });
});

test("a full push that lost an entry, named one twice or forged its sum is not verified", async (t) => {
  const [mine, theirs] = await createPair(3);
  theirs.put("new", json("1"), NOW);
  const lost = nameAll(mine, theirs, ["k0", "k1", "k2"]);
  t.false(verify(mine, theirs, lost, true).verified);
  const twice = nameAll(mine, theirs, ["k0", "k0", "k1", "k2", "new", "new"]);
  t.true(verify(mine, theirs, twice, true).verified, "twice is once");
  const summary = { ...theirs.summary(), count: theirs.count + 1 };
  t.false(verdictOf(new Verification(mine, theirs.context, summary, twice, true)).verified);
  t.false(verdictOf(new Verification(mine, theirs.context, { ...theirs.summary(), dotRoot: "x".repeat(16) }, twice, true)).verified);
});

test("the verdict is that of the instant at which it began, whatever is written while the walk goes on", async (t) => {
  const [mine, theirs] = await createPair(10);
  // Several slices: these are walked, because the peer has not seen them.
  for (let n = 0; n < 6000; n++) mine.put(`mine${n}`, json("1"), NOW);
  const change = fc.record({
    key: fc.oneof(
      fc.nat({ max: 5999 }).map((n) => `mine${n}`),
      fc.nat({ max: 12 }).map((n) => `k${n}`),
    ),
    put: fc.boolean(),
  });
  holds(
    t,
    fc.property(fc.array(fc.array(change, { maxLength: 10 }), { minLength: 5, maxLength: 5 }), fc.boolean(), (slices, lacking) => {
      const named = new Named(mine);
      for (let n = 0; n < 10; n++) named.merge(theirs.wireEntry(`k${n}`, []), theirs.context, NOW);
      const summary = lacking ? { ...theirs.summary(), dotRoot: "x".repeat(16) } : theirs.summary();
      const verification = new Verification(mine, theirs.context, summary, named, false);
      named.stop();
      let verdict: Verdict | undefined;
      let steps = 0;
      for (; verdict === undefined; steps++) {
        verdict = verification.step();
        for (const { key, put } of slices[steps] ?? []) {
          if (put) mine.put(key, json("2"), NOW);
          else mine.remove(key, undefined, NOW);
        }
      }
      assert.ok(steps > 2, `${steps} slices`);
      assert.equal(verdict.verified, !lacking);
    }),
    { numRuns: 15 },
  );
});

test("a verification that is over, or was stopped, counts no more", async (t) => {
  const [mine, theirs] = await createPair(2);
  mine.put("new", json("1"), NOW);
  const verification = new Verification(
    mine,
    new Context(),
    { ...theirs.summary(), count: 0, dotRoot: "\0".repeat(16) },
    new Named(mine),
    false,
  );
  t.true(verdictOf(verification).verified);
  mine.remove("new", undefined, NOW);
  t.true(verification.step()!.verified, "a removal after the verdict changes nothing");
});
