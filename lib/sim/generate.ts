/**
 * Makes the plan of a seed. Each seed enables its own random subset of faults and of what clients do (swarm testing, Groce and others,
 * 2012): with everything enabled at once faults hide each other, and a run in which nodes do nothing but restart finds other
 * mistakes than one in which nothing but deletions are lost.
 */
import type { FaultName, Plan, PlannedNode, PlannedOperation, PlannedPart, Settings } from "./plan.ts";
import { FAULT_NAMES } from "./plan.ts";
import { generateMerging } from "./generate-merging.ts";
import { generateFaults } from "./generate-faults.ts";
import { Prng } from "./prng.ts";

export interface PlanLimits {
  /** A fixed number of nodes instead of one chosen by the seed. */
  readonly nodes?: number | undefined;
  /** A fixed number of client operations. */
  readonly operations?: number | undefined;
  /** Only these faults; each still only in some seeds unless it is the only one. */
  readonly faults?: readonly FaultName[] | undefined;
}

export function generatePlan(seed: number, limits: PlanLimits = {}): Plan {
  const prng = new Prng(`plan ${seed}`);
  const chosen = chooseFaults(prng.fork("faults chosen"), limits.faults);
  const nodes = generateNodes(prng.fork("nodes"), limits.nodes, chosen.has("different-peers"));
  const names = nodes.map(({ name }) => name);
  const endMs = prng.between(25_000, 90_000);
  const workload = chooseWorkload(prng.fork("workload"));
  const settings = generateSettings(prng.fork("settings"), workload);
  const operations = generateOperations(prng.fork("operations"), workload, names, endMs, limits.operations);
  const faults = generateFaults(chosen, { prng: prng.fork("faults"), names, endMs, diskMs: settings.diskMs, operations });
  return { seed, nodes, settings, operations, faults, endMs };
}

function chooseFaults(prng: Prng, only: readonly FaultName[] | undefined): Set<FaultName> {
  const allowed = only ?? FAULT_NAMES;
  const share = prng.pick([0.1, 0.25, 0.25, 0.4]);
  const chosen = new Set(allowed.filter(() => prng.chance(share)));
  if (allowed.length > 0) chosen.add(prng.pick(allowed));
  return chosen;
}

function generateNodes(prng: Prng, fixed: number | undefined, differ: boolean): PlannedNode[] {
  const count = fixed ?? prng.pick([2, 2, 2, 3, 3, 3, 4]);
  const names = Array.from({ length: count }, (_, i) => `n${i + 1}`);
  return names.map((name, i) => {
    if (!differ || count === 1) return { name, peers: names };
    // A chain of lists keeps the cluster connected; everything beyond it is left to chance.
    const next = names[(i + 1) % count]!;
    return { name, peers: names.filter((other) => other !== name && (other === next ? i < count - 1 || count === 2 : prng.chance(0.3))) };
  });
}

function generateSettings(prng: Prng, { bulk, breaker }: Workload): Settings {
  return {
    recentDeletionsMax: breaker ? 0 : prng.pick([0, 2, 2, 10_000]),
    answerBytesMax: bulk ? 2_000 : prng.pick([1, 200, 200, 1_000, 256 * 1024]),
    pushKeysMax: prng.pick([2, 10_000, 10_000]),
    dropsAllowed: breaker ? 1 : 10_000,
    dropShareMax: breaker ? 0.1 : 0.5,
    // The stores are small here: in half of the plans a sketch is tried whatever it costs.
    entryBytes: prng.pick([64, 1_000_000]),
    linkMs: prng.pick([5, 50, 400]),
    diskMs: prng.pick([2, 20, 200]),
    gatherMs: prng.pick([-1, -1, 0, 20]),
    // With few cells the small contexts of these stores are larger than a sketch, and differences of a few dots do not decode.
    firstCells: prng.pick([96, 96, 24, 4]),
  };
}

/** What the clients of one seed do: shares of their operations. */
interface Workload {
  readonly keys: readonly string[];
  readonly hotKeys: number;
  readonly hot: number;
  readonly deletes: number;
  readonly tokens: number;
  readonly rewrites: number;
  readonly expiring: number;
  readonly batches: number;
  readonly copies: number;
  /** One operation that writes hundreds of keys: more than a page of the index holds. */
  readonly bulk: boolean;
  /** Many deletions that nobody remembers, and a low limit to what one repair may remove. */
  readonly breaker: boolean;
}

