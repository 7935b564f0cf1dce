/**
 * Reads that ask other nodes too: what they hold of one key is merged here, by the rule of every merge, and then the client is answered.
 *
 * The nearest peers are asked first; when one fails, or says nothing for a tick, the next one is asked beside it. What a peer
 * turns out to lack is pushed to it. So such a read repairs both sides of the key that it is about, and needs no repair session.
 */
import type { MergeOutcome } from "../core/change.ts";
import { Context } from "../core/context.ts";
import { DamagedRecordError } from "../core/damaged.ts";
import { includesDot, type Dot } from "../core/dot.ts";
import { dotsOf, sameSiblings } from "../core/entry.ts";
import { ConcordError } from "../core/errors.ts";
import type { EntryKey } from "../core/layout.ts";
import type { ReadAnswer, ReadRequest } from "../core/message.ts";
import type { Output } from "../core/output.ts";
import type { Now } from "../core/ports.ts";
import type { Store } from "../core/store.ts";
import type { Membership } from "../peers/membership.ts";
import type { Pusher } from "../repair/pusher.ts";
import { refusedOf } from "../repair/puller.ts";
import { refused } from "./changes.ts";
import type { Input } from "./input.ts";
import { Looks } from "./looks.ts";

export interface ReadsOptions {
  /** How long a client waits for further copies. */
  readonly copiesTimeoutMs: number;
  /** Clients' reads that may wait at once; as for writes. */
  readonly waitingWritesMax: number;
}

/** As long as a person waits who wants to know who holds a key. */
const LOOK_MS = 2_000;

type ReadInput = Extract<Input, { readonly type: "read" }>;
type LookInput = Extract<Input, { readonly type: "look" }>;

interface WaitingRead extends ReadInput {
  /** Peers that may still be asked, the nearest last. */
  readonly others: string[];
  /** Peers that were asked and have neither answered nor failed, with the exchange in which they were. */
  readonly asked: Map<string, number>;
  answered: number;
  readonly untilMs: number;
}

/** Of a peer's answer: what merging it changed. */
export interface ReadStep {
  readonly outputs: Output[];
  readonly merged: readonly MergeOutcome[];
}

export class Reads {
  readonly #store: Store;
  readonly #membership: Membership;
  readonly #pusher: Pusher;
  readonly #options: ReadsOptions;
  readonly #nextExchange: () => number;
  readonly #waiting = new Map<number, WaitingRead>();
  /** The ticket of the read that an exchange belongs to. */
  readonly #tickets = new Map<number, number>();
  readonly #looks: Looks;

  constructor(store: Store, membership: Membership, pusher: Pusher, options: ReadsOptions, nextExchange: () => number) {
    this.#store = store;
    this.#membership = membership;
    this.#pusher = pusher;
    this.#options = options;
    this.#nextExchange = nextExchange;
    this.#looks = new Looks(nextExchange);
  }

  get waitingCount(): number {
    return this.#waiting.size + this.#looks.waitingCount;
  }

  /** Our own record may be damaged: then that is what the client is told. */
  begin(input: ReadInput | LookInput, now: Now): Output[] {
    try {
      return input.type === "look" ? this.#look(input, now) : this.#read(input, now);
    } catch (error) {
      if (!(error instanceof DamagedRecordError)) throw error;
      return refused(input.ticket, error);
    }
  }

  #read(input: ReadInput, now: Now): Output[] {
    const nodes = 1 + this.#membership.members().length;
    if (input.copies > nodes)
      return [this.#refuse(input, "invalid", `${input.copies} nodes were to be read, and this node knows of ${nodes}`)];
    if (this.#isFull) return [this.#refuse(input, "overloaded", "too many reads wait for other nodes")];
    const others = this.#readable();
    const read = {
      ...input,
      others,
      asked: new Map<string, number>(),
      answered: 0,
      untilMs: now.monotonicMs + this.#options.copiesTimeoutMs,
    };
    // Who holds what the client has seen is not known: everybody is asked.
    const outputs: Output[] = [];
    const wanted = this.#hasSeen(read) ? read.copies - 1 : others.length;
    for (let i = 0; i < wanted; i++) this.#askNext(read, outputs);
    this.#waiting.set(input.ticket, read);
    return [...outputs, ...this.#settleIfDone(read)];
  }

  /** Settles with what each peer holds that answers before a person has lost patience. */
  #look(input: LookInput, now: Now): Output[] {
    if (this.#isFull) return [this.#refuse(input, "overloaded", "too many reads wait for other nodes")];
    return this.#looks.begin(input, dotsOf(this.#store.read(input.key)), this.#readable(), now.monotonicMs + LOOK_MS);
  }

  get #isFull(): boolean {
    return this.waitingCount >= this.#options.waitingWritesMax;
  }

  /** The peers that can be asked, the nearest last. One of the base protocol has no summary, and no dots that it could be asked for. */
  #readable(): string[] {
    return this.#membership
      .members()
      .filter((member) => member.isUp && member.summary !== undefined)
      .sort((a, b) => (b.roundTripMs ?? Infinity) - (a.roundTripMs ?? Infinity))
      .map(({ address }) => address);
  }

