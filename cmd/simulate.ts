/**
 * `concord simulate`: whole clusters in this process, under virtual time, one for each seed, until one breaks a promise.
 *
 * A seed that fails is made small and shown with all that happened in it. Many seeds that succeed must also have seen every fault and
 * every path at least once: a simulation that no longer breaks anything would look just as green.
 */
import { FAULT_NAMES, formatFault, formatOperation, type FaultName, type Plan } from "../lib/sim/plan.ts";
import { runSeeds, shrinkFailure, type Campaign } from "../lib/sim/campaign.ts";
import { generatePlan, type PlanLimits } from "../lib/sim/generate.ts";
import { ROUNDS_MAX, simulate, type Outcome } from "../lib/sim/simulate.ts";
import { createCommand } from "./command.ts";
import { EXIT, usageFailure } from "./exit.ts";
import type { Output } from "./terminal.ts";

/** From this many seeds on everything must have been covered. */
const COVERAGE_FROM_SEEDS = 400;

/** Runs for making a failure small: a few seconds. */
const SHRINK_RUNS_MAX = 800;

/** The exit code of a broken promise. */
const FAILED = 1;

export const simulateCommand = createCommand({
  name: "simulate",
  summary: "looks for broken promises in simulated clusters",
  details: [
    "Each seed makes a plan of nodes, clients and faults, and plays it in virtual time. The same seed gives the same run, to the last byte.",
    `Faults: ${FAULT_NAMES.join(", ")}.`,
  ],
  args: {
    seeds: { type: "string", description: "How many seeds to play.", valueHint: "200", default: "200" },
    from: { type: "string", description: "The first of them.", valueHint: "1", default: "1" },
    seed: { type: "string", description: "Plays this one seed twice, and shows all that happened.", valueHint: "42" },
    nodes: { type: "string", description: "Nodes of each cluster, 1 to 9; else the seed says.", valueHint: "3" },
    ops: { type: "string", description: "Client operations of each run; else the seed says.", valueHint: "100" },
    faults: { type: "string", description: "Only these faults, with commas in between; none for no fault.", valueHint: "loss,crash" },
    shrink: { type: "boolean", description: "Makes a failure small before it is shown (the default; --no-shrink).", default: true },
    quiet: { type: "boolean", description: "Shows one line when all is well." },
  },
  conflicts: [["seed", "seeds"]],
  examples: [
    ["concord simulate --seeds=2000", "two thousand clusters"],
    ["concord simulate --seed=42", "what happens in one of them"],
    ["concord simulate --seeds=100 --nodes=5 --faults=split,restart-empty", "some faults only"],
    ["npm run sim -- --seeds 2000", "the same in a clone of the repository"],
  ],
  async run(values, { stdout }) {
    const limits: PlanLimits = {
      nodes: values.nodes === undefined ? undefined : integer("nodes", values.nodes, 1, 9),
      operations: values.ops === undefined ? undefined : integer("ops", values.ops, 0, 10_000),
      faults: values.faults === undefined ? undefined : faultsOf(values.faults),
    };
    if (values.seed !== undefined) return replay(generatePlan(integer("seed", values.seed, 0, SEED_MAX), limits), stdout);
    const count = integer("seeds", values.seeds, 1, 10_000_000);
    const startedMs = performance.now();
    const campaign = await runSeeds({ from: integer("from", values.from, 0, SEED_MAX), count, limits });
    const perSecond = campaign.seeds / ((performance.now() - startedMs) / 1000);
    if (campaign.failed !== undefined) return showFailure(campaign.failed.plan, campaign.failed.outcome, values.shrink, stdout);
    const free = limits.nodes === undefined && limits.operations === undefined && limits.faults === undefined;
    return showSuccess(campaign, perSecond, free && count >= COVERAGE_FROM_SEEDS, values.quiet, stdout);
  },
});

