/**
 * A context as it travels in an answer: told against what the asker has just said that it has seen.
 *
 * Two nodes that were apart for an hour differ in a range or two, however many incarnations they know; to repeat those in each answer
 * would cost more than the news. When the difference is the longer one of the two (a context that was rebuilt from entries has a gap
 * for each write that was ever superseded) the context is told as it is.
 */
import { Context } from "./context.ts";

export interface RelativeContext {
  /** What `gained` and `lacked` are told against: the asker's `seen`, or nothing. */
  readonly from: "seen" | "nothing";
  /** Dots of the context that are not in `from`. */
  readonly gained: Context;
  /** Dots of `from` that are not in the context. */
  readonly lacked: Context;
}

/**
 * Exceptions of either part: 200 kB and some. A context that differs in more is told as it is. Whoever hears it holds both parts and the
 * context that they make, so without this limit a frame of four megabytes would take a hundred.
 */
export const RELATIVE_EXCEPTIONS_MAX = 65_536;

/** Always a copy: the outputs of a step leave after later steps of the same turn. */
export function relativeTo(seen: Context, context: Context): RelativeContext {
  if (seen.isEmpty || isFarApart(seen, context)) return wholeContext(context);
  const gained = context.minus(seen);
  const lacked = seen.minus(context);
  const pays = weight(gained) + weight(lacked) < weight(context);
  return pays && fits(gained) && fits(lacked) ? { from: "seen", gained, lacked } : wholeContext(context);
}

/** A lower bound of the context, with at most so many exceptions among what is news. */
export function boundRelativeTo(seen: Context, context: Context, exceptionsMax: number): RelativeContext {
  const lacked = isFarApart(seen, context) ? undefined : seen.minus(context);
  if (lacked === undefined || !fits(lacked)) return wholeContext(context.lowerBound(exceptionsMax));
  return { from: "seen", gained: context.minus(seen).lowerBound(exceptionsMax), lacked };
}

/** Each gap of `seen` that the context has not shows in what was gained or in what is lacked. Neither is made to find that it is too much. */
function isFarApart(seen: Context, context: Context): boolean {
  return seen.exceptionCount > context.exceptionCount + 2 * RELATIVE_EXCEPTIONS_MAX;
}

function fits({ exceptionCount }: Context): boolean {
  return exceptionCount <= RELATIVE_EXCEPTIONS_MAX;
}

export function wholeContext(context: Context): RelativeContext {
  return { from: "nothing", gained: context.clone(), lacked: new Context() };
}

/** The context again, for the asker who knows what it said. */
export function absoluteOf({ from, gained, lacked }: RelativeContext, seen: Context): Context {
  if (from === "nothing") return gained;
  const context = seen.minus(lacked);
  context.join(gained);
  return context;
}

/** About how many bytes it takes. */
export function weight(context: Context): number {
  return INCARNATION_BYTES * context.incarnationCount + RANGE_BYTES * (context.incarnationCount + context.exceptionCount);
}

/** Eight bytes and how many ranges follow. */
const INCARNATION_BYTES = 9;

/** A gap and a length, of which most are small. */
const RANGE_BYTES = 3;
