/** The simulator itself: it repeats itself to the byte, its seeds differ, and a handful of them keep all promises. */
import test from "ava";
import { runSeeds } from "../../lib/sim/campaign.ts";
import { Coverage } from "../../lib/sim/coverage.ts";
import { generatePlan } from "../../lib/sim/generate.ts";
import { FAULT_NAMES } from "../../lib/sim/plan.ts";
import { Prng } from "../../lib/sim/prng.ts";
import { ROUNDS_MAX, simulate } from "../../lib/sim/simulate.ts";

test("the same seed gives the same run, to the last byte", async (t) => {
  for (const seed of [1, 7, 20]) {
    const first = await simulate(generatePlan(seed), { transcript: true });
    const second = await simulate(generatePlan(seed), { transcript: true });
    t.deepEqual(first.transcript, second.transcript, `seed ${seed}`);
    t.true(first.transcript.length > 50, `seed ${seed} tells what happens`);
    t.deepEqual(first.coverage, second.coverage);
  }
});

test("a transcript is only a record: without it the run is the same", async (t) => {
  const plan = generatePlan(3);
  const told = await simulate(plan, { transcript: true });
  const silent = await simulate(plan);
  t.deepEqual(silent.transcript, []);
  t.deepEqual(silent.coverage, told.coverage);
  t.is(silent.rounds, told.rounds);
});

test("different seeds give different plans", (t) => {
  const plans = new Set(Array.from({ length: 50 }, (_, seed) => JSON.stringify({ ...generatePlan(seed), seed: 0 })));
  t.is(plans.size, 50);
});

test("a handful of seeds keep all promises, and most things happen in them", async (t) => {
  const { seeds, failed, coverage, rounds } = await runSeeds({ from: 500, count: 25 });
  t.is(failed?.outcome.failure, undefined);
  t.is(seeds, 25);
  t.true(Math.max(...rounds.keys()) <= ROUNDS_MAX);
  t.true(coverage.missing().length < 12, `never happened: ${coverage.missing().join(", ")}`);
});

test("limits of a plan are kept", (t) => {
  for (let seed = 0; seed < 20; seed++) {
    const plan = generatePlan(seed, { nodes: 5, operations: 12, faults: ["loss", "pause"] });
    t.is(plan.nodes.length, 5);
    t.is(plan.operations.length, 12);
    t.true(plan.faults.every(({ kind }) => kind === "loss" || kind === "pause"));
    t.deepEqual(generatePlan(seed, { faults: [] }).faults, []);
  }
});

test("every fault has its plans, in order of time, before the end", (t) => {
  for (const name of FAULT_NAMES) {
    const plans = Array.from({ length: 5 }, (_, seed) => generatePlan(seed, { nodes: 3, faults: [name] }));
    const planned = plans.flatMap(({ faults }) => faults);
    if (name === "different-peers") t.true(plans.some(({ nodes }) => nodes.some(({ peers }) => peers.length < 3)));
    else t.true(planned.length >= 5, name);
    for (const { faults, endMs } of plans) {
      t.true(
        faults.every(({ atMs }, i) => atMs >= (faults[i - 1]?.atMs ?? 0) && atMs < endMs),
        name,
      );
    }
  }
});

test("coverage names what is missing, and adds up", (t) => {
  const one = new Coverage();
  one.count("loss");
  const other = new Coverage();
  other.count("loss", 2);
  other.count("swept");
  one.add(other);
  t.is(one.of("loss"), 3);
  t.false(one.missing().includes("swept"));
  t.true(one.missing().includes("split"));
  t.regex(one.lines().join("\n"), /loss 3/);
});

test("streams of chance: the same for the same label, apart from each other, and uniform", (t) => {
  const draw = (prng: Prng) => Array.from({ length: 8 }, () => prng.uint32());
  const root = new Prng("a");
  const before = draw(root.fork("x"));
  draw(root);
  t.deepEqual(draw(root.fork("x")), before, "whatever was drawn meanwhile");
  t.notDeepEqual(draw(root.fork("y")), before);
  const counts = [0, 0, 0, 0];
  const dice = new Prng("dice");
  for (let i = 0; i < 40_000; i++) counts[dice.below(4)]!++;
  t.true(
    counts.every((count) => Math.abs(count - 10_000) < 500),
    String(counts),
  );
  t.true(draw(dice).every((value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32));
});
