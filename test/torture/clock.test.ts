/** The bounded version of `npm run torture -- clock`. */
import test from "ava";
import { runBounded } from "./bounded.ts";
import { run } from "./clock.ts";

const CASES = 3;

test("with clocks that are wrong by hours, step and pass changes of summer time, nodes go on pinging and agree", async (t) => {
  const { figures, report } = await runBounded(t, run, CASES);
  t.is(figures.cases, CASES);
  t.true(figures.acknowledged > 30 && figures.pings > 0, report);
});
