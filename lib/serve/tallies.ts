/**
 * What a node's events add up to, for the status and the metrics, and which of what it refuses becomes a line in the log.
 *
 * A peer that is broken sends the same nonsense with every message. All of it is counted; of each kind and peer one line a minute is
 * written, so that nobody fills a disk with our own log.
 */
import type { FaultReason } from "../core/fault.ts";
import type { RepairReceipt, ReplicaEvent } from "../core/output.ts";

export interface RepairTally {
  readonly kind: RepairReceipt["kind"];
  readonly result: RepairReceipt["result"];
  count: number;
}

/** Lines about what was refused: often enough to be seen, and at most some ten thousand a week. */
const TELL_EVERY_MS = 60_000;

/** Kinds and peers that are told apart; what comes beyond is counted alone. */
const TOLD_MAX = 1_000;

export class Tallies {
  readonly repairs: RepairTally[] = [];
  readonly refused = new Map<FaultReason, number>();
  /** Entries and their bytes that repairs have moved. */
  readonly repaired = { entriesIn: 0, bytesIn: 0, entriesOut: 0, bytesOut: 0, dropped: 0 };
  stampsFarAhead = 0;
  identitiesRenounced = 0;
  pushesDropped = 0;
  expired = 0;
  readonly #told = new Map<string, number>();

  /** Returns whether the log should say it. */
  add(event: ReplicaEvent, monotonicMs: number): boolean {
    switch (event.kind) {
      case "repair-ended":
        this.#addRepair(event.receipt);
        return true;
      case "repair-answered":
        this.repaired.entriesOut += event.entries;
        this.repaired.bytesOut += event.bytes;
        return true;
      case "refused":
        this.#refuse(event.reason);
        return this.#mayTell(`${event.reason} ${event.peer}`, monotonicMs);
      case "incarnation-renounced":
        this.#refuse("context");
        this.identitiesRenounced++;
        return true;
      case "clock-far-ahead":
        this.stampsFarAhead += event.siblings;
        return true;
      case "push-dropped":
        this.pushesDropped += event.keys;
        return true;
      case "swept":
        this.expired += event.siblings;
        return true;
      default:
        return true;
    }
  }

  #addRepair({ kind, result, entriesIn, entryBytesIn, dropped }: RepairReceipt): void {
    const tally = this.repairs.find((each) => each.kind === kind && each.result === result);
    if (tally === undefined) this.repairs.push({ kind, result, count: 1 });
    else tally.count++;
    this.repaired.entriesIn += entriesIn;
    this.repaired.bytesIn += entryBytesIn;
    this.repaired.dropped += dropped;
  }

  #refuse(reason: FaultReason): void {
    this.refused.set(reason, (this.refused.get(reason) ?? 0) + 1);
  }

  #mayTell(what: string, monotonicMs: number): boolean {
    const lastMs = this.#told.get(what);
    if (lastMs !== undefined && monotonicMs - lastMs < TELL_EVERY_MS) return false;
    if (lastMs === undefined && this.#told.size >= TOLD_MAX) return false;
    this.#told.set(what, monotonicMs);
    return true;
  }
}
