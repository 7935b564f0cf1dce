/**
 * Rule 1: a peer that has seen more of our dots than we issued knows another life of this data (a machine that was copied while it ran),
 * or lies. A new incarnation makes either harmless, and what came with the claim is not believed; an honest peer says it again.
 */
import type { Context } from "../core/context.ts";
import { PeerFault } from "../core/fault.ts";
import type { Output } from "../core/output.ts";
import type { Store } from "../core/store.ts";
import { refusedOf } from "../repair/puller.ts";

export class Objections {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Undefined when there is nothing to object to. That the identity was given up is said by `withTold`. */
  to(from: string, context: Context): Output[] | undefined {
    const { incarnation, counter, renouncing } = this.#store;
    if (incarnation === undefined || context.highest(incarnation) <= counter) return undefined;
    if (!renouncing.take()) {
      return [refusedOf(from, new PeerFault("context", "it claims to have seen more writes of this node than there are"))];
    }
    this.#store.renounceIncarnation();
    return [];
  }

  /** What the step says of the identities that were given up in it: for a context (above) or for an entry (core/claims.ts). */
  withTold(peer: string, outputs: Output[]): Output[] {
    const untold = this.#store.renouncing.takeUntold();
    if (untold === 0) return outputs;
    const told = Array.from({ length: untold }, (): Output => ({ type: "event", event: { kind: "incarnation-renounced", peer } }));
    return [...told, ...outputs];
  }
}
