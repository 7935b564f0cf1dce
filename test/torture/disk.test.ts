/** The bounded version of `npm run torture -- disk`: each kind of call once, a slow disk, and a full one. */
import test from "ava";
import { runBounded } from "./bounded.ts";
import { run } from "./disk.ts";

const CASES = 11;

test("a node whose disk fails stops with the reason and loses nothing; one whose disk is slow goes on answering", async (t) => {
  const { figures, report } = await runBounded(t, run, CASES);
  t.is(figures.cases, CASES + 1);
  t.true(figures.stopped > 1 && figures.refused > 1 && figures.slow === 1 && figures.acknowledged > 0, report);
});