const SEED_MAX = Number.MAX_SAFE_INTEGER;

async function replay(plan: Plan, stdout: Output): Promise<number> {
  const outcome = await simulate(plan, { transcript: true });
  const again = await simulate(plan, { transcript: true });
  stdout.write(`${[...linesOf(plan), "", ...outcome.transcript, ""].join("\n")}\n`);
  const same = outcome.transcript.join("\n") === again.transcript.join("\n");
  stdout.write(`${outcome.transcript.length} lines, ${same ? "the same" : "NOT the same"} in two runs\n`);
  const verdict = outcome.failure === undefined ? "all promises kept" : `broken: ${outcome.failure.check}: ${outcome.failure.detail}`;
  stdout.write(`seed ${plan.seed}: ${verdict}\n`);
  return same && outcome.failure === undefined ? EXIT.done : FAILED;
}

async function showFailure(plan: Plan, outcome: Outcome, shrinks: boolean, stdout: Output): Promise<number> {
  const { check, detail } = outcome.failure!;
  stdout.write(`seed ${plan.seed} breaks a promise\n  ${check}: ${detail}\n`);
  const smallest = shrinks ? await shrinkFailure(plan, check, SHRINK_RUNS_MAX) : plan;
  const { failure, transcript } = await simulate(smallest, { transcript: true });
  const from = `${plan.faults.length} faults and ${plan.operations.length} operations`;
  const to = `${smallest.faults.length} and ${smallest.operations.length}`;
  if (shrinks) stdout.write(`made smaller, from ${from} to ${to}\n`);
  stdout.write(`${["", ...linesOf(smallest), "", ...transcript, ""].join("\n")}\n`);
  stdout.write(`seed ${plan.seed} breaks a promise: ${failure?.check}: ${failure?.detail}\n`);
  stdout.write(`all of it: --seed ${plan.seed}\n`);
  return FAILED;
}

function showSuccess({ seeds, coverage, rounds }: Campaign, perSecond: number, mustCover: boolean, quiet: boolean, stdout: Output): number {
  const missing = mustCover ? coverage.missing() : [];
  const slowest = Math.max(0, ...rounds.keys());
  if (!quiet) stdout.write(`${coverage.lines().join("\n")}\n`);
  if (missing.length > 0) stdout.write(`never happened in ${seeds} seeds: ${missing.join(", ")}\n`);
  const speed = `${perSecond.toFixed(0)} seeds/s`;
  const equal = `all nodes equal within ${slowest} rounds of pings (${ROUNDS_MAX} are allowed)`;
  const verdict = missing.length === 0 ? "no promise broken" : `${missing.length} things that must happen did not`;
  stdout.write(`${seeds} seeds, ${speed}, ${equal}: ${verdict}\n`);
  return missing.length === 0 ? EXIT.done : FAILED;
}

function linesOf({ seed, nodes, settings, operations, faults, endMs }: Plan): string[] {
  const limits = Object.entries(settings).map(([name, value]) => `${name} ${value}`);
  return [
    `seed ${seed}: ${endMs / 1000} s of virtual time; ${limits.join(", ")}`,
    ...nodes.map(({ name, peers }) => `node ${name}, told of ${peers.filter((peer) => peer !== name).join(" ") || "nobody"}`),
    ...faults.map((fault) => `fault ${formatFault(fault)}`),
    ...operations.map((operation) => `client ${formatOperation(operation)}`),
  ];
}

function integer(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw usageFailure(`--${name} is a whole number from ${min} to ${max}, not ${JSON.stringify(text)}`);
}

function faultsOf(text: string): FaultName[] {
  if (text === "none") return [];
  return text.split(",").map((name) => {
    const known = FAULT_NAMES.find((fault) => fault === name);
    if (known === undefined) throw usageFailure(`there is no fault ${JSON.stringify(name)}; there are ${FAULT_NAMES.join(", ")}`);
    return known;
  });
}
