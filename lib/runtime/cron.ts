/**
 * The one source of time that acts by itself: a tick every second, for ever. Everything periodic (pings, timeouts, sweeps) counts ticks.
 *
 * A second is the one pattern that cron can express evenly: of 60 seconds, "every seventh" leaves a gap of four at the end of each
 * minute, and "every ninetieth" means every sixtieth. node-cron follows the wall's clock, so its ticks stop when that is set back, and in
 * the hour of a change of summer time: UTC avoids the second, and against the first a guard on the monotonic clock makes a new task and
 * ticks itself when a tick is overdue. Ticks may therefore come in pairs; who counts time by them reads the monotonic clock as well.
 */
import { schedule, validate } from "node-cron";

export interface Ticker {
  stop(): void;
}

export type CreateTicker = (onTick: () => void) => Ticker;

const EVERY_SECOND = "* * * * * *";
const GUARD_EVERY_MS = 1_000;
/** Two seconds and a half without a tick: one that came late is not yet overdue. */
const OVERDUE_MS = 2_500;

/** `onTick` must not throw. */
export const createCronTicker: CreateTicker = (onTick) => {
  let lastMs = performance.now();
  const tick = (): void => {
    lastMs = performance.now();
    onTick();
  };
  const start = () => schedule(EVERY_SECOND, tick, { noOverlap: true, timezone: "UTC", suppressMissedWarning: true });
  let task = start();
  const guard = setInterval(() => {
    if (performance.now() - lastMs < OVERDUE_MS) return;
    void task.destroy();
    task = start();
    tick();
  }, GUARD_EVERY_MS);
  return {
    stop() {
      clearInterval(guard);
      void task.destroy();
    },
  };
};

/** Whether this is cron text: five fields, or six with seconds in front. node-cron also takes names of months and days. */
export function isCronText(text: string): boolean {
  return text.trim() !== "" && validate(text);
}

/**
 * Calls at the times that the text names, in UTC: where there is summer time, an hour of the year is missing and another comes twice. When the
 * clock is set back, the times come again when it has caught up. `onTime` must not throw.
 */
export function createCronSchedule(text: string, onTime: () => void): Ticker {
  const task = schedule(text, onTime, { noOverlap: true, timezone: "UTC", suppressMissedWarning: true });
  return { stop: () => void task.destroy() };
}
