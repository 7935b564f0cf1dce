/** The bounded version of `npm run torture -- kill`. */
import test from "ava";
import { run } from "./kill.ts";

const FAULTS = 3;

test("nodes that are killed under load lose nothing that they have acknowledged", async (t) => {
  t.timeout(180_000);
  const lines: string[] = [];
  const figures = await run(1, FAULTS, (line) => lines.push(line));
  t.log(lines.at(-1));
  t.deepEqual(figures.broken, [], lines.join("\n"));
  t.is(figures.faults, FAULTS);
  t.true(figures.acknowledged > 30 && figures.reads > 30, lines.at(-1));
});
