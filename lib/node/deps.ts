/** What a node is made of, and who hears of what it does. */
import type { Siblings } from "../core/entry.ts";
import type { EntryKey } from "../core/layout.ts";
import type { ReplicaEvent } from "../core/output.ts";
import type { Clock, Storage } from "../core/ports.ts";
import type { Transport } from "../core/transport.ts";
import type { Replica } from "../replica.ts";

export interface NodeDeps {
  readonly replica: Replica;
  readonly storage: Storage;
  readonly transport: Transport;
  readonly clock: Clock;
  /**
   * Runs a turn a little later, so that inputs which come together share its batch: without it the first of fifty requests that one
   * look at the sockets brings would be written alone while the others wait. At once by default; `setImmediate` in production.
   */
  readonly defer?: (turn: () => void) => void;
  /** Runs something after a while. Without it what waits for its time goes with the next turn after that. */
  readonly later?: (afterMs: number, run: () => void) => void;
}

export interface NodeListeners {
  onEvent?(event: ReplicaEvent): void;
  onChange?(key: EntryKey, before: Siblings, after: Siblings): void;
  /** The storage failed or an invariant broke: the node has stopped taking writes. Called once. */
  onFailure?(error: Error): void;
}
