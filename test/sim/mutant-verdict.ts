/**
 * When a planted bug counts as caught: a check of the simulator has told of a broken promise, on a seed that the unchanged program passes.
 *
 * A patch that merely crashes the program proves nothing about the checks: every look at it would find that. Nor does a seed on which
 * the program fails without the bug.
 */
import { FAULT_NAMES } from "../../lib/sim/plan.ts";
import type { Mutant } from "./mutant-table.ts";

/** What the simulator found in a copy of the sources. */
export interface MutantResult {
  readonly seeds: number;
  readonly seed: number | undefined;
  /** Undefined when no seed failed. */
  readonly check: string | undefined;
  readonly detail: string | undefined;
}

/** Something was thrown that no check caught. */
export const CRASHED = "crashed";

/** What JavaScript says of a program that is wrong as such. A node that met one stops, which a check tells of. */
const CRASH = /\b(?:TypeError|ReferenceError|SyntaxError|RangeError)\b/;

/** What is wrong with the mutant itself. */
export function problemOf({ faults = [] }: Pick<Mutant, "faults">): string | undefined {
  const unknown = faults.find((fault) => !FAULT_NAMES.includes(fault));
  return unknown === undefined ? undefined : `no fault is called "${unknown}": one of ${FAULT_NAMES.join(", ")}`;
}

/** Why this is no catch, or undefined when it is one. `unchanged` plays the seed with the program as it is: the check that it fails, if any. */
export async function whyNotCaught(
  { seeds, seed, check, detail = "" }: MutantResult,
  unchanged: (seed: number) => Promise<string | undefined>,
): Promise<string | undefined> {
  if (check === undefined || seed === undefined) return `survived ${seeds} seeds`;
  if (check === CRASHED || CRASH.test(detail)) return `it crashes with seed ${seed}, and breaks no promise: ${detail.split("\n", 1)[0]}`;
  const already = await unchanged(seed);
  return already === undefined ? undefined : `seed ${seed} fails without the bug as well: ${already}`;
}
