/** The bounded version of `npm run torture -- soak`: two short rounds. */
import test from "ava";
import { runSoak } from "./soak.ts";

test("overwriting, deleting and faults leave nothing behind", async (t) => {
  t.timeout(180_000);
  const lines: string[] = [];
  const figures = await runSoak({ from: 1, rounds: 2, faultsOfRound: 1, faultEveryMs: 2_000, say: (line) => lines.push(line) });
  t.log(lines.at(-1));
  t.deepEqual(figures.broken, [], lines.join("\n"));
  t.is(figures.rounds, 2);
  t.true(figures.acknowledged > 30 && figures.samples.length > 2, lines.at(-1));
});
