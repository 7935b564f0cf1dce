/** What a repair has cost so far and what it has brought, for its receipt. Bytes are those of the frames, as the codec makes them. */
import type { MergeOutcome } from "../core/change.ts";
import { holds } from "../core/entry.ts";
import { encodeFrame, entriesBytes } from "../core/frame.ts";
import type { RepairAnswer, RepairRequest } from "../core/message.ts";

export interface PullFigures {
  readonly requests: number;
  /** Dots that one side held and the other did not; all of them are known when the digests agree. */
  readonly differences: number;
  readonly entriesIn: number;
  /** Values of ours that they had not seen; they ask for those themselves. */
  readonly peerLacks: number;
  readonly dropped: number;
  /** Bytes of their frames and of ours. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Of those that came, the entries themselves. */
  readonly entryBytesIn: number;
}

/** Of a repair that asked for nothing. */
export const NO_FIGURES: PullFigures = {
  requests: 0,
  differences: 0,
  entriesIn: 0,
  peerLacks: 0,
  dropped: 0,
  bytesIn: 0,
  bytesOut: 0,
  entryBytesIn: 0,
};

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
