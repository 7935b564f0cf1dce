/** The bounded version of `npm run torture -- partition`. */
import test from "ava";
import { run } from "./partition.ts";

const FAULTS = 3;

test("nodes that were cut off, slowed down and halted agree afterwards, with nothing lost and nothing back", async (t) => {
  t.timeout(180_000);
  const lines: string[] = [];
  const figures = await run(1, FAULTS, (line) => lines.push(line));
  t.log(lines.at(-1));
  t.deepEqual(figures.broken, [], lines.join("\n"));
  t.is(figures.faults, FAULTS);
  t.true(figures.acknowledged > 30 && figures.reads > 30, lines.at(-1));
});
