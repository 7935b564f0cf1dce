/**
 * A replica: the whole behaviour of a node as one synchronous function, step(input, now) → outputs.
 *
 * There is no await between reading and deciding, no clock, no socket: what happened comes in as a value, what to do goes out as
 * values, and the store's changes wait in its overlay. The node (node.ts) makes them durable and only then carries the
 * outputs out. So the simulator can run thousands of these under any schedule and replay every one.
 */
import { DamagedRecordError } from "./core/damaged.ts";
import { newIncarnation } from "./core/dot.ts";
import { ConcordError } from "./core/errors.ts";
import type { Message } from "./core/message.ts";
import type { Output } from "./core/output.ts";
import type { Now, Random } from "./core/ports.ts";
import type { RemovalLimits } from "./core/removal-guard.ts";
import { hasIdentityRoom } from "./core/room.ts";
import type { Store } from "./core/store.ts";
import { createStaticMembership, type Membership } from "./peers/membership.ts";
import { Pinger, type PingerOptions } from "./peers/pinger.ts";
import { Comparer } from "./repair/comparer.ts";
import { damageFound, Puller, type PullerOptions } from "./repair/puller.ts";
import { Sketches } from "./repair/sketches.ts";
import { Pusher, type PusherOptions } from "./repair/pusher.ts";
import type { Input, Operation } from "./replica/input.ts";
import { changed, isDamageFound, refused } from "./replica/changes.ts";
import { MergeReports } from "./replica/merge-reports.ts";
import { Objections } from "./replica/objections.ts";
import { apply, refusalOf, type Applied } from "./replica/operations.ts";
import { Reads } from "./replica/reads.ts";
import { RepairTalk, type AnswerOptions } from "./replica/repair-talk.ts";
import { Scrubber } from "./replica/scrubber.ts";
import { takePush } from "./replica/take-push.ts";

export interface ReplicaOptions extends Omit<PingerOptions, "instance">, PullerOptions, AnswerOptions, PusherOptions, RemovalLimits {
  /** Addresses of the peers; the node's own may be among them. */
  readonly peers: readonly string[];
  /** Silence after a ping that makes a peer dead. */
  readonly timeoutMs: number;
  readonly sweepEveryMs: number;
  /** Expired siblings that one sweep removes. */
  readonly sweepMax: number;
}

export type { Member } from "./peers/member.ts";
export type { Input, Operation } from "./replica/input.ts";

export class Replica {
  readonly store: Store;
  readonly membership: Membership;
  readonly #options: ReplicaOptions;
  readonly #pinger: Pinger;
  readonly #sketches: Sketches;
  readonly #puller: Puller;
  readonly #pusher: Pusher;
  readonly #reads: Reads;
  readonly #comparer: Comparer;
  readonly #objections: Objections;
  readonly #repairs: RepairTalk;
  readonly #reports = new MergeReports();
  readonly scrubber: Scrubber;
  #exchange = 0;
  #sweptMs = -Infinity;
  /** A `continue` is on its way. */
  #continues = false;
  /** The building of the sketch has met a damaged row: until the next tick, for a scrub makes that row anew. */
  #tableWaits = false;

