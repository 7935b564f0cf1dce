/** The bounded version of `npm run torture -- power`. */
import test from "ava";
import { run } from "./power.ts";

const IMAGES = 40;

test("after a power loss every answered write is there, and of a batch all or nothing", async (t) => {
  t.timeout(180_000);
  const lines: string[] = [];
  const figures = await run(1, IMAGES, (line) => lines.push(line));
  t.log(lines.at(-1));
  t.deepEqual(figures.broken, [], lines.join("\n"));
  t.is(figures.images, IMAGES);
  t.true(figures.torn > 0 && figures.answers > 0, lines.at(-1));
});
