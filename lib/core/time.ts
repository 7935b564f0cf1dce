/**
 * A hybrid logical clock (Kulkarni and others, 2014): physical time that never runs backwards within one node and that
 * follows what it hears, with a tick to tell apart what falls into one millisecond.
 *
 * Its stamps only pick ONE value to show among truly concurrent siblings. They never decide what is newer when
 * causality does, so a wrong clock can choose badly between two writes that did not know of each other, and nothing worse.
 *
 * A stamp far ahead of this machine's clock is not followed: one node whose clock is an hour ahead would otherwise drag every
 * other clock along for that hour.
 */
export interface Stamp {
  /** Milliseconds since 1970. */
  readonly ms: number;
  /** 0 to TICK_MAX: order within one millisecond. */
  readonly tick: number;
}

export const TICK_MAX = 0xffff;

/** 2^48 − 1: what six bytes hold, the year 10889. */
export const STAMP_MS_MAX = 0xffff_ffff_ffff;

/** How far ahead a stamp may be and still be followed. A minute: far over what NTP leaves, far under a wrong time zone. */
export const STAMP_AHEAD_MAX_MS = 60_000;

export const STAMP_ZERO: Stamp = { ms: 0, tick: 0 };

export function compareStamps(a: Stamp, b: Stamp): number {
  return a.ms - b.ms || a.tick - b.tick;
}

/** The stamp of a new local event, given the last one and the physical time. */
export function nextStamp(last: Stamp, nowMs: number): Stamp {
  const ms = Math.min(Math.floor(nowMs), STAMP_MS_MAX);
  if (ms > last.ms) return { ms, tick: 0 };
  return last.tick < TICK_MAX ? { ms: last.ms, tick: last.tick + 1 } : { ms: last.ms + 1, tick: 0 };
}

/** The clock after hearing a stamp: it follows, unless the stamp is too far ahead to be believed. */
export function followStamp(last: Stamp, heard: Stamp, nowMs: number): Stamp {
  if (isFarAhead(heard, nowMs)) return last;
  return compareStamps(heard, last) > 0 ? heard : last;
}

export function isFarAhead(stamp: Stamp, nowMs: number): boolean {
  return stamp.ms > nowMs + STAMP_AHEAD_MAX_MS;
}
