/**
 * One machine: a disk and a clock that stay, and the lives of a node that come and go on them. The composition root for
 * simulation: here the five ports meet the same Store, Replica, Node and Kv that production runs.
 */
import { Audit } from "../core/audit.ts";
import { REPLICA_DEFAULTS } from "../config.ts";
import { DEFAULT_DIGEST_KEY } from "../core/digest.ts";
import { ConcordError } from "../core/errors.ts";
import type { Message } from "../core/message.ts";
import { openStore, type Opened } from "../core/store-open.ts";
import type { Store } from "../core/store.ts";
import { createKv, type NodeKv } from "../node/kv.ts";
import { Node, type NodeDeps } from "../node.ts";
import { Replica } from "../replica.ts";
import { MachineClock } from "./clock.ts";
import { Disk } from "./disk.ts";
import { hear } from "./hear.ts";
import type { Network, Receiver } from "./network.ts";
import type { DiskFate, PlannedNode } from "./plan.ts";
import type { Prng } from "./prng.ts";
import { View } from "./view.ts";
import { SIM_POLICIES } from "./merging.ts";
import type { World } from "./world.ts";

/** One life of a node: from an opened folder to a crash. */
export interface Life {
  readonly node: Node;
  readonly kv: NodeKv;
  readonly view: View;
}

/** Stores are small here: so few that most pages are made and merged in several steps, with other things happening between them. */
const STEP_ENTRIES = 2;
const STEP_RANGES = 1;

export class Machine implements Receiver {
  readonly name: string;
  readonly disk: Disk;
  readonly clock: MachineClock;
  readonly #world: World;
  readonly #network: Network;
  readonly #planned: PlannedNode;
  readonly #prng: Prng;
  #life: Life | undefined;
  #lives = 0;
  #pausedUntilMs = 0;
  #slowUntilMs = 0;
  #slowMs = 0;
  /** How the folder of the next start came about. */
  #fate: DiskFate = "kept";
  #openFailed = false;
  /** Bits have flipped since the start: an opening under way may have been past them. */
  #hitWhileOpening = false;

