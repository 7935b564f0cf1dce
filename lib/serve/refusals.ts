/**
 * Who was not let in: counted, and told in the log once a minute at most, because whoever knocks decides how often.
 */
import type { Log } from "../core/ports.ts";

export interface Refusals {
  /** Since the start. */
  readonly count: number;
  add(log: Log, from: string, problem: string): void;
}

/** A line a minute is seen, and fills no disk. */
const TELL_EVERY_MS = 60_000;

export function createRefusals(nowMs: () => number = () => performance.now()): Refusals {
  let count = 0;
  let toldCount = 0;
  let toldMs = -Infinity;
  return {
    get count() {
      return count;
    },
    add(log, from, problem) {
      count++;
      if (nowMs() - toldMs < TELL_EVERY_MS) return;
      const others = count - toldCount - 1;
      const before = others === 0 ? "" : ` (and ${others} more before it)`;
      log.write("warn", `a request from ${from} was refused: ${problem}${before}`);
      toldCount = count;
      toldMs = nowMs();
    },
  };
}
