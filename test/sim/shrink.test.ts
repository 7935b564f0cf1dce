/** The shrinker, on planted failures: what they need stays, all else goes. */
import test from "ava";
import { generatePlan } from "../../lib/sim/generate.ts";
import type { Plan } from "../../lib/sim/plan.ts";
import { shrink, sizeOf } from "../../lib/sim/shrink.ts";
import { simulate } from "../../lib/sim/simulate.ts";

const planted = (): Plan => generatePlan(12, { nodes: 4, operations: 90 });

test("a failure that needs two operations and a fault shrinks to these", async (t) => {
  const plan = planted();
  const [first, second] = [plan.operations[20]!.id, plan.operations[70]!.id];
  const fault = plan.faults[Math.floor(plan.faults.length / 2)]!;
  const fails = async ({ operations, faults }: Plan): Promise<boolean> => {
    const ids = operations.map(({ id }) => id);
    return ids.includes(first) && ids.includes(second) && faults.some(({ kind, atMs }) => kind === fault.kind && atMs === fault.atMs);
  };
  const smallest = await shrink(plan, fails, { runsMax: 5_000 });
  t.deepEqual(smallest.operations.map(({ id }) => id).sort(), [first, second].sort());
  t.is(smallest.faults.length, 1);
  t.true(smallest.operations.every(({ parts }) => parts.length === 1));
  t.true(smallest.nodes.length < plan.nodes.length);
});

test("nodes that a failure does not need go, and everything that speaks of them", async (t) => {
  const plan = planted();
  const smallest = await shrink(plan, async ({ operations }) => operations.some(({ node }) => node === "n3"), { runsMax: 5_000 });
  t.deepEqual(
    smallest.nodes.map(({ name }) => name),
    ["n3"],
  );
  t.deepEqual(
    smallest.nodes[0]!.peers.filter((peer) => peer !== "n3"),
    [],
  );
  t.is(smallest.operations.length, 1);
  t.deepEqual(smallest.faults, []);
});

test("a failure that needs nothing shrinks to one node and nothing that happens", async (t) => {
  const smallest = await shrink(planted(), async () => true, { runsMax: 5_000 });
  t.is(sizeOf(smallest), 1);
  t.is((await simulate(smallest)).failure, undefined);
});

test("it stops when its runs are used up", async (t) => {
  let runs = 0;
  const fails = async (): Promise<boolean> => ++runs > 0 && false;
  const plan = planted();
  t.is(await shrink(plan, fails, { runsMax: 10 }), plan);
  t.is(runs, 10);
});
