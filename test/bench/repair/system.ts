/** What the bench asks of each system: two sides over a link that counts, and no more knowledge of the differences than they have. */
import type { Change, Side } from "./workload.ts";

export interface Measured {
  /** Everything that the two sides' sockets carried, both ways, headers included. */
  readonly bytes: number;
  /** Requests and answers, each; of WebSockets and of frames on a socket, each message. */
  readonly messages: number;
  /** From the first byte until both sides hold the same. */
  readonly tookMs: number;
  /** Of both sides together, in that time. Says more than the time where other programs run. */
  readonly cpuMs: number;
}

export interface System {
  /** Both sides hold these, and have synced the way that they sync. Not counted. */
  load(before: ReadonlyMap<string, string>): Promise<void>;
  /** While the link is cut. Not counted. */
  change(side: Side, changes: readonly Change[]): Promise<void>;
  /** The link is back: until nothing more crosses. */
  reconcile(): Promise<Measured>;
  contents(side: Side): Promise<ReadonlyMap<string, string>>;
  close(): Promise<void>;
}

export type CreateSystem = () => Promise<System>;

/** Nothing crossed for this long: it is over. */
const QUIET_MS = 100;

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Starts now; say when it is over. */
export function startWatch(): () => Pick<Measured, "tookMs" | "cpuMs"> {
  const startedMs = performance.now();
  const used = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(used);
    return { tookMs: performance.now() - startedMs, cpuMs: (user + system) / 1000 };
  };
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(1);
}

/** Waits until the count has not moved for a while. */
export async function untilQuiet(count: () => number): Promise<void> {
  for (let last = -1; last !== count(); await pause(QUIET_MS)) last = count();
}

/** Parts of a list, in order. */
export function* parts<T>(all: readonly T[], length: number): Generator<readonly T[]> {
  for (let from = 0; from < all.length; from += length) yield all.slice(from, from + length);
}