  constructor(store: Store, options: ReplicaOptions, random: Random, now: Now) {
    this.store = store;
    this.#options = options;
    store.removals.limit(options);
    const nextExchange = () => (this.#exchange = (this.#exchange + 1) >>> 0);
    // Replies to an earlier life of this node must find nobody waiting, so the count does not begin at the same number.
    this.#exchange = random.uint32();
    const { address: self, peers, timeoutMs } = options;
    const instance = newIncarnation(random);
    this.membership = createStaticMembership({ self, instance, peers, timeoutMs }, now.wallMs);
    this.#pinger = new Pinger({ ...options, instance }, this.membership, nextExchange);
    this.#sketches = new Sketches(store);
    this.scrubber = new Scrubber(store, this.#sketches, now);
    this.#puller = new Puller(store, options, random, nextExchange, this.#sketches);
    this.#comparer = new Comparer(store, this.#sketches, options, nextExchange);
    this.#objections = new Objections(store);
    this.#pusher = new Pusher(store, this.membership, options, nextExchange);
    this.#reads = new Reads(store, this.membership, this.#pusher, options, nextExchange);
    this.#repairs = this.#repairTalk();
  }

  #repairTalk(): RepairTalk {
    const [sketches, puller, comparer, objections] = [this.#sketches, this.#puller, this.#comparer, this.#objections];
    const { store, membership } = this;
    return new RepairTalk({ store, membership, sketches, puller, comparer, objections, reports: this.#reports, options: this.#options });
  }

  /** Sizes of what is bounded, for checks and status. */
  get load(): { readonly pushKeys: number; readonly waitingWrites: number; readonly waitingReads: number; readonly wantedPulls: number } {
    const { queuedKeys: pushKeys, waitingWrites } = this.#pusher;
    return { pushKeys, waitingWrites, waitingReads: this.#reads.waitingCount, wantedPulls: this.#puller.wantedCount };
  }

  /** The peer that a repair session runs with. */
  get repairingWith(): string | undefined {
    return this.#puller.activePeer;
  }

  /** Repairs that have ended so far: the number of the last receipt. */
  get repairsEnded(): number {
    return this.#puller.endedCount;
  }

  /** For checks: the sketch is that of the entries. */
  get isSketchSound(): boolean {
    return !this.#sketches.isReady || this.#sketches.isSound;
  }

  get sketchReady(): boolean {
    return this.#sketches.isReady;
  }

  step(input: Input, now: Now): Output[] {
    this.store.removals.at(now.monotonicMs);
    this.store.renouncing.at(now.monotonicMs);
    if (input.type === "continue") this.#continues = false;
    const peer = input.type === "message" ? input.from : (this.#puller.activePeer ?? "");
    const outputs = this.#pastDamage(now, () => this.#decide(input, now));
    return this.#withOneContinue(this.#objections.withTold(peer, outputs));
  }

  /** Long works go on by one chain of `continue` for all of them: a repair's, and the building of the sketch after an open. */
  #withOneContinue(outputs: Output[]): Output[] {
    const wanted = (!this.#sketches.isReady && !this.#tableWaits) || outputs.some(({ type }) => type === "continue");
    const others = outputs.filter(({ type }) => type !== "continue");
    if (!wanted || this.#continues) return others;
    this.#continues = true;
    return [...others, { type: "continue" }];
  }

  #decide(input: Input, now: Now): Output[] {
    switch (input.type) {
      case "write":
        return this.#onWrite(input, now);
      case "read":
      case "look":
        return this.#reads.begin(input, now);
      case "message":
        return this.#onMessage(input.from, input.message, now);
      case "unreachable":
        return this.#onPeers([...this.#reads.onPeerFailed(input.to), ...this.#pinger.onUnreachable(input.to, input.why, now)], now);
      case "base-pong":
        return this.#onPeers(this.#pinger.onBasePong(input.from, now), now);
      case "repair":
        this.#puller.wantNow(input.peer, now);
        return this.#puller.onTick(now);
      case "compare":
        return this.#comparer.start(input.peer, input.ticket, now);
      case "tick":
        return this.#onTick(now);
      case "continue":
        return [...this.#buildTable(), ...this.#repairs.afterPull(this.#puller.activePeer ?? "", this.#puller.onContinue(now), now)];
      case "scrub":
        return this.scrubber.want(input.reason, now);
      case "scrub-slice":
        return this.#scrubSome(now);
      case "wake":
        return [];
    }
  }

  /** After the last input of a turn: what the turn has to tell the peers, in one batch for each. */
  endTurn(now: Now): Output[] {
    return this.#pastDamage(now, () => this.#pusher.flush(now));
  }

  /** A record that cannot be read ends what was being done with it, and no more. Everything is looked over, and the record set apart. */
  #pastDamage(now: Now, work: () => Output[]): Output[] {
    let outputs: Output[];
    try {
      outputs = work();
    } catch (error) {
      if (!(error instanceof DamagedRecordError)) throw error;
      outputs = [damageFound(error)];
    }
    if (!outputs.some(isDamageFound)) return outputs;
    return [...outputs, ...this.#puller.abandon(now), ...this.scrubber.want("damage", now)];
  }

  #buildTable(): Output[] {
    try {
      this.#sketches.step();
      return [];
    } catch (error) {
      if (!(error instanceof DamagedRecordError)) throw error;
      this.#tableWaits = true;
      return [damageFound(error)];
    }
  }

  #scrubSome(now: Now): Output[] {
    return this.scrubber.step(now, () => {
      const outputs = this.#repairs.abandon(now);
      for (const { address, isUp } of this.membership.members()) if (isUp) this.#puller.want(address, true, now);
      return [...outputs, ...this.#puller.onTick(now)];
    });
  }

  #onTick(now: Now): Output[] {
    this.#tableWaits = false;
    const summary = () => this.store.summary();
    const outputs = this.#onPeers(this.#pinger.onTick(summary, now), now);
    outputs.push(...this.#pusher.onTick(now), ...this.#puller.onTick(now), ...this.#comparer.onTick(now));
    outputs.push(...this.#scrubSome(now), ...this.scrubber.onTick());
    // What a damaged record ends here must not keep the pings from leaving.
    for (const work of [() => this.#reads.onTick(now), () => this.#sweep(now)]) outputs.push(...this.#pastDamage(now, work));
    return outputs;
  }

  #sweep(now: Now): Output[] {
    const outputs: Output[] = [];
    if (now.monotonicMs - this.#sweptMs < this.#options.sweepEveryMs || !hasIdentityRoom(this.store)) return outputs;
    this.#sweptMs = now.monotonicMs;
    const swept = this.store.sweep(now.wallMs, this.#options.sweepMax, now.wallMs);
    for (const change of swept) {
      this.#pusher.add(change.key, change.entry.gone, undefined, outputs);
      outputs.push(changed(change));
    }
    return swept.length === 0 ? outputs : [...outputs, { type: "event", event: { kind: "swept", siblings: swept.length } }];
  }

  #onWrite({ ticket, operations, copies, local = false }: Extract<Input, { type: "write" }>, now: Now): Output[] {
    const refusal = this.#refusal(operations, copies, now);
    if (refusal !== undefined) return refused(ticket, refusal);
    const dots: (Applied["dots"] | undefined)[] = [];
    const outputs: Output[] = [];
    try {
      for (const operation of operations) {
        const applied = apply(this.store, operation, now.wallMs);
        dots.push(applied?.dots);
        if (applied === undefined) continue;
        if (!local) this.#pusher.add(applied.key, applied.gone, copies > 1 ? ticket : undefined, outputs);
        outputs.push(changed(applied));
      }
    } catch (error) {
      if (!(error instanceof DamagedRecordError)) throw error;
      return [...outputs, ...refused(ticket, error, dots.length)];
    }
    const settled = this.#pusher.expect(ticket, dots, copies, now);
    return settled === undefined ? outputs : [...outputs, settled];
  }

  /** Everything that can be refused is, before the first operation changes anything. */
  #refusal(operations: readonly Operation[], copies: number, now: Now): ConcordError | undefined {
    const nodes = 1 + this.membership.members().length;
    if (copies > nodes) return new ConcordError("invalid", `${copies} copies were asked for, and this node knows of ${nodes} nodes`);
    return refusalOf(this.store, operations, now.wallMs);
  }

  #onMessage(from: string, message: Message, now: Now): Output[] {
    switch (message.kind) {
      case "ping": {
        const { outputs, pullFrom } = this.#pinger.onPing(message, this.store.summary(), now);
        if (pullFrom !== undefined) this.#puller.want(pullFrom.address, false, now, message.summary);
        return outputs;
      }
      case "pong": {
        const { isUp: wasUp, wasMet } = this.membership.find(from) ?? { isUp: false, wasMet: false };
        const { outputs, pullFrom } = this.#pinger.onPong(from, message, this.store.summary(), now);
        if (pullFrom === undefined) return this.#onPeers(outputs, now);
        // A peer that was away is the one to repair; it will have, by the time that chance lets us ask.
        this.#puller.want(pullFrom.address, !wasUp && !wasMet, now, message.summary);
        return [...this.#onPeers(outputs, now), ...(wasUp ? [] : this.#puller.onTick(now))];
      }
      case "push":
        return takePush({ store: this.store, objections: this.#objections, reports: this.#reports }, from, message, now.wallMs);
      case "push-ack":
        return this.#pusher.onAck(from, message, now);
      case "read-request":
        return this.#reads.answer(message);
      case "read-answer": {
        const { outputs, merged } = this.#reads.onAnswer(from, message, now);
        return [...this.#reports.of(from, merged), ...outputs];
      }
      case "repair-request":
        return this.#repairs.onRequest(from, message, now);
      case "repair-answer":
        return this.#repairs.onAnswer(from, message, now);
    }
  }

  #onPeers(outputs: Output[], now: Now): Output[] {
    const more: Output[] = [];
    for (const output of outputs) {
      if (output.type !== "event") continue;
      if (output.event.kind === "in-sync") this.#puller.unwant(output.event.peer);
      if (output.event.kind !== "peer-down") continue;
      more.push(...this.#puller.onPeerDown(output.event.peer, now), ...this.#comparer.onPeerDown(output.event.peer));
      this.#pusher.onPeerDown(output.event.peer);
      more.push(...this.#reads.onPeerFailed(output.event.peer));
    }
    return [...outputs, ...more];
  }
}
