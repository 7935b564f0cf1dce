/** Carries out the planned faults, and ends them all when their time is over. */
import { Context } from "../core/context.ts";
import type { Machine } from "./machine.ts";
import type { Network } from "./network.ts";
import { formatFault, type PlannedFault } from "./plan.ts";
import type { World } from "./world.ts";

/** Restarts that come back within this are fast: the peers' detectors do not notice. */
const FAST_MS = 1_000;

/** More writes than can wait at a node at that moment. */
const FORGED_AHEAD = 1_000_000;

export class Faults {
  readonly #world: World;
  readonly #network: Network;
  readonly #machines: ReadonlyMap<string, Machine>;
  /** For each machine that is down the number of faults that keep it so. */
  readonly #down = new Map<string, number>();

  constructor(world: World, network: Network, machines: ReadonlyMap<string, Machine>) {
    this.#world = world;
    this.#network = network;
    this.#machines = machines;
  }

  perform(fault: PlannedFault): void {
    const { events, coverage } = this.#world;
    this.#world.say(() => `fault ${formatFault(fault).replace(/^\S+ /, "")}`);
    if (!("node" in fault)) {
      this.#network.begin(fault);
      events.at(fault.untilMs, () => this.#network.end(fault));
      return;
    }
    const machine = this.#machines.get(fault.node);
    if (machine === undefined) return;
    switch (fault.kind) {
      case "restart":
        if (fault.downMs < FAST_MS) coverage.count("fast-restart");
        this.#stop(machine);
        machine.alter(fault.disk);
        return events.after(fault.downMs, () => this.#startAgain(machine));
      case "flip-bits":
        return this.#flipBits(machine, fault.records, fault.scrubAfterMs);
      case "copy":
        return machine.disk.takeCopy();
      case "disk":
        machine.disk.state = fault.how;
        machine.disk.appliesFailing = fault.applied;
        return events.after(fault.forMs, () => this.#repairDisk(machine));
      case "slow-disk":
        coverage.count("slow-disk");
        return machine.slow(fault.untilMs, fault.delayMs);
      case "pause":
        coverage.count("pause");
        return machine.pause(events.nowMs + fault.forMs);
      case "clock":
        coverage.count(Math.abs(fault.offsetMs) >= 3_600_000 ? "clock-hour" : "clock-back");
        return machine.clock.set(fault.offsetMs);
      case "forged":
        return this.#forge(machine);
    }
  }

  /** All faults end: links and disks are well, and every node runs. Clocks stay as wrong as they are. */
  heal(): void {
    this.#world.say(() => "all faults end");
    this.#network.heal();
    this.#down.clear();
    for (const machine of this.#machines.values()) {
      machine.slow(0, 0);
      const failed = machine.disk.state !== "well";
      machine.disk.state = "well";
      if (machine.store !== undefined && !failed) continue;
      machine.crash();
      machine.start();
    }
  }

  #flipBits(machine: Machine, records: number, scrubAfterMs: number): void {
    if (machine.flipBits(records) === 0) return;
    this.#world.coverage.count("flip-bits");
    this.#world.events.after(scrubAfterMs, () => machine.scrub());
  }

  #stop(machine: Machine): void {
    this.#down.set(machine.name, (this.#down.get(machine.name) ?? 0) + 1);
    machine.crash();
  }

  #startAgain(machine: Machine): void {
    const faults = this.#down.get(machine.name) ?? 0;
    this.#down.set(machine.name, faults - 1);
    if (faults === 1) machine.start();
  }

  /** The disk is replaced or has room again: whoever looks after the machine starts the node again. */
  #repairDisk(machine: Machine): void {
    machine.disk.state = "well";
    if ((this.#down.get(machine.name) ?? 0) > 0 || !machine.hasFailed) return;
    machine.crash();
    machine.start();
  }

  /** As if another life of this node's data had gone on elsewhere under the same incarnation. */
  #forge(machine: Machine): void {
    machine.whenAwake(() => {
      const { store, life } = machine;
      if (store?.incarnation === undefined || life === undefined) return;
      const { incarnation, counter } = store;
      this.#world.coverage.count("forged");
      life.view.shun(incarnation);
      const seen = Context.of([{ incarnation, counter: counter + FORGED_AHEAD }]);
      life.node.receive("n0", { kind: "repair-request", exchange: 0, seen, bytesMax: 1, count: 0, cells: 0 }, () => undefined);
    });
  }
}
