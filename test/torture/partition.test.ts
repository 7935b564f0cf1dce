/** The bounded version of `npm run torture -- partition`. */
import test from "ava";
import { runBounded } from "./bounded.ts";
import { run } from "./partition.ts";

const FAULTS = 3;

test("nodes that were cut off, slowed down and halted agree afterwards, with nothing lost and nothing back", async (t) => {
  const { figures, report } = await runBounded(t, run, FAULTS);
  t.is(figures.faults, FAULTS);
  t.true(figures.acknowledged > 30 && figures.reads > 30, report);
});
