/**
 * The one source of time that acts by itself: a tick every second, for ever. Everything periodic (pings, timeouts, sweeps) counts ticks.
 *
 * node-cron follows the wall's clock. Set back, its ticks stop, and so they do in the hour of a change of summer time; set forward, or after a
 * sleep of the machine, it goes through every time that its pattern has missed, some 0.2 ms each, and for "every second" a day of them
 * holds up the node for some 15 seconds. So each tick is a task of its own whose pattern names the very second, with its date: of that one at most a
 * single time is missed. UTC avoids summer time, and a guard on the monotonic clock makes a new task and ticks itself when a tick is overdue.
 * Ticks may therefore come in pairs; who counts time by them reads the monotonic clock as well.
 */
import { schedule, type ScheduledTask } from "node-cron";

export interface Ticker {
  stop(): void;
}

export type CreateTicker = (onTick: () => void) => Ticker;

/** node-cron looks for times after the present second: a task made at its very end would miss the next one. */
const LEAD_MS = 1_100;
const GUARD_EVERY_MS = 1_000;
/** Two seconds and a half without a tick: one that came late is not yet overdue. */
const OVERDUE_MS = 2_500;

/** `onTick` must not throw. */
export const createCronTicker: CreateTicker = (onTick) => {
  let lastMs = performance.now();
  let task: ScheduledTask;
  const start = (): ScheduledTask => schedule(patternOf(Date.now() + LEAD_MS), tick, { timezone: "UTC", suppressMissedWarning: true });
  const tick = (): void => {
    lastMs = performance.now();
    void task.destroy();
    task = start();
    onTick();
  };
  task = start();
  const guard = setInterval(() => {
    if (performance.now() - lastMs >= OVERDUE_MS) tick();
  }, GUARD_EVERY_MS);
  return {
    stop() {
      clearInterval(guard);
      void task.destroy();
    },
  };
};

/** Of the one second that holds this instant. A pattern has no year: it comes again after one, and by then another task has taken its place. */
function patternOf(wallMs: number): string {
  const at = new Date(wallMs);
  return [at.getUTCSeconds(), at.getUTCMinutes(), at.getUTCHours(), at.getUTCDate(), at.getUTCMonth() + 1, "*"].join(" ");
}
