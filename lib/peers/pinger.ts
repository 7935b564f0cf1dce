/**
 * Pings, as a pure algorithm: every `pingEveryMs` each peer is asked for its summary, side by side and never twice at once.
 *
 * Two things come out of it: who is up, and whether what they hold differs from what we hold. A first meeting that differs is
 * repaired at once. Later, a summary that differs once usually means that a write is on its way; it waits for the next ping.
 */
import type { Ping, Summary } from "../core/message.ts";
import { sameSummary } from "../core/message.ts";
import type { Output } from "../core/output.ts";
import type { Now } from "../core/ports.ts";
import type { Member } from "./member.ts";
import type { Membership } from "./membership.ts";

export interface PingerOptions {
  readonly name: string;
  readonly address: string;
  /** Eight random bytes, drawn at the start. */
  readonly instance: string;
  readonly pingEveryMs: number;
}

/** Summaries in a row that must differ before a peer that we know is repaired. */
const DIFFERENCES_BEFORE_REPAIR = 2;

export class Pinger {
  readonly #options: PingerOptions;
  readonly #membership: Membership;
  readonly #nextExchange: () => number;
  #saidAllUp = false;

  constructor(options: PingerOptions, membership: Membership, nextExchange: () => number) {
    this.#options = options;
    this.#membership = membership;
    this.#nextExchange = nextExchange;
  }

  onTick(summary: () => Summary, now: Now): Output[] {
    const outputs: Output[] = [];
    for (const member of this.#membership.members()) {
      outputs.push(...this.#updateStatus(member, `no answer within the timeout`, now));
      if (now.monotonicMs - member.lastPingMs < this.#options.pingEveryMs) continue;
      if (member.ping !== undefined && member.status !== "dead") continue;
      outputs.push(this.#ping(member, summary(), now));
    }
    this.#membership.forgetSilent(now.monotonicMs);
    return outputs;
  }

  /** A peer pinged us: answer, and learn of it when it is not on our list. */
  onPing(ping: Ping, mine: Summary, now: Now): { readonly outputs: Output[]; readonly pullFrom: Member | undefined } {
    const outputs: Output[] = [];
    let member = this.#membership.find(ping.address);
    if (member === undefined) {
      member = this.#membership.learn(ping.address, now.wallMs);
      if (member !== undefined) outputs.push({ type: "event", event: { kind: "peer-learned", peer: member.address, name: ping.name } });
    }
    const { name, address, instance } = this.#options;
    outputs.push({ type: "reply", message: { kind: "pong", exchange: ping.exchange, name, address, instance, summary: mine } });
    if (member === undefined) return { outputs, pullFrom: undefined };
    member.lastHeardMs = now.monotonicMs;
    // That it reaches us does not mean that we reach it: only a pong makes a member alive.
    if (member.status === "dead" && member.ping === undefined) outputs.push(this.#ping(member, mine, now));
    const pullFrom = member.isUp && this.#compare(member, ping, mine, outputs, now) ? member : undefined;
    return { outputs, pullFrom };
  }

  onPong(from: string, pong: Ping, mine: Summary, now: Now): { readonly outputs: Output[]; readonly pullFrom: Member | undefined } {
    const member = this.#membership.find(from);
    if (member?.ping?.exchange !== pong.exchange) return { outputs: [], pullFrom: undefined };
    const firstMeeting = !member.isUp;
    this.#hear(member, member.ping.sentMs, now);
    member.name = pong.name;
    this.#membership.identify(member, pong.instance);
    if (this.#membership.find(from) !== member) return { outputs: [], pullFrom: undefined };
    const outputs = this.#updateStatus(member, "", now);
    if (firstMeeting) member.differed = DIFFERENCES_BEFORE_REPAIR - 1;
    return { outputs, pullFrom: this.#compare(member, pong, mine, outputs, now) ? member : undefined };
  }

  /** A peer that speaks only the base protocol answered. There is no summary, so nothing to compare. */
  onBasePong(from: string, now: Now): Output[] {
    const member = this.#membership.find(from);
    if (member?.ping === undefined) return [];
    this.#hear(member, member.ping.sentMs, now);
    return this.#updateStatus(member, "", now);
  }

  onUnreachable(to: string, why: string, now: Now): Output[] {
    const member = this.#membership.find(to);
    if (member === undefined) return [];
    member.ping = undefined;
    member.detector.refused();
    return this.#updateStatus(member, why, now);
  }

  #hear(member: Member, sentMs: number, now: Now): void {
    member.roundTripMs = now.monotonicMs - sentMs;
    member.ping = undefined;
    member.lastHeardMs = now.monotonicMs;
    member.detector.signal();
  }

  #ping(member: Member, summary: Summary, now: Now): Output {
    const exchange = this.#nextExchange();
    member.ping = { exchange, sentMs: now.monotonicMs };
    member.lastPingMs = now.monotonicMs;
    member.detector.asked(now.monotonicMs);
    const { name, address, instance } = this.#options;
    return { type: "send", to: member.address, message: { kind: "ping", exchange, name, address, instance, summary } };
  }

  /** Returns true when the peer should be repaired from. */
  #compare(member: Member, ping: Ping, mine: Summary, outputs: Output[], now: Now): boolean {
    const wasInSync = member.isInSync;
    member.summary = ping.summary;
    if (sameSummary(ping.summary, mine)) {
      member.differed = 0;
      member.agreedMs = now.monotonicMs;
      if (!wasInSync) outputs.push({ type: "event", event: { kind: "in-sync", peer: member.address } });
      return false;
    }
    member.differed++;
    if (member.differed === DIFFERENCES_BEFORE_REPAIR) outputs.push({ type: "event", event: { kind: "differs", peer: member.address } });
    return member.differed >= DIFFERENCES_BEFORE_REPAIR;
  }

  #updateStatus(member: Member, why: string, now: Now): Output[] {
    const wasUp = member.isUp;
    const status = member.detector.status(now.monotonicMs);
    if (status === member.status) return [];
    member.status = status;
    if (wasUp === member.isUp && status !== "dead") return [];
    member.sinceMs = now.wallMs;
    const peer = member.address;
    if (!member.isUp) {
      member.wasMet ||= wasUp;
      this.#saidAllUp = false;
      member.summary = undefined;
      return [{ type: "event", event: { kind: "peer-down", peer, why } }];
    }
    const outputs: Output[] = [{ type: "event", event: { kind: "peer-up", peer, name: member.name } }];
    if (!this.#saidAllUp && this.#membership.members().every((other) => other.isUp)) {
      this.#saidAllUp = true;
      outputs.push({ type: "event", event: { kind: "all-peers-up" } });
    }
    return outputs;
  }
}
