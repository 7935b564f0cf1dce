/** The bounded version of `npm run torture -- history`. */
import test from "ava";
import { run } from "./history.ts";

const FAULTS = 4;

test("every acknowledged write is accounted for, through all faults", async (t) => {
  t.timeout(180_000);
  const lines: string[] = [];
  const figures = await run(1, FAULTS, (line) => lines.push(line));
  t.log(lines.at(-1));
  t.deepEqual(figures.broken, [], lines.join("\n"));
  t.is(figures.faults, FAULTS);
  t.true(figures.acknowledged > 30 && figures.reads > 30, lines.at(-1));
});
