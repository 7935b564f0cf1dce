/** What a node remembers of its repairs, for the status: the last that brought something, the last of each peer, and what it last sent to a peer that asked. */
import type { RepairSent } from "../core/kv.ts";
import type { RepairReceipt, ReplicaEvent } from "../core/output.ts";
import type { Now } from "../core/ports.ts";

/** Pages that a peer asks for within this time belong to one repair of its. */
const SAME_REPAIR_MS = 10_000;

/** A repair that found nothing to do is none worth showing, and does not hide one that did. */
export function worthierRepair(receipt: RepairReceipt, last: RepairReceipt | undefined): RepairReceipt | undefined {
  const isEmpty = receipt.result === "joined" && receipt.entriesIn === 0 && receipt.dropped === 0;
  return isEmpty ? last : receipt;
}

/** Twice the peers that may be learned; those that repaired last stay. */
const RECEIPTS_MAX = 64;

/** The last of each peer, whatever it found: whoever has asked for it waits for it here. */
export function keepReceipt(receipts: Map<string, RepairReceipt>, receipt: RepairReceipt): void {
  receipts.delete(receipt.peer);
  receipts.set(receipt.peer, receipt);
  for (const peer of receipts.keys()) {
    if (receipts.size <= RECEIPTS_MAX) return;
    receipts.delete(peer);
  }
}

export interface Answered extends RepairSent {
  readonly monotonicMs: number;
}

export function addAnswer(
  { peer, entries, bytes }: Extract<ReplicaEvent, { kind: "repair-answered" }>,
  last: Answered | undefined,
  now: Now,
): Answered {
  const goesOn = last?.peer === peer && now.monotonicMs - last.monotonicMs < SAME_REPAIR_MS;
  const before = goesOn ? last : { entries: 0, bytes: 0 };
  return { peer, entries: before.entries + entries, bytes: before.bytes + bytes, atMs: now.wallMs, monotonicMs: now.monotonicMs };
}
