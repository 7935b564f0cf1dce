/** What a repair has cost so far and what it has brought, for its receipt. Bytes are those of the frames, as the codec makes them. */
import type { MergeOutcome } from "../core/change.ts";
import { holds } from "../core/entry.ts";
import { encodeFrame, entriesBytes } from "../core/frame.ts";
import type { RepairAnswer, RepairRequest } from "../core/message.ts";
import type { RepairReceipt } from "../core/output.ts";

export type PullFigures = Pick<
  RepairReceipt,
  "requests" | "differences" | "entriesIn" | "peerLacks" | "dropped" | "bytesIn" | "bytesOut" | "entryBytesIn"
>;

export class PullCounts {
  requests = 0;
  differences = 0;
  entriesIn = 0;
  peerLacks = 0;
  dropped = 0;
  bytesIn = 0;
  bytesOut = 0;
  entryBytesIn = 0;

  onRequest(request: RepairRequest): void {
    this.requests++;
    this.bytesOut += encodeFrame(request).length;
  }

  onAnswer(answer: RepairAnswer): void {
    const entryBytes = entriesBytes(answer.entries);
    this.entryBytesIn += entryBytes;
    this.bytesIn += entryBytes + encodeFrame({ ...answer, entries: [] }).length;
  }

  onMerged({ before, after }: MergeOutcome): void {
    if (before === after) return;
    for (const sibling of after) if (!holds(before, sibling)) this.differences++;
    for (const sibling of before) if (!holds(after, sibling)) this.differences++;
  }

  onVerified({ differences, peerLacks }: { readonly differences: number; readonly peerLacks: number }): void {
    this.differences += differences;
    this.peerLacks = peerLacks;
  }
}

/** Of a repair that asked for nothing. */
export const NO_FIGURES: PullFigures = new PullCounts();
