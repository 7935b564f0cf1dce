/** The bounded version of `npm run torture -- fuzz`. */
import test from "ava";
import { runBounded } from "./bounded.ts";
import { run } from "./fuzz.ts";

const INPUTS = 2_500;

test("bad input ends no process, is nobody's fault but its sender's, and changes nothing", async (t) => {
  const { figures, report } = await runBounded(t, run, INPUTS);
  t.is(figures.inputs, INPUTS);
  t.true((figures.answers["2xx"] ?? 0) > 100 && figures.unchanged > 100, report);
});
