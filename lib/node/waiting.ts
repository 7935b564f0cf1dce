/** Clients that wait for what became of their operations: each has a ticket, under which the replica answers. */
import type { ConcordError } from "../core/errors.ts";
import type { WriteResult } from "../core/output.ts";

export class Waiting {
  readonly #resolves = new Map<number, (result: WriteResult) => void>();
  #ticket = 0;

  get size(): number {
    return this.#resolves.size;
  }

  /** Resolves when the ticket that `post` is given is settled. */
  add(post: (ticket: number) => void): Promise<WriteResult> {
    const ticket = ++this.#ticket;
    return new Promise((resolve) => {
      this.#resolves.set(ticket, resolve);
      post(ticket);
    });
  }

  settle(ticket: number, result: WriteResult): void {
    const resolve = this.#resolves.get(ticket);
    this.#resolves.delete(ticket);
    resolve?.(result);
  }

  /** `copies`: how many nodes hold what was asked for all the same. */
  refuseAll(error: ConcordError, copies: number): void {
    const resolves = [...this.#resolves.values()];
    this.#resolves.clear();
    for (const resolve of resolves) resolve({ ok: false, error, copies });
  }
}