  /** The answering side; no answer while what the disk has lost of the key is not here again, so that somebody else is asked. */
  answer({ exchange, key, held }: ReadRequest): Output[] {
    if (this.#store.quarantine.isWaiting(key)) return [];
    const live = dotsOf(this.#store.read(key));
    const gone = held.filter((dot) => this.#store.context.has(dot) && !includesDot(live, dot));
    const entry = this.#store.wireEntry(key, this.#withReasons(key, gone, live));
    return [{ type: "reply", message: { kind: "read-answer", exchange, entry } }];
  }

  /** With the dots of what removed them, as far as they are remembered: without a reason nobody lets a value go at once (claims.ts). */
  #withReasons(key: EntryKey, gone: readonly Dot[], live: readonly Dot[]): Dot[] {
    const all = [...gone];
    if (gone.length === 0) return all;
    for (const { dot, by } of this.#store.recentRemovals.of(key)) {
      if (includesDot(gone, dot)) all.push(...by.filter((write) => !includesDot(live, write) && !includesDot(all, write)));
    }
    return all;
  }

  onAnswer(from: string, answer: ReadAnswer, now: Now): ReadStep {
    const { exchange, entry } = answer;
    const outputs: Output[] = [];
    try {
      const looked = this.#looks.onAnswer(from, answer);
      if (looked !== undefined) return { outputs: looked, merged: [] };
      const read = this.#waiting.get(this.#tickets.get(exchange) ?? -1);
      if (read?.asked.get(from) !== exchange || entry.key !== read.key) return { outputs: [], merged: [] };
      const outcome = this.#store.merge(entry, new Context(), now.wallMs, "asked");
      this.#pushWhatLacks(from, outcome, outputs);
      // What the breaker (removal-guard.ts) keeps, the peer does not hold: this node does not show what both know.
      const isTaken = !dotsOf(outcome.after).some((dot) => includesDot(entry.gone, dot));
      if (!isTaken) return { outputs: [...outputs, ...this.onPeerFailed(from)], merged: [outcome] };
      this.#close(read, from);
      read.answered++;
      outputs.push(...this.#settleIfDone(read));
      return { outputs, merged: [outcome] };
    } catch (error) {
      if (!(error instanceof ConcordError) || error instanceof DamagedRecordError) throw error;
      outputs.push(refusedOf(from, error));
      return { outputs: [...outputs, ...this.onPeerFailed(from)], merged: [] };
    }
  }

  /** A peer cannot be reached: somebody else is asked. */
  onPeerFailed(peer: string): Output[] {
    const outputs = this.#looks.onPeerFailed(peer);
    for (const read of this.#waiting.values()) {
      if (!read.asked.has(peer)) continue;
      this.#close(read, peer);
      this.#askNext(read, outputs);
      outputs.push(...this.#settleIfDone(read));
    }
    return outputs;
  }

  onTick(now: Now): Output[] {
    const outputs = this.#looks.onTick(now);
    for (const read of this.#waiting.values()) {
      if (read.untilMs <= now.monotonicMs) outputs.push(this.#giveUp(read));
      else this.#askNext(read, outputs);
    }
    return outputs;
  }

  #askNext(read: WaitingRead, outputs: Output[]): void {
    if (read.others.length === 0) return;
    const held = [...dotsOf(this.#store.read(read.key)), ...read.seen];
    const peer = read.others.pop()!;
    const exchange = this.#nextExchange();
    read.asked.set(peer, exchange);
    this.#tickets.set(exchange, read.ticket);
    outputs.push({ type: "send", to: peer, message: { kind: "read-request", exchange, key: read.key, held } });
  }

  #pushWhatLacks(peer: string, { key, theirs, after }: MergeOutcome, outputs: Output[]): void {
    if (sameSiblings(theirs, after)) return;
    const live = dotsOf(after);
    const gone = dotsOf(theirs).filter((dot) => !includesDot(live, dot));
    this.#pusher.addFor(peer, key, this.#withReasons(key, gone, live), outputs);
  }

  #settleIfDone(read: WaitingRead): Output[] {
    if (1 + read.answered >= read.copies && this.#hasSeen(read)) {
      this.#forget(read);
      return [{ type: "settle", ticket: read.ticket, result: { ok: true, dots: [], copies: 1 + read.answered } }];
    }
    return read.asked.size === 0 && read.others.length === 0 ? [this.#giveUp(read)] : [];
  }

  #giveUp(read: WaitingRead): Output {
    this.#forget(read);
    const copies = 1 + read.answered;
    if (copies < read.copies) return this.#refuse(read, "too-few-copies", `${copies} of ${read.copies} nodes answered the read`);
    return this.#refuse(read, "behind", "no node that answers has seen yet what the token names");
  }

  #refuse({ ticket }: { readonly ticket: number }, code: ConcordError["code"], message: string): Output {
    return { type: "settle", ticket, result: { ok: false, error: new ConcordError(code, message), copies: 0 } };
  }

  #hasSeen({ seen }: ReadInput): boolean {
    return seen.every((dot: Dot) => this.#store.context.has(dot));
  }

  #close(read: WaitingRead, peer: string): void {
    this.#tickets.delete(read.asked.get(peer) ?? -1);
    read.asked.delete(peer);
  }

  #forget(read: WaitingRead): void {
    this.#waiting.delete(read.ticket);
    for (const exchange of read.asked.values()) this.#tickets.delete(exchange);
  }
}
