/**
 * The first round with the peers: until each has answered or refused, and what differed is repaired, clients wait.
 *
 * A node that comes back after an hour would otherwise answer with values of an hour ago for the tenth of a second that it takes to
 * learn better. Bounded, because a node must also serve when its peers are silent.
 */
import type { Gate } from "../api/app.ts";
import type { Replica } from "../replica.ts";

export interface FirstRound {
  readonly gate: Gate;
  /** To be called after each event. */
  look(): void;
  /** Whatever is missing, clients wait no longer. */
  end(): void;
}

export function createFirstRound(replica: Pick<Replica, "membership" | "repairingWith" | "load">, waitMsMax: number): FirstRound {
  let isOpen = false;
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const end = (): void => {
    isOpen = true;
    clearTimeout(timer);
    open();
  };
  const timer = setTimeout(end, waitMsMax);
  const isOver = (): boolean => {
    if (replica.repairingWith !== undefined || replica.load.wantedPulls > 0) return false;
    return replica.membership.members().every(({ status }) => status !== "unknown");
  };
  return {
    gate: {
      get isOpen() {
        return isOpen;
      },
      opened,
    },
    look: () => void (!isOpen && isOver() && end()),
    end,
  };
}
