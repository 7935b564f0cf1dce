/** Many seeds one after the other, until one fails: what was covered, and how soon the nodes were equal. */
import { Coverage } from "./coverage.ts";
import { generatePlan, type PlanLimits } from "./generate.ts";
import type { Plan } from "./plan.ts";
import { shrink } from "./shrink.ts";
import { simulate, type Outcome } from "./simulate.ts";

export interface Campaign {
  readonly seeds: number;
  readonly coverage: Coverage;
  /** How many seeds took how many rounds of pings until all nodes were equal. */
  readonly rounds: ReadonlyMap<number, number>;
  readonly failed: { readonly plan: Plan; readonly outcome: Outcome } | undefined;
}

export interface CampaignOptions {
  readonly from: number;
  readonly count: number;
  readonly limits?: PlanLimits;
  /** After each seed. */
  readonly onSeed?: (done: number) => void;
}

export async function runSeeds({ from, count, limits, onSeed }: CampaignOptions): Promise<Campaign> {
  const coverage = new Coverage();
  const rounds = new Map<number, number>();
  for (let done = 0; done < count; done++) {
    const plan = generatePlan(from + done, limits);
    const outcome = await simulate(plan);
    coverage.add(outcome.coverage);
    if (outcome.failure !== undefined) return { seeds: done + 1, coverage, rounds, failed: { plan, outcome } };
    rounds.set(outcome.rounds, (rounds.get(outcome.rounds) ?? 0) + 1);
    onSeed?.(done + 1);
  }
  return { seeds: count, coverage, rounds, failed: undefined };
}

/** The smallest plan found that fails the same check. */
export function shrinkFailure(plan: Plan, check: string, runsMax: number): Promise<Plan> {
  return shrink(plan, async (candidate) => (await simulate(candidate)).failure?.check === check, { runsMax });
}
