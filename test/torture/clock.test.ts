/** The bounded version of `npm run torture -- clock`. */
import test from "ava";
import { run } from "./clock.ts";

const CASES = 3;

test("with clocks that are wrong by hours, step and pass changes of summer time, nodes go on pinging and agree", async (t) => {
  t.timeout(180_000);
  const lines: string[] = [];
  const figures = await run(1, CASES, (line) => lines.push(line));
  t.log(lines.at(-1));
  t.deepEqual(figures.broken, [], lines.join("\n"));
  t.is(figures.cases, CASES);
  t.true(figures.acknowledged > 30 && figures.pings > 0, lines.at(-1));
});
