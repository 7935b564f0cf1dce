/**
 * What an operator asks of the repairs: one from a certain peer now, or what it would do. The replica answers by events; here they find
 * whoever waits for them.
 */
import type { Comparison } from "../core/comparison.ts";
import { ConcordError } from "../core/errors.ts";
import type { RepairUnderWay } from "../core/kv.ts";
import type { RepairReceipt, ReplicaEvent } from "../core/output.ts";
import type { Input, Member } from "../replica.ts";

/** Operators that wait at once. */
const WAITING_MAX = 32;

/** How long an answer is waited for: less than clients wait. A long repair goes on, and the status tells of its end. */
const WAIT_MS = 5_000;

export interface RepairNode {
  readonly replica: { readonly membership: { members(): readonly Member[] }; readonly repairsEnded: number };
  operate(input: Extract<Input, { readonly type: "repair" | "compare" }>): void;
}

export interface RepairDesk {
  /** Rejects with `invalid` for a peer that nobody knows, `peer-failed` for one that is down. */
  repair(peer: string): Promise<RepairReceipt | RepairUnderWay>;
  compare(peer: string): Promise<Comparison>;
  onEvent(event: ReplicaEvent): void;
}

export type Later = (work: () => void, ms: number) => { cancel(): void };

type Waiter = (event: ReplicaEvent | undefined) => boolean;

/** `later` runs something after so many milliseconds: time is not the core's. */
export function createRepairDesk(node: RepairNode, later: Later): RepairDesk {
  const waiters = new Set<Waiter>();
  let lastTicket = 0;

  /** Resolves with what `find` makes of an event, or with undefined when none came in time. */
  const wait = <T>(find: (event: ReplicaEvent) => T | undefined): Promise<T | undefined> => {
    if (waiters.size >= WAITING_MAX) throw new ConcordError("overloaded", `${WAITING_MAX} repairs are waited for already`);
    return new Promise((resolve) => {
      const waiter: Waiter = (event) => {
        const found = event === undefined ? undefined : find(event);
        if (event !== undefined && found === undefined) return false;
        waiters.delete(waiter);
        timer.cancel();
        resolve(found);
        return true;
      };
      const timer = later(() => waiter(undefined), WAIT_MS);
      waiters.add(waiter);
    });
  };

  return {
    async repair(name) {
      const peer = peerCalled(node.replica.membership.members(), name);
      const after = node.replica.repairsEnded;
      const isIt = (receipt: RepairReceipt): boolean => receipt.peer === peer && receipt.number > after;
      const ended = wait((event) => (event.kind === "repair-ended" && isIt(event.receipt) ? event.receipt : undefined));
      node.operate({ type: "repair", peer });
      return (await ended) ?? { underWay: true, peer, after };
    },
    async compare(name) {
      const peer = peerCalled(node.replica.membership.members(), name);
      const ticket = ++lastTicket;
      const compared = wait((event) => (event.kind === "compared" && event.ticket === ticket ? event.comparison : undefined));
      node.operate({ type: "compare", peer, ticket });
      const comparison = await compared;
      if (typeof comparison === "object") return comparison;
      throw new ConcordError("peer-failed", `cannot compare with ${peer}: ${comparison ?? "it did not answer in time"}`);
    },
    onEvent(event) {
      if (event.kind !== "repair-ended" && event.kind !== "compared") return;
      for (const waiter of [...waiters]) waiter(event);
    },
  };
}

/** The address of the peer that is called so, by its address or its name. A stranger is never talked to, whoever asks for it. */
function peerCalled(members: readonly Member[], name: string): string {
  const member = members.find(({ address }) => address === name) ?? members.find((one) => one.name === name);
  if (member === undefined) {
    const known = members.map(({ address }) => address).join(", ");
    throw new ConcordError("invalid", `${name} is no peer of this node; ${known === "" ? "it has none" : `its peers are ${known}`}`);
  }
  if (!member.isUp)
    throw new ConcordError("peer-failed", `${member.address} does not answer now; a repair begins by itself when it is back`);
  return member.address;
}
