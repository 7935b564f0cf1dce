/** Random histories of a few stores: writes of every kind, messages that come late, twice or never, repairs that break off, restarts. */
import fc from "fast-check";
import type { World } from "./world.ts";

const KEYS = ["k", "l", "m", "n"] as const;

export type Step = (world: World) => void | Promise<void>;

/** A step, and how it is shown in a counterexample. */
function step<Parts extends unknown[]>(
  name: string,
  parts: { [K in keyof Parts]: fc.Arbitrary<Parts[K]> },
  run: (world: World, ...values: Parts) => void | Promise<void>,
): fc.Arbitrary<Step> {
  return fc.tuple(...parts).map((values) => {
    const one: Step = (world) => run(world, ...(values as Parts));
    return Object.assign(one, { [fc.toStringMethod]: () => `${name}(${values.join(", ")})` });
  });
}

export interface HistoryOptions {
  readonly sides: number;
  readonly steps: number;
  /** Repairs too, or only writes and pushes. */
  readonly repairs: boolean;
}

export function histories({ sides, steps, repairs }: HistoryOptions): fc.Arbitrary<Step[]> {
  const side = fc.nat({ max: sides - 1 });
  const key = fc.constantFrom(...KEYS);
  const choice = fc.nat({ max: 9 });
  const other = fc.integer({ min: 1, max: sides - 1 });
  const peerOf = (one: number, distance: number): number => (one + distance) % sides;
  const kind = fc.constantFrom("delta" as const, "delta" as const, "full" as const);
  const options = [
    { weight: 5, arbitrary: step("put", [side, key], (world, at, name) => void world.put(at, name)) },
    {
      weight: 2,
      arbitrary: step("put with token", [side, key, choice], (world, at, name, which) => void world.putWithToken(at, name, which)),
    },
    {
      weight: 1,
      arbitrary: step("put to expire", [side, key], (world, at, name) => void world.put(at, name, { expiresAtMs: world.nowMs + 1 })),
    },
    { weight: 4, arbitrary: step("delete", [side, key], (world, at, name) => world.remove(at, name)) },
    {
      weight: 1,
      arbitrary: step("delete with token", [side, key, choice], (world, at, name, which) => world.removeWithToken(at, name, which)),
    },
    { weight: 2, arbitrary: step("read", [side, key], (world, at, name) => world.read(at, name)) },
    { weight: 2, arbitrary: step("push", [side, other], (world, at, distance) => world.push(at, peerOf(at, distance))) },
    { weight: 3, arbitrary: step("deliver", [choice, fc.boolean()], (world, which, keep) => world.deliver(which, keep)) },
    {
      weight: 1,
      arbitrary: step("sweep", [side, fc.constantFrom(1, 2, 3_600_001)], (world, at, ms) => {
        world.nowMs += ms;
        world.sweep(at);
      }),
    },
    { weight: 1, arbitrary: step("persist", [side], (world, at) => world.persist(at)) },
    { weight: 1, arbitrary: step("restart", [side], (world, at) => world.restart(at)) },
  ];
  const repair = step("pull", [side, other, fc.integer({ min: 1, max: 8 }), kind], (world, at, distance, count, how) => {
    world.pull(at, peerOf(at, distance), count, how);
  });
  return fc.array(fc.oneof(...options, ...(repairs ? [{ weight: 5, arbitrary: repair }] : [])), { maxLength: steps, size: "max" });
}
