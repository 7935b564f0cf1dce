/**
 * The pace of a scrub: a slice of a few milliseconds, then as long for everybody else, until it is over. A slice that a busy node has not
 * come to yet is waited for. Without this a scrub goes on by the ticks alone, one slice a second: that is the pace after a start.
 */
import type { ReplicaEvent } from "../core/output.ts";

/** About as long as a slice takes: clients get half of the processor. */
const PAUSE_MS = 5;

export interface ScrubPace {
  onEvent(event: ReplicaEvent): void;
  stop(): void;
}

export interface PacedNode {
  readonly replica: { readonly scrubber: { readonly slices: number; readonly isRunning: boolean } };
  tick(type: "scrub-slice"): void;
}

export function createScrubPace(node: () => PacedNode): ScrubPace {
  let timer: NodeJS.Timeout | undefined;
  let done = -1;
  const stop = (): void => {
    clearInterval(timer);
    timer = undefined;
  };
  const beat = (): void => {
    const { slices, isRunning } = node().replica.scrubber;
    if (!isRunning) return stop();
    if (slices === done) return;
    done = slices;
    node().tick("scrub-slice");
  };
  return {
    onEvent({ kind }) {
      if (kind === "scrub-started") timer ??= setInterval(beat, PAUSE_MS);
    },
    stop,
  };
}
