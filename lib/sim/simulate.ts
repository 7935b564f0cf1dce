/**
 * Runs one plan from its first to its last virtual millisecond. Nothing here reads a clock or rolls dice but through the world, so the
 * same plan gives the same run, to the last byte of its transcript.
 *
 * The product uses promises in two places only, around a batch on its way to the disk and around a client's write. After each event
 * that settles one, what awaits it runs to its end before the next event begins.
 */
import { Clients } from "./clients.ts";
import { areEqual, checkConvergence } from "./convergence.ts";
import type { Coverage } from "./coverage.ts";
import { Faults } from "./faults.ts";
import { checkLimits } from "./limits.ts";
import { Machine } from "./machine.ts";
import { Network } from "./network.ts";
import type { Plan } from "./plan.ts";
import { World, type Failure } from "./world.ts";

/**
 * The stated number: after the last fault and the last write all nodes are equal within this many rounds of pings.
 */
export const ROUNDS_MAX = 12;

/** How often a round of pings comes: the product's default. */
const ROUND_MS = 10_000;

/** Rounds after which a cluster that still writes (sweeps, after clocks were wrong) is given up. */
const ROUNDS_END = 40;

const AUDIT_EVERY_TICKS = 20;
const LIMITS_EVERY_TICKS = 4;

/** Promise jobs that one event may need: a batch's promise, the node's, the Kv's and the client's are four, doubled twice. */
const HOPS = 16;

const SETTLED = Promise.resolve();

export interface Outcome {
  readonly failure: Failure | undefined;
  readonly coverage: Coverage;
  /** Rounds of pings until all nodes were equal. */
  readonly rounds: number;
  readonly transcript: readonly string[];
}

export async function simulate(plan: Plan, options: { readonly transcript?: boolean } = {}): Promise<Outcome> {
  const world = new World(plan, options.transcript === true);
  const network = new Network(world);
  const machines = new Map(plan.nodes.map((node) => [node.name, new Machine(world, network, node)]));
  const clients = new Clients(world, machines);
  const faults = new Faults(world, network, machines);
  if (plan.nodes.some(({ peers }) => peers.length < plan.nodes.length - 1)) world.coverage.count("different-peers");
  for (const machine of machines.values()) {
    network.attach(machine.name, machine);
    machine.start();
    keepTicking(world, machine);
  }
  for (const fault of plan.faults) world.events.at(fault.atMs, () => faults.perform(fault));
  for (const operation of plan.operations) world.events.at(operation.atMs, () => clients.perform(operation));
  await drain();
  await run(world, plan.endMs);
  faults.heal();
  const rounds = world.failure === undefined ? await converge(world, [...machines.values()]) : 0;
  return { failure: world.failure, coverage: world.coverage, rounds, transcript: world.transcript ?? [] };
}

async function run(world: World, untilMs: number): Promise<void> {
  if (world.isUnsettled) await drain();
  while (world.failure === undefined && world.events.next(untilMs)) {
    if (!world.isUnsettled) continue;
    world.isUnsettled = false;
    await drain();
  }
}

/** Returns the rounds it took. */
async function converge(world: World, machines: readonly Machine[]): Promise<number> {
  const healedMs = world.events.nowMs;
  const drops = world.coverage.of("too-many-drops");
  let rounds = 0;
  for (let round = 1; round <= ROUNDS_END && world.failure === undefined; round++) {
    // What was damaged while a scrub was under way is for the next one.
    for (const machine of machines) if (machine.disk.damage.size > 0) machine.scrub();
    await run(world, healedMs + round * ROUND_MS);
    const sinceMs = Math.max(healedMs, world.lastChangeMs);
    rounds = Math.ceil((world.events.nowMs - sinceMs) / ROUND_MS);
    if (machines.every(({ isSound }) => isSound) && areEqual(machines)) {
      checkConvergence(world, machines);
      return rounds;
    }
    // The breaker waits for a person, and there is none.
    if (world.coverage.of("too-many-drops") > drops) return rounds;
    if (rounds > ROUNDS_MAX) break;
  }
  world.fail("not-equal-in-time", `the nodes still differ ${rounds} rounds after the last fault and the last write`);
  return rounds;
}

/** Once a second, each machine at its own moment. */
function keepTicking(world: World, machine: Machine): void {
  let ticks = 0;
  const tick = () => {
    world.events.after(1_000, tick);
    machine.tick();
    world.isUnsettled = true;
    ticks++;
    if (ticks % LIMITS_EVERY_TICKS === 0) checkLimits(world, machine);
    if (ticks % AUDIT_EVERY_TICKS !== 0) return;
    machine.audit();
    world.coverage.count("audited");
  };
  world.events.after(world.prng.fork(`ticks of ${machine.name}`).between(1, 1_000), tick);
}

async function drain(): Promise<void> {
  for (let hop = 0; hop < HOPS; hop++) await SETTLED;
}