function chooseWorkload(prng: Prng): Workload {
  const some = (share: number, ...values: number[]): number => (prng.chance(share) ? prng.pick(values) : 0);
  const keyCount = prng.pick([1, 4, 12, 40]);
  const breaker = prng.chance(0.12);
  return {
    keys: Array.from({ length: keyCount }, (_, i) => (i % 7 === 6 ? `ключ/${i}` : `k${i}`)),
    hotKeys: Math.min(keyCount, prng.between(1, 3)),
    hot: prng.pick([0, 0.5, 0.9]),
    deletes: breaker ? 0.5 : some(0.7, 0.15, 0.4),
    tokens: some(0.6, 0.3, 0.7),
    rewrites: some(0.3, 0.3),
    expiring: some(0.4, 0.1, 0.5),
    batches: some(0.4, 0.2),
    copies: some(0.4, 0.3),
    bulk: prng.chance(0.01),
    breaker,
  };
}

function generateOperations(
  prng: Prng,
  workload: Workload,
  names: readonly string[],
  endMs: number,
  fixed: number | undefined,
): PlannedOperation[] {
  const count = fixed ?? prng.between(30, 110);
  const operations: PlannedOperation[] = [];
  let atMs = 0;
  for (let id = 1; id <= count; id++) {
    const roll = prng.below(10);
    // Writes that do not know of each other happen at the same moment, or nearly.
    if (roll >= 5) atMs = prng.between(0, endMs - 1_000);
    else if (roll >= 3) atMs = Math.min(endMs - 1, atMs + prng.between(1, 60));
    const partCount = workload.bulk && id === 1 ? 400 : prng.chance(workload.batches) ? prng.between(2, 5) : 1;
    const parts = Array.from({ length: partCount }, (_, i) => generatePart(prng, workload, names, partCount > 5 ? `bulk${i}` : undefined));
    operations.push({ id, atMs, node: prng.pick(names), parts, copies: names.length > 1 && prng.chance(workload.copies) ? 2 : 1 });
  }
  const extra = fixed === undefined ? generateExtra(prng.fork("extra"), operations, names, endMs) : [];
  const merging = fixed === undefined ? generateMerging(prng.fork("merging"), names, endMs) : [];
  return [...operations.map(addDemands(prng.fork("demands"))), ...extra, ...merging].sort((a, b) => a.atMs - b.atMs || a.id - b.id);
}

/** In some seeds clients demand what a key must be like. */
function addDemands(prng: Prng): (operation: PlannedOperation) => PlannedOperation {
  const share = prng.chance(0.4) ? prng.pick([0.15, 0.5]) : 0;
  const demand = (part: PlannedPart) => (prng.chance(share) ? { ...part, demand: prng.pick(["free", "here", "old"] as const) } : part);
  return (operation) => ({ ...operation, parts: operation.parts.map(demand) });
}

/** In some seeds keys that others write are touched, and read from several nodes. */
function generateExtra(prng: Prng, operations: readonly PlannedOperation[], names: readonly string[], endMs: number): PlannedOperation[] {
  const share = prng.chance(0.4) ? prng.pick([0.1, 0.4]) : 0;
  return operations
    .filter(() => prng.chance(share))
    .map(({ id, atMs, parts }) => {
      const kind = prng.pick(["touch", "read"] as const);
      const ttlMs = kind === "touch" && prng.chance(0.7) ? prng.between(1, 40_000) : 0;
      const part = { ...parts[0]!, kind, ttlMs, token: "none", rewrite: false, valueBytes: 0, demand: "none" } as const;
      const copies = kind === "read" && names.length > 1 ? prng.between(2, Math.min(3, names.length)) : 1;
      return {
        id: id + EXTRA_IDS,
        atMs: Math.min(endMs - 1, atMs + prng.between(0, 2_000)),
        node: prng.pick(names),
        parts: [part],
        copies,
      };
    });
}

/** Above those of the other operations. */
const EXTRA_IDS = 10_000;

function generatePart(prng: Prng, workload: Workload, names: readonly string[], bulkKey: string | undefined): PlannedPart {
  const hot = prng.chance(workload.hot);
  const key = bulkKey ?? (hot ? workload.keys[prng.below(workload.hotKeys)]! : prng.pick(workload.keys));
  return {
    key,
    kind: bulkKey === undefined && prng.chance(workload.deletes) ? "delete" : "put",
    demand: "none",
    token: prng.chance(workload.tokens) ? prng.pick(["here", "elsewhere", "old"]) : "none",
    tokenNode: prng.pick(names),
    rewrite: prng.chance(workload.rewrites),
    ttlMs: prng.chance(workload.expiring) ? prng.between(1, 40_000) : 0,
    valueBytes: prng.skewed(0, 300),
  };
}
