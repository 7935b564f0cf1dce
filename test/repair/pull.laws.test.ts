/**
 * Repair over random histories: whatever two or three stores wrote, sent, lost, interrupted and restarted, when everybody has
 * repaired from everybody they hold the same bytes and contexts, nothing acknowledged is lost and nothing deleted is back.
 */
import test from "ava";
import fc from "fast-check";
import { histories } from "../support/histories.ts";
import { holdsAsync } from "../support/property.ts";
import { World } from "../support/world.ts";

for (const { sides, recentDeletionsMax, numRuns } of [
  { sides: 2, recentDeletionsMax: 1000, numRuns: 120 },
  { sides: 2, recentDeletionsMax: 1, numRuns: 120 },
  { sides: 3, recentDeletionsMax: 1000, numRuns: 60 },
  { sides: 3, recentDeletionsMax: 1, numRuns: 60 },
]) {
  test(`${sides} stores that remember ${recentDeletionsMax} deletions end equal, and with the truth`, async (t) => {
    await holdsAsync(
      t,
      fc.asyncProperty(histories({ sides, steps: 40, repairs: true }), async (steps) => {
        const world = await World.create(sides, recentDeletionsMax);
        for (const step of steps) await step(world);
        world.checkStores();
        world.converge();
        world.checkConverged();
      }),
      { numRuns },
    );
  });
}
