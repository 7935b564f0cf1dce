/** The bounded version of `npm run torture -- kill`. */
import test from "ava";
import { runBounded } from "./bounded.ts";
import { run } from "./kill.ts";

const FAULTS = 3;

test("nodes that are killed under load lose nothing that they have acknowledged", async (t) => {
  const { figures, report } = await runBounded(t, run, FAULTS);
  t.is(figures.faults, FAULTS);
  t.true(figures.acknowledged > 30 && figures.reads > 30, report);
});
