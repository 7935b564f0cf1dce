/** The bounded version of `npm run torture -- fuzz`. */
import test from "ava";
import { run } from "./fuzz.ts";

const INPUTS = 2_500;

test("bad input ends no process, is nobody's fault but its sender's, and changes nothing", async (t) => {
  t.timeout(180_000);
  const lines: string[] = [];
  const figures = await run(1, INPUTS, (line) => lines.push(line));
  t.log(lines.at(-1));
  t.deepEqual(figures.broken, [], lines.join("\n"));
  t.is(figures.inputs, INPUTS);
  t.true((figures.answers["2xx"] ?? 0) > 100 && figures.unchanged > 100, lines.at(-1));
});
