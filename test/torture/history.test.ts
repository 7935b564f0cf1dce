/** The bounded version of `npm run torture -- history`. */
import test from "ava";
import { runBounded } from "./bounded.ts";
import { run } from "./history.ts";

const FAULTS = 4;

test("every acknowledged write is accounted for, through all faults", async (t) => {
  const { figures, report } = await runBounded(t, run, FAULTS);
  t.is(figures.faults, FAULTS);
  t.true(figures.acknowledged > 30 && figures.reads > 30, report);
});
