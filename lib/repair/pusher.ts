/**
 * The queues of writes for all peers, and the writes of clients that wait until enough nodes hold them.
 *
 * A client that asks for two copies is answered when one peer has said that the batch with its write is durable there. When that does
 * not happen in time the answer says how many nodes hold it for certain; the write stays, and repair will carry it.
 */
import type { Dot } from "../core/dot.ts";
import { ConcordError } from "../core/errors.ts";
import type { EntryKey } from "../core/layout.ts";
import type { PushAck } from "../core/message.ts";
import type { Output } from "../core/output.ts";
import type { Now } from "../core/ports.ts";
import type { Store } from "../core/store.ts";
import { PushQueue, recordsOf, type RecordOf } from "./push.ts";

/** What the pusher needs to know of the peers. */
export interface PushPeers {
  members(): readonly { readonly address: string; readonly isUp: boolean }[];
}

export interface PusherOptions {
  /** Keys that may wait for one peer. */
  readonly pushKeysMax: number;
  /** Batches of writes for which no client waits follow each other at this distance; the first goes at once. */
  readonly pushEveryMs: number;
  /** How long a batch may stay unanswered. */
  readonly pushTimeoutMs: number;
  /** How long a client waits for further copies. */
  readonly copiesTimeoutMs: number;
  /** Clients' writes that may wait for copies at once. */
  readonly waitingWritesMax: number;
}

interface WaitingWrite {
  readonly dots: readonly (Dot | readonly Dot[] | undefined)[];
  readonly needed: number;
  readonly holders: Set<string>;
  readonly parts: number;
  /** For each peer, how many of the write's keys it has acknowledged. */
  readonly acked: Map<string, number>;
  readonly untilMs: number;
}

export class Pusher {
  readonly #store: Store;
  readonly #peers: PushPeers;
  readonly #options: PusherOptions;
  readonly #nextExchange: () => number;
  readonly #queues = new Map<string, PushQueue>();
  readonly #waiting = new Map<number, WaitingWrite>();
  /** When this replica is woken to send a batch; in the past when nobody has been asked to. */
  #wakeMs = -Infinity;

  constructor(store: Store, peers: PushPeers, options: PusherOptions, nextExchange: () => number) {
    this.#store = store;
    this.#peers = peers;
    this.#options = options;
    this.#nextExchange = nextExchange;
  }

