/** What a node says of its own health: why it is not ready, and what it has refused. */
import type { Gate } from "../api/app.ts";
import type { Meter } from "../api/meter.ts";
import type { Store } from "../core/store.ts";
import type { Node } from "../node.ts";
import type { Tallies } from "./tallies.ts";

/** Undefined when clients may be sent here. */
export function whyNotReady(node: Pick<Node, "stopped">, gate: Pick<Gate, "isOpen">): string | undefined {
  if (node.stopped !== undefined) return node.stopped.message;
  return gate.isOpen ? undefined : "the first round with the peers is not over";
}

export interface Refused {
  /** Requests, by reason. */
  readonly requests: Readonly<Record<string, number>>;
  /** What peers sent, by reason. */
  readonly peers: Readonly<Record<string, number>>;
  /** Values that a peer would have removed without an explanation, and that stayed. */
  readonly valuesKept: number;
  /** Values whose time was too far ahead to be followed. They are stored. */
  readonly valuesFarAhead: number;
}

export function refusedOf(meter: Meter, tallies: Tallies, store: Store): Refused {
  return {
    requests: Object.fromEntries(meter.refused),
    peers: Object.fromEntries(tallies.refused),
    valuesKept: store.removals.refused,
    valuesFarAhead: tallies.stampsFarAhead,
  };
}
