/** The bounded version of `npm run torture -- damage`: forty spoilt data files, and no wrong answer, no crash loop, nothing lost at the peer. */
import test from "ava";
import { run } from "./damage.ts";

const SEEDS = 40;

test("damaged data files are healed from the peer, or refused with the way out", async (t) => {
  t.timeout(300_000);
  const lines: string[] = [];
  const figures = await run(1, SEEDS, (line) => lines.push(line));
  t.log(lines.at(-1));
  t.deepEqual(figures.broken, []);
  t.is(figures.whole + figures.healed + figures.refused, SEEDS);
  t.true(figures.healed > 0 && figures.refused > 0, lines.at(-1));
});