  constructor(world: World, network: Network, planned: PlannedNode) {
    this.name = planned.name;
    this.#world = world;
    this.#network = network;
    this.#planned = planned;
    this.#prng = world.prng.fork(planned.name);
    this.clock = new MachineClock(world.events);
    const diskPrng = this.#prng.fork("disk");
    const delayMs = () => diskPrng.skewed(1, world.plan.settings.diskMs) + (world.events.nowMs < this.#slowUntilMs ? this.#slowMs : 0);
    const after = (delay: number, happen: () => void) => world.events.after(delay, () => this.whenAwake(happen));
    this.disk = new Disk({ nowMs: () => world.events.nowMs, delayMs, after, onGivenUp: () => world.recomputeFates() });
    world.disks.set(this.name, this.disk);
  }

  /** The node that runs here, if one does. */
  get life(): Life | undefined {
    return this.#life;
  }

  /** The node stopped by itself, or could not open its folder. */
  get hasFailed(): boolean {
    return this.#openFailed || this.#life?.node.stopped !== undefined;
  }

  /** The store of a node that runs and has not failed: one that has failed may hold what never became durable. */
  get store(): Store | undefined {
    return this.hasFailed ? undefined : this.#life?.node.replica.store;
  }

  /** Starts the node on the folder as it is. */
  start(): void {
    const life = ++this.#lives;
    const fate = this.#fate;
    this.#fate = "kept";
    this.#openFailed = false;
    // What bits have flipped while the node ran is found, or lost, by this opening at the latest.
    if (this.disk.damage.size > 0) this.disk.damaged = true;
    this.#hitWhileOpening = false;
    const random = this.#prng.fork(`life ${life}`);
    const storage = this.disk.open({ handedOver: () => (life === this.#lives ? this.#life?.view.endTurn() : undefined) });
    const options = {
      name: this.name,
      digestKey: DEFAULT_DIGEST_KEY,
      random,
      recentDeletionsMax: this.#world.plan.settings.recentDeletionsMax,
      policies: SIM_POLICIES,
    };
    this.#world.isUnsettled = true;
    this.#world.say(() => `${this.name} starts`);
    openStore(storage, options).then(
      (opened) => {
        if (life === this.#lives) this.#begin(opened, storage, random, fate);
      },
      (error: unknown) => {
        if (life !== this.#lives) return;
        this.#openFailed = true;
        this.#onFailure(error);
      },
    );
  }

  /** The node ends without a chance to say anything. */
  crash(): void {
    this.#lives++;
    this.#openFailed = false;
    this.#life = undefined;
    this.#pausedUntilMs = 0;
    const kept = this.#prng.chance(0.5);
    if (this.disk.crash(kept)) this.#world.coverage.count(kept ? "crash-kept" : "crash-lost");
    this.#world.say(() => `${this.name} crashes`);
  }

  /** What happens to the folder of a node that is down. */
  alter(fate: DiskFate): void {
    if (fate === "kept" || (fate === "copy" && !this.disk.hasCopy)) return;
    if (fate === "empty") this.disk.empty();
    if (fate === "copy") this.disk.restoreCopy();
    if (fate === "flipped-bits" && this.flipBits(this.#prng.between(1, 5)) === 0) return;
    if (fate === "lost-entries" && this.disk.loseEntries(() => this.#prng.chance(0.4)) === 0) return;
    // What is lost while a rebuild is under way may be all that there was, and an empty folder is a new one.
    this.#fate = this.disk.rows().size === 0 ? "empty" : fate;
    this.#world.coverage.count(`restart-${fate}`);
    this.#world.lastLossMs = this.#world.events.nowMs;
    this.#world.say(() => `the folder of ${this.name} is ${fate === "copy" ? "the old copy" : fate} now`);
  }

  flipBits(records: number): number {
    this.#hitWhileOpening = true;
    this.#world.lastLossMs = this.#world.events.nowMs;
    return this.disk.flipBits(records, (count) => this.#prng.below(count));
  }

  scrub(): void {
    this.whenAwake(() => this.#life?.node.scrub("scheduled"));
  }

  pause(untilMs: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, untilMs);
  }

  slow(untilMs: number, delayMs: number): void {
    this.#slowUntilMs = untilMs;
    this.#slowMs = delayMs;
  }

  /** At once, or in turn when the machine wakes up. */
  whenAwake(happen: () => void): void {
    if (this.#world.events.nowMs >= this.#pausedUntilMs) happen();
    else this.#world.events.at(this.#pausedUntilMs, () => this.whenAwake(happen));
    this.#world.isUnsettled = true;
  }

  tick(): void {
    if (this.#world.events.nowMs >= this.#pausedUntilMs) this.#life?.node.tick();
  }

  /** Nothing is damaged, and nobody is looking whether something is. */
  get isSound(): boolean {
    return this.disk.damage.size === 0 && this.#life?.node.replica.scrubber.isRunning === false;
  }

  deliver(from: string, message: Message, reply: (message: Message) => void): boolean {
    if (this.#life === undefined) return false;
    this.whenAwake(() => {
      const life = this.#life;
      life?.node.receive(from, message, (answer) => {
        if (answer !== undefined && life === this.#life) reply(answer);
      });
    });
    return true;
  }

  unreachable(to: string, why: string): void {
    this.whenAwake(() => this.#life?.node.unreachable(to, why));
  }

  #begin({ store, rebuilt, healed }: Opened, storage: ReturnType<Disk["open"]>, random: Prng, fate: DiskFate): void {
    const { name, clock } = this;
    if (rebuilt !== undefined) this.#world.coverage.count("rebuilt");
    if (rebuilt !== undefined && !this.disk.damaged && !this.disk.damage.happened)
      this.#world.fail("needless-rebuild", `${name} rebuilt its store: ${rebuilt}`);
    if (healed !== undefined) this.#world.coverage.count("healed-at-open");
    if (healed !== undefined && !this.disk.damage.happened && !this.disk.damaged)
      this.#world.fail("needless-healing", `${name}: ${healed}`);
    if (this.disk.damage.size > 0 && !this.#hitWhileOpening)
      this.#world.fail("damage-left", `${name} opened a folder and left what cannot be read as it was`);
    if (rebuilt === undefined && healed === undefined && fate === "lost-entries")
      this.#world.fail("loss-unnoticed", `${name} opened a folder that lost entries`);
    const lostSomething = this.disk.damaged;
    this.disk.damaged = false;
    const { answerBytesMax, pushKeysMax, dropsAllowed, dropShareMax, entryBytes, firstCells } = this.#world.plan.settings;
    const steps = { stepEntriesMax: STEP_ENTRIES, firstStepEntries: 1, stepRangesMax: STEP_RANGES, answerStepMax: STEP_ENTRIES };
    const limits = { ...steps, answerBytesMax, pushKeysMax, dropsAllowed, dropShareMax, entryBytes, firstCells };
    const options = { ...REPLICA_DEFAULTS, ...limits, name, address: name, peers: this.#planned.peers };
    const replica = new Replica(store, options, random, clock.now());
    const view = new View(this.#world, name, clock, store);
    view.watch(replica);
    const life = this.#lives;
    const transport = {
      send: (to: string, message: Message) => {
        if (life === this.#lives) this.#network.send(name, to, message);
      },
    };
    const node: Node = new Node(
      { replica, storage, transport, clock, ...this.#timing() },
      {
        onEvent: (event) => hear(this.#world, this, view, store, event),
        onChange: (key, before, after) => kv.onChange(key, before, after),
        onFailure: (error) => this.#onFailure(error),
      },
    );
    const kv: NodeKv = createKv({ node, storage, clock, name, address: name });
    this.#life = { node, kv, view };
    if (lostSomething) this.#world.recomputeFates();
    this.#world.say(() => `${name} runs, with ${store.count} values${rebuilt === undefined ? "" : `, rebuilt because ${rebuilt}`}`);
    this.audit();
  }

  #timing(): Pick<NodeDeps, "defer" | "later"> {
    const { gatherMs } = this.#world.plan.settings;
    const life = this.#lives;
    const run = (turn: () => void) => {
      if (life === this.#lives) turn();
    };
    const later = (afterMs: number, turn: () => void) => this.#world.events.after(afterMs, () => this.whenAwake(() => run(turn)));
    return gatherMs < 0 ? { later } : { later, defer: (turn) => later(gatherMs, turn) };
  }

  /** What the store counts as seen is there or superseded, and its digests are what a computation from the entries alone makes them. */
  audit(): void {
    const { store } = this;
    if (store === undefined) return;
    this.#life?.view.checkSeen();
    if (this.disk.damage.size > 0 || this.#life?.node.replica.scrubber.isRunning === true) return;
    const finding = new Audit(store).runToEnd();
    if (finding.kind !== "sound") this.#world.fail("digest-wrong", `at ${this.name}: ${finding.problem}`);
  }

  /** The tables that each write updates are what the entries alone make them. */
  auditSketch(): void {
    if (this.#life?.node.replica.isSketchSound === false)
      this.#world.fail("sketch-wrong", `the sketch of ${this.name} is not that of its entries`);
  }

  /** Only what the plan did to the disk may stop a node. */
  #onFailure(error: unknown): void {
    const expected = error instanceof ConcordError && (error.code === "storage-failed" || error.code === "disk-full");
    if (!expected || this.disk.state === "well") this.#world.fail("node-failed", `${this.name} stopped: ${String(error)}`);
    else this.#world.coverage.count(this.disk.state === "full" ? "disk-full" : "disk-failed");
    this.#world.say(() => `${this.name} stops: ${String(error)}`);
  }
}
