/** What a node remembers of its repairs, for the status: the last that brought something, and what it last sent to a peer that asked. */
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
