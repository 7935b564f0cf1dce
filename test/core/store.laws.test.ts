/**
 * Whatever happens to a few stores, each of them agrees with its own entries at any time: digests, counts and indexes, kept up to date
 * change by change, equal those that are computed anew. And what is made durable is all that there is.
 */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { histories } from "../support/histories.ts";
import { holdsAsync } from "../support/property.ts";
import { stateOf } from "../support/stores.ts";
import { World } from "../support/world.ts";

for (const { sides, repairs } of [
  { sides: 2, repairs: false },
  { sides: 3, repairs: true },
]) {
  test(`${sides} stores, ${repairs ? "with" : "without"} repairs: every step leaves them in agreement with their entries`, async (t) => {
    await holdsAsync(
      t,
      fc.asyncProperty(histories({ sides, steps: 40, repairs }), async (steps) => {
        const world = await World.create(sides, 3);
        for (const step of steps) {
          await step(world);
          world.checkStores();
        }
      }),
      { numRuns: 60 },
    );
  });
}

test("a store that is opened again is the store that was closed", async (t) => {
  await holdsAsync(
    t,
    fc.asyncProperty(histories({ sides: 2, steps: 30, repairs: true }), async (steps) => {
      const world = await World.create(2);
      for (const step of steps) await step(world);
      const before = world.sides.map(({ store }) => ({ state: stateOf(store), summary: store.summary(), keys: store.keyCount }));
      await world.restart(0);
      await world.restart(1);
      const after = world.sides.map(({ store }) => ({ state: stateOf(store), summary: store.summary(), keys: store.keyCount }));
      assert.deepEqual(after, before);
    }),
    { numRuns: 100 },
  );
});

test("no dot is ever issued twice", async (t) => {
  await holdsAsync(
    t,
    fc.asyncProperty(histories({ sides: 3, steps: 40, repairs: true }), async (steps) => {
      const world = await World.create(3);
      for (const step of steps) await step(world);
      assert.equal(new Set(world.issued).size, world.issued.length);
    }),
    { numRuns: 50 },
  );
});
