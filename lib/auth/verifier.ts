/**
 * The receiver of signed requests: is this from somebody who has the key, for this node, of now, and for the first time?
 *
 * Nodes' clocks need not agree. "Now" is this process's own monotonic clock, and a sender that does not know it yet, or no longer (after a
 * restart here, or a sleep there), is refused with the reading, signed, and asks again: one more exchange at a first meeting, none after. A
 * captured request is of no use after half a minute, nor to another node, nor to this one after a restart; within the half minute the
 * nonces that were taken are remembered (replay-window.ts). Only requests that are signed rightly take memory.
 */
import { randomBytes, type KeyObject } from "node:crypto";
import type { ClusterKeys } from "./cluster-key.ts";
import { ReplayWindow } from "./replay-window.ts";
import { answerMac, NAME_BYTES, readAuthorization, requestMac, sameMac, type RequestLine } from "./signature.ts";

/** Longer than a request waits for a connection and its answer; what is older is only asked to be signed again. */
const WINDOW_MS = 30_000;

/** Senders within a minute: each peer draws a name for each node that it talks to. Some 300 bytes each. */
const SENDERS_MAX = 1_024;

export type Verdict =
  /** Signed by no key of this cluster. */
  | { readonly kind: "stranger" }
  /** By a key, but not for here and now: the body of the 401 says what to sign. */
  | { readonly kind: "again"; readonly challenge: string; readonly seal: Seal }
  | { readonly kind: "full"; readonly seal: Seal }
  | { readonly kind: "peer"; readonly digest: string; readonly seal: Seal };

/** Signs the answer to the request. */
export type Seal = (status: number, body: string | Uint8Array) => string;

/** What a 401 tells a sender that has the key. */
export interface Challenge {
  readonly base: string;
  readonly timeMs: number;
}

interface Sender {
  readonly window: ReplayWindow;
  lastMs: number;
}

export class Verifier {
  /** As of now: keys are changed while a node runs. */
  readonly #keys: () => ClusterKeys;
  readonly #nowMs: () => number;
  readonly #base = randomBytes(NAME_BYTES).toString("base64url");
  readonly #senders = new Map<string, Sender>();

  constructor(keys: () => ClusterKeys, nowMs: () => number = () => performance.now()) {
    this.#keys = keys;
    this.#nowMs = nowMs;
  }

  check(authorization: string, line: RequestLine): Verdict {
    const read = readAuthorization(authorization);
    if (read === undefined) return { kind: "stranger" };
    const { claim, mac } = read;
    const key = this.#keys().find((each) => sameMac(requestMac(each, claim, line), mac));
    if (key === undefined) return { kind: "stranger" };
    const seal = sealOf(key, mac);
    const nowMs = this.#nowMs();
    const isNow = claim.base === this.#base && Math.abs(nowMs - claim.timeMs) <= WINDOW_MS;
    if (!isNow) return this.#again(seal, nowMs);
    const sender = this.#senderOf(claim.session, nowMs);
    if (sender === undefined) return { kind: "full", seal };
    sender.lastMs = nowMs;
    return sender.window.take(claim.count) ? { kind: "peer", digest: claim.digest, seal } : this.#again(seal, nowMs);
  }

  #again(seal: Seal, nowMs: number): Verdict {
    const challenge: Challenge = { base: this.#base, timeMs: Math.round(nowMs) };
    return { kind: "again", challenge: JSON.stringify({ error: "sign it again, with this base and time", ...challenge }), seal };
  }

  /** Undefined when there are too many. */
  #senderOf(session: string, nowMs: number): Sender | undefined {
    const known = this.#senders.get(session);
    if (known !== undefined) return known;
    if (this.#senders.size >= SENDERS_MAX) this.#forget(nowMs);
    if (this.#senders.size >= SENDERS_MAX) return undefined;
    const sender = { window: new ReplayWindow(), lastMs: nowMs };
    this.#senders.set(session, sender);
    return sender;
  }

  /** A request may be signed for a window ahead, and is good for another one after that. */
  #forget(nowMs: number): void {
    for (const [session, { lastMs }] of this.#senders) if (nowMs - lastMs > 2 * WINDOW_MS) this.#senders.delete(session);
  }
}

function sealOf(key: KeyObject, mac: string): Seal {
  return (status, body) => answerMac(key, mac, status, body);
}
