/**
 * Rule 1: a peer that has seen more of our dots than we issued knows another life of this data (a machine that was copied while it ran),
 * or lies. A new incarnation makes either harmless, and what came with the claim is not believed; an honest peer says it again.
 */
import type { Context } from "../core/context.ts";
import { PeerFault } from "../core/fault.ts";
import type { Output } from "../core/output.ts";
import type { Store } from "../core/store.ts";
import { refusedOf } from "../repair/puller.ts";

/** Identities given up in one life of the node. Nobody copies a running node so often, and each stays in every context for ever. */
const RENOUNCE_MAX = 16;

export class Objections {
  readonly #store: Store;
  #renounced = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Undefined when there is nothing to object to. */
  to(from: string, context: Context): Output[] | undefined {
    const { incarnation, counter } = this.#store;
    if (incarnation === undefined || context.highest(incarnation) <= counter) return undefined;
    if (this.#renounced >= RENOUNCE_MAX) {
      return [refusedOf(from, new PeerFault("context", "it claims to have seen more writes of this node than there are"))];
    }
    this.#renounced++;
    this.#store.renounceIncarnation();
    return [{ type: "event", event: { kind: "incarnation-renounced", peer: from } }];
  }
}
