/**
 * Looks: which values of one key each peer holds, asked of all that are up, and merged into nothing. A read (reads.ts) asks the same
 * question and takes over what it hears; who only wants to know must not change what there is to know.
 */
import { decodeSiblings } from "../core/codec.ts";
import type { Dot } from "../core/dot.ts";
import { dotsOf, NO_SIBLINGS } from "../core/entry.ts";
import type { ReadAnswer } from "../core/message.ts";
import type { Held, Output } from "../core/output.ts";
import type { Now } from "../core/ports.ts";
import type { Input } from "./input.ts";

type LookInput = Extract<Input, { readonly type: "look" }>;

interface WaitingLook extends LookInput {
  /** Peers that have neither answered nor failed, with the exchange in which they were asked. */
  readonly asked: Map<string, number>;
  readonly held: Held[];
  readonly untilMs: number;
}

export class Looks {
  readonly #waiting = new Map<number, WaitingLook>();
  readonly #nextExchange: () => number;

  constructor(nextExchange: () => number) {
    this.#nextExchange = nextExchange;
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  /** `own`: the dots that this replica holds of the key. */
  begin(input: LookInput, own: readonly Dot[], peers: readonly string[], untilMs: number): Output[] {
    const asked = new Map(peers.map((peer) => [peer, this.#nextExchange()]));
    this.#waiting.set(input.ticket, { ...input, asked, held: [], untilMs });
    const outputs = [...asked].map(([to, exchange]): Output => {
      return { type: "send", to, message: { kind: "read-request", exchange, key: input.key, held: own } };
    });
    return [...outputs, ...this.#settleIfDone(input.ticket)];
  }

  /** Undefined when the answer is not to a look. Throws `invalid-message` for a record that is none. */
  onAnswer(from: string, { exchange, entry }: ReadAnswer): Output[] | undefined {
    for (const { ticket, key, asked, held } of this.#waiting.values()) {
      if (asked.get(from) !== exchange || entry.key !== key) continue;
      asked.delete(from);
      held.push({ peer: from, dots: dotsOf(entry.record.length === 0 ? NO_SIBLINGS : decodeSiblings(entry.record)) });
      return this.#settleIfDone(ticket);
    }
    return undefined;
  }

  onPeerFailed(peer: string): Output[] {
    return [...this.#waiting.values()].flatMap(({ ticket, asked }) => (asked.delete(peer) ? this.#settleIfDone(ticket) : []));
  }

  /** Who has not answered by now is left out. */
  onTick(now: Now): Output[] {
    return [...this.#waiting.values()].flatMap(({ ticket, asked, untilMs }) => {
      if (untilMs > now.monotonicMs) return [];
      asked.clear();
      return this.#settleIfDone(ticket);
    });
  }

  #settleIfDone(ticket: number): Output[] {
    const { asked, held } = this.#waiting.get(ticket)!;
    if (asked.size > 0) return [];
    this.#waiting.delete(ticket);
    return [{ type: "settle", ticket, result: { ok: true, dots: [], copies: 1 + held.length, held } }];
  }
}
