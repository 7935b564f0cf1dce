/**
 * Runs the simulator of one compiled copy of the sources until a seed fails, and says which: `mutant-child.ts ROOT FROM COUNT FAULT…`. A process of
 * its own for each mutant, because a module is loaded once.
 */
import { pathToFileURL } from "node:url";
import type { FaultName } from "../../lib/sim/plan.ts";
import type { runSeeds as RunSeeds } from "../../lib/sim/campaign.ts";
import { CRASHED, type MutantResult } from "./mutant-verdict.ts";

const [root = "", from = "1", count = "2000", ...faults] = process.argv.slice(2);
const limits = faults.length === 0 ? {} : { faults: faults as FaultName[] };
// A mutant may break in ways that no check foresees. That ends the run, and is no catch (mutant-verdict.ts).
process.on("unhandledRejection", (error) =>
  finish({ seeds: current, seed: Number(from) + current - 1, check: CRASHED, detail: String(error) }),
);

let current = 1;
const { runSeeds } = (await import(pathToFileURL(`${root}/lib/sim/campaign.js`).href)) as { runSeeds: typeof RunSeeds };
try {
  const { seeds, failed } = await runSeeds({ from: Number(from), count: Number(count), limits, onSeed: (done) => (current = done + 1) });
  finish({ seeds, seed: failed?.plan.seed, check: failed?.outcome.failure?.check, detail: failed?.outcome.failure?.detail });
} catch (error) {
  finish({
    seeds: current,
    seed: Number(from) + current - 1,
    check: CRASHED,
    detail: error instanceof Error ? (error.stack ?? "") : String(error),
  });
}

function finish(result: MutantResult): void {
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
}
