/**
 * The sender of signed requests to one peer: what it knows of the peer's clock, and the nonces that it has used.
 *
 * A first request without a body asks for the reading of that clock (verifier.ts); the answer is signed for this very question, so
 * nobody between the two can set the clock wrong.
 */
import { randomBytes, type KeyObject } from "node:crypto";
import { ConcordError } from "../core/errors.ts";
import type { ClusterKeys } from "./cluster-key.ts";
import { answerMac, digestOf, NAME_BYTES, requestMac, sameMac, writeAuthorization, type RequestLine } from "./signature.ts";
import type { Challenge } from "./verifier.ts";

export interface SealedAnswer {
  readonly status: number;
  /** It asks to be asked again later. */
  readonly isBusy?: boolean;
  readonly body: Uint8Array;
  /** Its Authentication-Info header. */
  readonly seal: string;
}

/** Sends a request with this header of Authorization. Rejects when there is no answer. */
export type Carry = (line: RequestLine, body: string | Uint8Array | undefined, authorization: string) => Promise<SealedAnswer>;

export class Conversation {
  readonly #keys: () => ClusterKeys;
  readonly #nowMs: () => number;
  readonly #session = randomBytes(NAME_BYTES).toString("base64url");
  #count = 0;
  #base = "";
  /** The peer's clock less ours. */
  #aheadMs = 0;

  constructor(keys: () => ClusterKeys, nowMs: () => number = () => performance.now()) {
    this.#keys = keys;
    this.#nowMs = nowMs;
  }

  /** Rejects with `peer-failed` when the answer is not signed with the key that the request was signed with. */
  async exchange(line: RequestLine, body: string | Uint8Array | undefined, carry: Carry): Promise<SealedAnswer> {
    if (this.#base === "") await this.#exchangeOnce({ ...line, method: "POST", path: "/peer" }, undefined, carry);
    const answer = await this.#exchangeOnce(line, body, carry);
    return answer.status === 401 ? this.#exchangeOnce(line, body, carry) : answer;
  }

  async #exchangeOnce(line: RequestLine, body: string | Uint8Array | undefined, carry: Carry): Promise<SealedAnswer> {
    const key = this.#keys()[0] as KeyObject;
    const timeMs = Math.max(0, Math.round(this.#nowMs() + this.#aheadMs));
    const claim = { base: this.#base, timeMs, session: this.#session, count: this.#count++, digest: digestOf(body ?? "") };
    const mac = requestMac(key, claim, line);
    const answer = await carry(line, body, writeAuthorization(claim, mac));
    const expected = answerMac(key, mac, answer.status, answer.body);
    if (!sameMac(expected, answer.seal)) throw new ConcordError("peer-failed", unsealed(answer));
    if (answer.status === 401) this.#learn(answer.body);
    return answer;
  }

  #learn(body: Uint8Array): void {
    const { base, timeMs } = readChallenge(body);
    this.#base = base;
    this.#aheadMs = timeMs - this.#nowMs();
  }
}

/** Signed by a peer, and yet looked at: peers may run another version. */
function readChallenge(body: Uint8Array): Challenge {
  try {
    const { base, timeMs } = JSON.parse(Buffer.from(body).toString("utf8")) as Partial<Challenge>;
    if (typeof base === "string" && Number.isSafeInteger(timeMs)) return { base, timeMs: timeMs as number };
  } catch {
    // Said below.
  }
  throw new ConcordError("peer-failed", "it refused the signature and did not say what to sign");
}

function unsealed({ status, seal }: SealedAnswer): string {
  if (seal !== "") return "its answer is signed with another cluster key than this node's, or was changed on the way";
  if (status === 401) return "it does not know this node's cluster key";
  return `it answered ${status}, not signed with the cluster key: it is no node of this cluster, or runs without the key`;
}
