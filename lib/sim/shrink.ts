/**
 * Makes a failing plan small: takes out halves, then quarters, down to single faults and operations, and whole nodes, and keeps whatever
 * still fails the same check (delta debugging, Zeller and Hildebrandt, 2002). What is left is usually a handful of lines.
 */
import type { Plan, PlannedFault, PlannedOperation } from "./plan.ts";

export interface ShrinkOptions {
  /** Runs that it may take. */
  readonly runsMax: number;
}

/** `fails`: whether a plan still fails in the same way. */
export async function shrink(plan: Plan, fails: (plan: Plan) => Promise<boolean>, { runsMax }: ShrinkOptions): Promise<Plan> {
  let smallest = plan;
  let runs = 0;
  const accept = async (candidate: Plan): Promise<boolean> => {
    if (runs >= runsMax) return false;
    runs++;
    if (!(await fails(candidate))) return false;
    smallest = candidate;
    return true;
  };
  for (let before = -1; before !== sizeOf(smallest) && runs < runsMax;) {
    before = sizeOf(smallest);
    await accept(withoutLateEnd(smallest));
    for (const { name } of plan.nodes) if (smallest.nodes.length > 1) await accept(withoutNode(smallest, name));
    await reduce(
      () => smallest.faults,
      (faults) => accept({ ...smallest, faults }),
    );
    await reduce(
      () => smallest.operations,
      (operations) => accept({ ...smallest, operations }),
    );
    for (const operation of smallest.operations) await simplify(operation, () => smallest, accept);
  }
  return smallest;
}

export function sizeOf({ nodes, faults, operations }: Plan): number {
  return nodes.length + faults.length + operations.reduce((parts, operation) => parts + operation.parts.length, 0);
}

/** Takes out ever smaller pieces of a list for as long as the rest is accepted. */
async function reduce<Item>(list: () => readonly Item[], accept: (rest: readonly Item[]) => Promise<boolean>): Promise<void> {
  for (let size = list().length; size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < list().length;) {
      const taken = await accept([...list().slice(0, at), ...list().slice(at + size)]);
      if (!taken) at += size;
    }
  }
}

async function simplify(operation: PlannedOperation, current: () => Plan, accept: (plan: Plan) => Promise<boolean>): Promise<void> {
  const replaced = (simpler: PlannedOperation): Plan => {
    const operations = current().operations.map((other) => (other.id === operation.id ? simpler : other));
    return { ...current(), operations };
  };
  let smallest = operation;
  const parts = (rest: PlannedOperation["parts"]) => ({ ...smallest, parts: rest });
  if (operation.parts.length > 1) {
    await reduce(
      () => smallest.parts,
      async (rest) => {
        if (rest.length === 0 || !(await accept(replaced(parts(rest))))) return false;
        smallest = parts(rest);
        return true;
      },
    );
  }
  const plain = parts(smallest.parts.map((part) => ({ ...part, rewrite: false, ttlMs: 0, valueBytes: 0, demand: "none" as const })));
  if (JSON.stringify(plain) !== JSON.stringify(smallest)) await accept(replaced(plain));
}

function withoutNode(plan: Plan, name: string): Plan {
  const faults = plan.faults.flatMap((fault): PlannedFault[] => {
    if ("node" in fault) return fault.node === name ? [] : [fault];
    if (fault.kind !== "cut") return [fault];
    const links = fault.links.filter((link) => !link.includes(name));
    return links.length === 0 ? [] : [{ ...fault, links }];
  });
  return {
    ...plan,
    nodes: plan.nodes.filter((node) => node.name !== name).map((node) => ({ ...node, peers: node.peers.filter((peer) => peer !== name) })),
    operations: plan.operations.filter((operation) => operation.node !== name),
    faults,
  };
}

/** Ends right after the last thing that happens. */
function withoutLateEnd(plan: Plan): Plan {
  const last = Math.max(0, ...plan.operations.map(({ atMs }) => atMs), ...plan.faults.map(({ atMs }) => atMs));
  return { ...plan, endMs: Math.min(plan.endMs, last + 1_000) };
}
