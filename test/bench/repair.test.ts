/** The side-by-side bench, small: every system ends with what it must hold, and the bench would notice if one did not. */
import test from "ava";
import { differenceOf, runCell, SYSTEMS, type CellResult } from "./repair/cell.ts";
import { createWorkload, SHAPES } from "./repair/workload.ts";

const SMALL = { keys: 200, changes: 10, seed: 1 };

for (const system of SYSTEMS) {
  test(`${system}: deletions on both sides reach the other and stay`, async (t) => {
    const result = await new Promise<CellResult>((resolve, reject) => {
      runCell({ ...SMALL, system, shape: "deleted" }, (report) => report !== "ready" && resolve(report)).catch(reject);
    });
    t.is(result.wrong, undefined);
    const { payloadBytes } = createWorkload({ ...SMALL, shape: "deleted" });
    t.true(result.bytes > payloadBytes, `${result.bytes} bytes for ${payloadBytes}`);
    t.true(result.messages > 1 && result.tookMs > 0);
  });
}

test("a workload is the same for the same seed, and differs in as many keys as asked for", (t) => {
  for (const shape of SHAPES) {
    const workload = createWorkload({ ...SMALL, shape });
    t.deepEqual(workload, createWorkload({ ...SMALL, shape }));
    t.notDeepEqual(workload, createWorkload({ ...SMALL, shape, seed: 2 }));
    const { before, after, rounds } = workload;
    const differing = [...new Set([...before.keys(), ...after.keys()])].filter((key) => before.get(key) !== after.get(key));
    t.is(differing.length, SMALL.changes, shape);
    const ofA = new Set(rounds.a.flat().map(({ key }) => key));
    t.false(
      rounds.b.flat().some(({ key }) => ofA.has(key)),
      shape,
    );
  }
});

test("a key that is missing, other or back is told", (t) => {
  const wanted = new Map([
    ["a", "1"],
    ["b", "2"],
  ]);
  const found = new Map([
    ["b", "3"],
    ["c", "4"],
  ]);
  t.is(differenceOf("a", wanted, wanted, "deleted"), undefined);
  t.is(differenceOf("a", found, wanted, "deleted"), "on side a, 1 keys are missing, 1 hold another value, 1 deleted keys are back");
});