  get queuedKeys(): number {
    let keys = 0;
    for (const queue of this.#queues.values()) keys += queue.size;
    return keys;
  }

  get waitingWrites(): number {
    return this.#waiting.size;
  }

  /** A key changed by a local write. Adds to `outputs` what it decides. */
  add(key: EntryKey, gone: readonly Dot[], ticket: number | undefined, outputs: Output[] = []): Output[] {
    for (const { address, isUp } of this.#peers.members()) if (isUp) this.#addFor(address, key, gone, ticket, outputs);
    return outputs;
  }

  /** A read has shown that this peer lacks what we hold of the key. */
  addFor(address: string, key: EntryKey, gone: readonly Dot[], outputs: Output[]): void {
    this.#addFor(address, key, gone, undefined, outputs);
  }

  /** The write is done here. Returns its answer when it waits for no further copies. */
  expect(ticket: number, dots: readonly (Dot | readonly Dot[] | undefined)[], copies: number, now: Now): Output | undefined {
    const settled: Output = { type: "settle", ticket, result: { ok: true, dots, copies: 1 } };
    if (copies <= 1) return settled;
    const parts = dots.filter((dot) => dot !== undefined).length;
    if (parts === 0) return settled;
    if (this.#waiting.size >= this.#options.waitingWritesMax) {
      const error = new ConcordError("overloaded", "too many writes wait for copies; the write is stored on this node");
      return { type: "settle", ticket, result: { ok: false, error, copies: 1 } };
    }
    const untilMs = now.monotonicMs + this.#options.copiesTimeoutMs;
    this.#waiting.set(ticket, { dots, needed: copies, holders: new Set(), parts, acked: new Map(), untilMs });
    return undefined;
  }

  /** The batches that are due; and when the next will be, if nobody has been asked yet to wake this replica then. */
  flush(now: Now): Output[] {
    const outputs: Output[] = [];
    const recordOf = once(recordsOf(this.#store));
    let nextMs = Infinity;
    for (const { address, isUp } of this.#peers.members()) {
      const queue = isUp ? this.#queues.get(address) : undefined;
      const dueMs = queue?.dueMs(this.#options.pushEveryMs) ?? Infinity;
      if (dueMs > now.monotonicMs) nextMs = Math.min(nextMs, dueMs);
      const push = dueMs > now.monotonicMs ? undefined : queue?.next(this.#store, this.#nextExchange, now.monotonicMs, recordOf);
      if (push !== undefined) outputs.push({ type: "send", to: address, message: push });
    }
    if (nextMs === Infinity || this.#wakeMs > now.monotonicMs) return outputs;
    this.#wakeMs = nextMs;
    outputs.push({ type: "wake", afterMs: nextMs - now.monotonicMs });
    return outputs;
  }

  onAck(from: string, ack: PushAck, now: Now): Output[] {
    const finished = this.#queues.get(from)?.finish(ack.exchange);
    if (finished === undefined || !ack.accepted) return [];
    const outputs: Output[] = [];
    for (const ticket of finished.tickets) {
      const write = this.#waiting.get(ticket);
      if (write === undefined) continue;
      const acked = (write.acked.get(from) ?? 0) + 1;
      write.acked.set(from, acked);
      if (acked === write.parts) write.holders.add(from);
      if (1 + write.holders.size < write.needed) continue;
      this.#waiting.delete(ticket);
      outputs.push({ type: "settle", ticket, result: { ok: true, dots: write.dots, copies: 1 + write.holders.size } });
    }
    return outputs.concat(this.#giveUpLate(now));
  }

  onPeerDown(peer: string): void {
    this.#queues.delete(peer);
  }

  /** Batches and clients that have waited long enough. */
  onTick(now: Now): Output[] {
    for (const queue of this.#queues.values()) {
      const batch = queue.inFlight;
      if (batch !== undefined && now.monotonicMs - batch.sentMs >= this.#options.pushTimeoutMs) queue.finish(batch.exchange);
    }
    return this.#giveUpLate(now);
  }

  #addFor(address: string, key: EntryKey, gone: readonly Dot[], ticket: number | undefined, outputs: Output[]): void {
    const givenUp = this.#queue(address).add(key, gone, ticket);
    if (givenUp > 0) outputs.push({ type: "event", event: { kind: "push-dropped", peer: address, keys: givenUp } });
  }

  #giveUpLate(now: Now): Output[] {
    const outputs: Output[] = [];
    for (const [ticket, write] of this.#waiting) {
      if (write.untilMs > now.monotonicMs) continue;
      this.#waiting.delete(ticket);
      const copies = 1 + write.holders.size;
      const message = `${copies} of ${write.needed} nodes hold the write durably; it stays, and reaches the others when they are back`;
      outputs.push({ type: "settle", ticket, result: { ok: false, error: new ConcordError("too-few-copies", message), copies } });
    }
    return outputs;
  }

  #queue(peer: string): PushQueue {
    let queue = this.#queues.get(peer);
    if (queue === undefined) {
      queue = new PushQueue(this.#options.pushKeysMax);
      this.#queues.set(peer, queue);
    }
    return queue;
  }
}

/** Most writes go to all peers in batches of the same moment: each record is read once for all of them. */
function once(recordOf: RecordOf): RecordOf {
  const records = new Map<EntryKey, Uint8Array>();
  return (key) => {
    let record = records.get(key);
    if (record === undefined) records.set(key, (record = recordOf(key)));
    return record;
  };
}
