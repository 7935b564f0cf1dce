/** The faults of a plan: of each chosen kind one to three, at times and for spans that the product's timeouts lie in the middle of. */
import type { DiskFate, FaultName, PlannedFault, PlannedOperation } from "./plan.ts";
import type { Prng } from "./prng.ts";

const HOUR_MS = 3_600_000;

interface Scene {
  readonly prng: Prng;
  readonly names: readonly string[];
  readonly endMs: number;
  readonly diskMs: number;
  readonly operations: readonly PlannedOperation[];
}

export function generateFaults(chosen: ReadonlySet<FaultName>, scene: Scene): PlannedFault[] {
  const faults: PlannedFault[] = [];
  for (const name of chosen) {
    // A stream for each kind: choosing one more leaves the others as they are.
    const prng = scene.prng.fork(name);
    const times = prng.between(1, 3);
    for (let i = 0; i < times; i++) faults.push(...generateFault(name, { ...scene, prng }));
  }
  return faults.sort((a, b) => a.atMs - b.atMs);
}

function generateFault(name: FaultName, scene: Scene): PlannedFault[] {
  const { prng, names, endMs } = scene;
  const { node, atMs } = momentOf(scene);
  const untilMs = Math.min(endMs, atMs + prng.skewed(500, 40_000));
  const restart = (disk: DiskFate, at = atMs): PlannedFault => {
    const downMs = prng.chance(0.5) ? prng.between(1, 900) : prng.between(1_000, 30_000);
    return { kind: "restart", atMs: at, node, downMs, disk };
  };
  switch (name) {
    case "loss":
    case "duplicate":
    case "reorder":
    case "delay":
    case "stale-sketch":
      return [{ kind: name, atMs, untilMs: prng.chance(0.3) ? endMs : untilMs, share: prng.pick([0.05, 0.3, 0.8]) }];
    case "cut-one-way":
    case "cut-asymmetric":
    case "split":
      return generateCut(name, prng, names, atMs, untilMs);
    case "crash":
      return [restart("kept")];
    case "restart-empty":
      return [restart("empty")];
    case "restart-lost-entries":
      return [restart("lost-entries")];
    case "restart-flipped-bits":
      return [restart("flipped-bits")];
    case "flip-bits":
      return [{ kind: "flip-bits", atMs, node, records: prng.skewed(1, 6), scrubAfterMs: prng.skewed(1, 20_000) }];
    case "restart-copy":
      return [{ kind: "copy", atMs, node }, restart("copy", prng.between(atMs + 1, endMs - 1))];
    case "disk-failed":
    case "disk-full": {
      const how = name === "disk-full" ? "full" : "failed";
      return [{ kind: "disk", how, atMs, node, forMs: prng.between(100, 20_000), applied: prng.chance(0.5) }];
    }
    case "slow-disk":
      return [{ kind: "slow-disk", atMs, untilMs, node, delayMs: prng.between(200, 8_000) }];
    case "pause":
      return [{ kind: "pause", atMs, node, forMs: Math.min(prng.between(100, 30_000), endMs - atMs) }];
    case "clock-hour": {
      const sign = prng.chance(0.6) ? 1 : -1;
      return [{ kind: "clock", atMs: prng.chance(0.5) ? 0 : atMs, node, offsetMs: sign * (HOUR_MS + prng.below(60_000)) }];
    }
    case "clock-back":
      return [{ kind: "clock", atMs, node, offsetMs: -prng.skewed(1, 600_000) }];
    case "forged":
      return [{ kind: "forged", atMs, node }];
    case "different-peers":
      return [];
  }
}

/** Half of all faults fall into the milliseconds after a write, while it is on its way to the disk and to the peers. */
function momentOf({ prng, names, endMs, diskMs, operations }: Scene): { readonly node: string; readonly atMs: number } {
  const anywhere = { node: prng.pick(names), atMs: prng.between(0, endMs - 2_000) };
  if (operations.length === 0 || prng.chance(0.5)) return anywhere;
  const { node, atMs } = prng.pick(operations);
  return { node: prng.chance(0.8) ? node : anywhere.node, atMs: Math.min(endMs - 2_000, atMs + prng.skewed(0, 2 * diskMs)) };
}

function generateCut(
  shape: "cut-one-way" | "cut-asymmetric" | "split",
  prng: Prng,
  names: readonly string[],
  atMs: number,
  untilMs: number,
): PlannedFault[] {
  if (names.length < 2) return [];
  const shuffled = names.map((name) => ({ name, at: prng.uint32() })).sort((a, b) => a.at - b.at);
  const [first, second] = shuffled.map(({ name }) => name) as [string, string];
  const links: [string, string][] = [];
  if (shape === "cut-one-way") {
    links.push([first, second]);
  } else if (shape === "cut-asymmetric") {
    // Two nodes cannot hear each other, though a third may hear both; in a larger cluster some one-way cuts besides.
    links.push([first, second], [second, first]);
    for (const from of names) for (const to of names) if (from !== to && prng.chance(0.2)) links.push([from, to]);
  } else {
    const size = prng.between(1, names.length - 1);
    const inside = new Set(shuffled.slice(0, size).map(({ name }) => name));
    for (const from of names) for (const to of names) if (inside.has(from) !== inside.has(to)) links.push([from, to]);
  }
  return [{ kind: "cut", shape, atMs, untilMs, links }];
}
