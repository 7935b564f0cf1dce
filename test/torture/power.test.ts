/** The bounded version of `npm run torture -- power`. */
import test from "ava";
import { runBounded } from "./bounded.ts";
import { run } from "./power.ts";

const IMAGES = 40;

test("after a power loss every answered write is there, and of a batch all or nothing", async (t) => {
  const { figures, report } = await runBounded(t, run, IMAGES);
  t.is(figures.images, IMAGES);
  t.true(figures.torn > 0 && figures.answers > 0, report);
});
