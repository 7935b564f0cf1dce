/**
 * A failure detector for one peer, as a pure algorithm: signals in, a verdict out.
 *
 * Intuition: a peer that answers is alive. One that has left a ping unanswered for half the timeout may be slow or may be gone, so
 * it is suspect: still used, no longer trusted to be quick. One that has left it unanswered for the whole timeout is dead until
 * it is heard again. Only the monotonic clock is read: stepping the wall clock must not kill peers.
 */
export type MemberStatus = "unknown" | "alive" | "suspect" | "dead";

export class Detector {
  readonly #timeoutMs: number;
  #askedMs: number | undefined;
  #heard = false;
  #refused = false;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** A ping was sent and no earlier one is waiting. */
  asked(monotonicMs: number): void {
    this.#askedMs ??= monotonicMs;
  }

  /** The peer was heard: a pong, or any request of its own. */
  signal(): void {
    this.#askedMs = undefined;
    this.#heard = true;
    this.#refused = false;
  }

  /** The peer's machine refused the connection: no need to wait for the timeout. */
  refused(): void {
    this.#askedMs = undefined;
    this.#refused = true;
  }

  status(monotonicMs: number): MemberStatus {
    if (this.#refused) return "dead";
    const silentMs = this.#askedMs === undefined ? 0 : monotonicMs - this.#askedMs;
    if (silentMs >= this.#timeoutMs) return "dead";
    if (!this.#heard) return "unknown";
    return silentMs >= this.#timeoutMs / 2 ? "suspect" : "alive";
  }
}
