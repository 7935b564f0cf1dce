/** The choice between the rungs: by what is known beforehand, by what each would cost, and never a sketch in an ordinary outage. */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { Context } from "../../lib/core/context.ts";
import { differencesAtMost, dotsShownBy, firstRung, nextCells, type Holding } from "../../lib/repair/ladder.ts";
import { cellsFor, SKETCH_CELLS_MAX } from "../../lib/repair/sketch.ts";
import { holds } from "../support/property.ts";

const OPTIONS = { entryBytes: 64, firstCells: 96 };

/** A store of so many dots in a row, each `every`th of which is not seen. */
function holding(count: number, every = Infinity): Holding {
  const context = new Context();
  if (every === Infinity) context.addRange("aaaaaaaa", 1, count);
  else for (let n = 1; n <= count; n += every) context.addRange("aaaaaaaa", n, n + every - 2);
  return { context, count };
}

test("an ordinary outage is a delta without cells, whatever the counts", (t) => {
  const mine = holding(1_000_000);
  for (const count of [undefined, 0, 999_000, 1_000_000, 5_000_000]) {
    const { kind, ownCells, theirCells } = firstRung(mine, { count }, OPTIONS);
    t.deepEqual([kind, ownCells, theirCells], ["delta", 0, 0]);
  }
});

test("a sketch of theirs is asked for at once when contexts explain nothing, large enough for what the counts say", (t) => {
  const mine = holding(100_000);
  for (const hint of [{ sameContext: true }, { doubted: true }]) {
    t.like(firstRung(mine, { ...hint, count: 100_010 }, OPTIONS), { kind: "delta", ownCells: 0, theirCells: 96 });
    t.is(firstRung(mine, { ...hint, count: 101_000 }, OPTIONS).theirCells, cellsFor(1000));
    t.is(firstRung(mine, { ...hint, count: 100_010 }, undefined).theirCells, 0, "not without a table of ours");
  }
  t.is(firstRung(holding(17), { sameContext: true, count: 17 }, OPTIONS).theirCells, 0, "nor in a store that takes less");
});

test("a sketch of ours goes along when our context takes more bytes than it", (t) => {
  t.like(firstRung(holding(3000, 3), { count: 3000 }, OPTIONS), { kind: "sketch", ownCells: 96, theirCells: 0 });
  t.like(firstRung(holding(300, 3), { count: 300 }, OPTIONS), { kind: "delta", ownCells: 0 });
  t.is(firstRung(holding(30_000, 3), { count: 31_000 }, OPTIONS).ownCells, cellsFor(1000));
  t.like(firstRung(holding(3000, 3), { count: 9000 }, OPTIONS), { kind: "delta" }, "not when the sketch would take more after all");
});

test("a node that holds nothing asks for everything", (t) => {
  t.is(firstRung({ context: new Context(), count: 0 }, { count: 1_000_000 }, OPTIONS).kind, "full");
});

test("contexts and counts bound the difference: new keys count once, rewritten ones twice, deleted ones once", (t) => {
  const size = { max: 200 };
  holds(
    t,
    fc.property(fc.nat(size), fc.nat(size), fc.nat(size), fc.nat(size), (inserted, rewritten, deleted, mine) => {
      const [a, b] = [new Context(), new Context()];
      for (const context of [a, b]) context.addRange("aaaaaaaa", 1, 1000);
      const theirs = inserted + rewritten + deleted;
      if (theirs > 0) b.addRange("bbbbbbbb", 1, theirs);
      if (mine > 0) a.addRange("cccccccc", 1, mine);
      const bound = differencesAtMost({ context: a, count: 1000 + mine }, { context: b, count: 1000 + inserted - deleted });
      const differences = inserted + 2 * rewritten + deleted + mine;
      assert.ok(bound >= differences, `${bound} for ${differences}`);
      if (mine === 0 && [inserted, rewritten, deleted].filter((some) => some > 0).length === 1) assert.equal(bound, differences);
    }),
  );
});

test("the next sketch: what fits, or fourteen or four times what failed, while it pays", (t) => {
  t.is(nextCells(1000, 0, 1e6, OPTIONS), cellsFor(1000));
  t.is(nextCells(3, 0, 1e6, OPTIONS), 96);
  t.is(nextCells(1000, 96, 1e6, OPTIONS), cellsFor(1000));
  t.is(nextCells(10, 96, 1e6, OPTIONS), 14 * 96);
  t.is(nextCells(10, 96, 100 * 64, OPTIONS), 14 * 96);
  t.is(nextCells(10, 96, 80, OPTIONS), 4 * 96);
  t.is(nextCells(10, 96, 10, OPTIONS), 0);
  t.is(nextCells(1_000_000, 0, 1e9, OPTIONS), 0);
  t.is(nextCells(1, SKETCH_CELLS_MAX, 1e9, OPTIONS), 0);
});

test("what a sketch shows is the reverse of what it takes", (t) => {
  for (const dots of [1, 2, 10, 50, 100, 1000, 50_000]) {
    const shown = dotsShownBy(cellsFor(dots));
    t.true(shown >= dots - 1 && shown <= dots + 1, `${dots}: ${shown}`);
  }
  t.is(dotsShownBy(1), 1);
});
